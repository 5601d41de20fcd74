"""A drive that the teacher looked at, with labels that are known of some of its sweeps."""

from __future__ import annotations

import dataclasses

from .labelled_drives import LabelledDrive
from ..records import DistillationFrame, FrameSource


class LabelledViews:
    """
    The keyframes of a drive with their views, and the labels of those sweeps that have any.

    Labelled sweeps that are no keyframes follow them, without views. Labels are found by the
    stamps of the sweeps, as keyframes have other numbers.

    Parameters
    ----------
    drive
        Of the feature cache; labels of its own are left out.
    labels
        The same drive as the LiDAR alone saw it, with labels.

    Attributes
    ----------
    labelled : list of int
        Which frames have labels.

    """

    def __init__(self, drive: FrameSource, labels: LabelledDrive) -> None:
        self.drive, self.labels = drive, labels
        self.feature_size = getattr(drive, 'feature_size', 0)
        alone = {labels.frame(index).cloud.stamp: index for index in labels.labelled}
        stamps = [drive.frame(index).cloud.stamp for index in range(len(drive))]
        places = [alone.pop(stamp, None) for stamp in stamps]
        self._places = [*places, *alone.values()]
        self.labelled = [n for n, place in enumerate(self._places) if place is not None]

    def __len__(self) -> int:
        return len(self._places)

    def frame(self, index: int) -> DistillationFrame:
        """Return a frame with its labels, or with none."""
        place = self._places[index]
        known = None if place is None else self.labels.frame(place)
        if known is not None and index >= len(self.drive):
            return known
        frame = self.drive.frame(index)
        label = None if known is None else known.cloud.label
        cloud = dataclasses.replace(frame.cloud, label=label, instance=None)
        return dataclasses.replace(frame, cloud=cloud)
