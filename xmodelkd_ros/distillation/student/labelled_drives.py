"""Drives with labels: of their bag, or from files beside it; with or without images."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from pathlib import Path

import numpy as np

from ..extraction.point_views import no_views
from ..records import DistillationFrame, FrameSource
from ...config import read_mapping
from ...errors import ConfigurationError, MessageError
from ...labels import ID_BY_NAME, ID_FROM_RAW
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
        (65536,) our id of each id in the files, as `read_class_map` gives it.

    Attributes
    ----------
    labelled : list of int
        Which sweeps have labels.

    Raises
    ------
    ConfigurationError
        If there is no label file.
    MessageError
        If a file has labels for another number of points.

    """

    def __init__(self, drive: FrameSource, folder: Path, ids: np.ndarray = ID_FROM_RAW) -> None:
        self.drive, self.folder, self.ids = drive, folder, ids
        self.feature_size = getattr(drive, 'feature_size', 0)
        if not any(folder.glob('*.label')):
            raise ConfigurationError('labels', str(folder), 'a folder with .label files')
        self.labelled: list[int] = []
        for index in range(len(drive)):
            cloud = drive.frame(index).cloud
            path = self._file(index, cloud.stamp)
            if path is not None:
                _check_length(path, path.stat().st_size / _LABEL.itemsize, len(cloud.points))
                self.labelled.append(index)

    def __len__(self) -> int:
        return len(self.drive)

    def frame(self, index: int) -> DistillationFrame:
        """
        Return a frame with its labels, or with none.

        Raises
        ------
        MessageError
            If a file has labels for another number of points.

        """
        frame = self.drive.frame(index)
        path = self._file(index, frame.cloud.stamp)
        label = None
        if path is not None:
            raw = np.fromfile(path, _LABEL)
            _check_length(path, len(raw), len(frame.cloud.points))
            label = self.ids[raw & 0xFFFF]
        cloud = dataclasses.replace(frame.cloud, label=label, instance=None)
        return dataclasses.replace(frame, cloud=cloud)

    def _file(self, index: int, stamp: int) -> Path | None:
        paths = (self.folder / f'{stamp}.label', self.folder / f'{index:06d}.label')
        return next((path for path in paths if path.is_file()), None)


def _check_length(path: Path, labels: float, points: int) -> None:
    if labels != points:
        raise MessageError(f'{path} has {labels:.10g} labels for {points} points')


def labelled_sweeps(drive: FrameSource) -> Sequence[int]:
    """Return which sweeps of a drive have labels; a bag has them for all of them, or none."""
    if isinstance(drive, AnnotatedDrive):
        return drive.labelled
    has_labels = len(drive) and drive.frame(0).cloud.label is not None
    return range(len(drive)) if has_labels else ()


def choose_sweeps(lengths: Sequence[int], fraction: float, seed: int) -> list[tuple[int, int]]:
    """
    Choose whole sweeps, spread over the drives as evenly as can be.

    Parameters
    ----------
    lengths
        Number of sweeps of each drive.
    fraction
        Share of all sweeps, 0..1; more than 0 chooses one at least.
    seed
        Of the choice; a larger fraction adds to what a smaller one chose.

    Returns
    -------
    list of tuple
        Drive and sweep, ascending.

    """
    total = sum(lengths)
    count = min(total, max(round(fraction * total), int(fraction > 0)))
    rng = np.random.default_rng((seed, total))
    order = rng.permutation(len(lengths))
    within = {drive: rng.permutation(lengths[drive]) for drive in order}
    turns = max(lengths, default=0)
    dealt = [
        (int(drive), int(within[drive][turn]))
        for turn in range(turns) for drive in order if turn < lengths[drive]
    ]
    return sorted(dealt[:count])


def read_class_map(path: Path) -> np.ndarray:
    """
    Read whose classes are which of ours.

    Parameters
    ----------
    path
        YAML file, `<id in the label files>: <name of our class, or unlabelled>`, for each id.

    Returns
    -------
    np.ndarray
        (65536,) uint16 our id; 0 for ids that the file does not name.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, an id is no number of 16 bits, or a name is not known.

    """
    ids = np.zeros(65536, np.uint16)
    for key, name in read_mapping(path, 'label_map').items():
        if not isinstance(key, int) or not 0 <= key < len(ids):
            raise ConfigurationError('label_map', key, '0 to 65535')
        if name not in ID_BY_NAME:
            known = ', '.join(ID_BY_NAME)
            raise ConfigurationError(f'label_map.{key}', name, f'one of {known}')
        ids[key] = ID_BY_NAME[name]
    return ids
