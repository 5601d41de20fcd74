"""Drives with labels: of their bag, or from files beside it; with or without images."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
from pathlib import Path

import numpy as np

from .class_maps import map_ids, our_ids, read_class_map
from ..extraction.point_views import no_views
from ..records import DistillationFrame, FrameSource
from ...errors import ConfigurationError, MessageError
from ...labels import ALL_CLASSES, ID_FROM_RAW, RAW_IDS
from ...training.cache import CachedDrive

_LABEL = np.dtype('<u4')


class LidarDrive:
    """
    A drive of the array cache, as the LiDAR alone saw it; its labels are those of its bag.

    Parameters
    ----------
    drive
        From `training.cache.cached_drives`.
    feature_size
        Width of a teacher's features, where drives that it looked at are used beside this one.

    """

    def __init__(self, drive: CachedDrive, feature_size: int = 0) -> None:
        self.drive, self.feature_size = drive, feature_size

    def __len__(self) -> int:
        return len(self.drive)

    def frame(self, index: int) -> DistillationFrame:
        """Return a sweep without views."""
        views = no_views((), self.feature_size, True)
        return DistillationFrame(self.drive.cloud(index), views, None, None)


class RelabelledDrive:
    """
    A drive whose own labels are ids of others.

    Parameters
    ----------
    drive
        Of either cache.
    ids
        (65536,) our id of each of its ids, negative for those that are not known.
    name
        Of the labels, for error messages.

    """

    def __init__(self, drive: FrameSource, ids: np.ndarray, name: str) -> None:
        self.drive, self.ids, self.name = drive, ids, name
        self.feature_size = getattr(drive, 'feature_size', 0)

    def __len__(self) -> int:
        return len(self.drive)

    def frame(self, index: int) -> DistillationFrame:
        """
        Return a frame with our labels, or with none.

        Raises
        ------
        MessageError
            If an id is not known.

        """
        frame = self.drive.frame(index)
        if frame.cloud.label is None:
            return frame
        where = f'{self.name} at {frame.cloud.stamp / 1e9:.3f} s'
        label = our_ids(frame.cloud.label, self.ids, where)
        return dataclasses.replace(frame, cloud=dataclasses.replace(frame.cloud, label=label))

    @functools.cached_property
    def labelled(self) -> Sequence[int]:
        """Return which sweeps have labels."""
        clouds = (self.drive.frame(index).cloud for index in range(len(self)))
        return [index for index, cloud in enumerate(clouds) if cloud.label is not None]


class AnnotatedDrive:
    """
    A drive whose labels lie beside it as SemanticKITTI label files.

    The file of a sweep is named after its stamp in ns, or its number in the drive in six digits;
    sweeps without one stay unlabelled.

    Parameters
    ----------
    drive
        Of either cache.
    folder
        Of the label files: uint32 per point, in the order of the cloud, class id in the lower
        half.
    ids
        (65536,) our id of each id in the files, negative for those that are not known; None for
        those of SemanticKITTI.

    Attributes
    ----------
    labelled : sequence of int
        Which sweeps have labels.

    Raises
    ------
    ConfigurationError
        If there is no label file.
    MessageError
        If a file has labels for another number of points.

    """

    def __init__(
        self, drive: FrameSource, folder: Path, ids: np.ndarray | None = None
    ) -> None:
        self.drive, self.folder = drive, folder
        self.ids = map_ids(RAW_IDS, ID_FROM_RAW[np.array(RAW_IDS)]) if ids is None else ids
        self.feature_size = getattr(drive, 'feature_size', 0)
        check_label_folder(folder)
        self.labelled = self._find_labelled()

    def __len__(self) -> int:
        return len(self.drive)

    def frame(self, index: int) -> DistillationFrame:
        """
        Return a frame with its labels, or with none.

        Raises
        ------
        MessageError
            If a file has labels for another number of points, or an id that is not known.

        """
        frame = self.drive.frame(index)
        path = self._file(index, frame.cloud.stamp)
        label = None
        if path is not None:
            raw = np.fromfile(path, _LABEL)
            _check_length(path, len(raw), len(frame.cloud.points))
            label = our_ids(raw & 0xFFFF, self.ids, str(path))
        cloud = dataclasses.replace(frame.cloud, label=label, instance=None)
        return dataclasses.replace(frame, cloud=cloud)

    def _find_labelled(self) -> Sequence[int]:
        found = []
        for index in range(len(self)):
            cloud = self.drive.frame(index).cloud
            path = self._file(index, cloud.stamp)
            if path is not None:
                _check_length(path, path.stat().st_size / _LABEL.itemsize, len(cloud.points))
                found.append(index)
        return found

    def _file(self, index: int, stamp: int) -> Path | None:
        paths = (self.folder / f'{stamp}.label', self.folder / f'{index:06d}.label')
        return next((path for path in paths if path.is_file()), None)


def check_label_folder(folder: Path) -> None:
    """Raise ConfigurationError unless a folder holds label files."""
    if not any(folder.glob('*.label')):
        raise ConfigurationError('labels', str(folder), 'a folder with .label files')


def _check_length(path: Path, labels: float, points: int) -> None:
    if labels != points:
        raise MessageError(f'{path} has {labels:.10g} labels for {points} points')


LabelledDrive = AnnotatedDrive | RelabelledDrive


def with_labels(
    drives: Sequence[FrameSource], folders: Sequence[str], label_map: str, topic: str
) -> list[LabelledDrive]:
    """
    Return drives with the labels of their bags, or of files beside them; all are looked at.

    Parameters
    ----------
    drives
        Of bags.
    folders
        Of label files, one for each; none takes the labels of the bags.
    label_map
        For `read_class_map`; empty takes the ids of files as SemanticKITTI's, and those of bags
        as ours.
    topic
        Of the bags' labels, for error messages.

    Raises
    ------
    ConfigurationError
        If no sweep of a drive has labels, or the map is wrong.
    MessageError
        If labels are of another number of points, or an id is not known.

    """
    ids = read_class_map(Path(label_map)) if label_map else None
    found: list[LabelledDrive] = []
    if folders:
        found += [
            AnnotatedDrive(drive, Path(folder), ids)
            for drive, folder in zip(drives, folders, strict=True)
        ]
    else:
        ours = np.arange(len(ALL_CLASSES))
        found += [
            RelabelledDrive(drive, map_ids(ours, ours) if ids is None else ids, topic)
            for drive in drives
        ]
    for drive in found:
        if not drive.labelled:
            raise ConfigurationError('labelled', topic, 'bags with labels of their sweeps')
        for index in drive.labelled:
            drive.frame(index)
    return found
