"""Drives with labels: of their bag, or from files beside it; with or without images."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
from pathlib import Path

import numpy as np

from ..extraction.point_views import no_views
from ..records import DistillationFrame, FrameSource
from ...config import read_mapping
from ...errors import ConfigurationError, MessageError
from ...labels import ALL_CLASSES, ID_BY_NAME, ID_FROM_RAW, RAW_IDS
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
        label = _our_ids(frame.cloud.label, self.ids, where)
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
    labelled : list of int
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
        self.ids = _known(RAW_IDS, ID_FROM_RAW[np.array(RAW_IDS)]) if ids is None else ids
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
            If a file has labels for another number of points, or an id that is not known.

        """
        frame = self.drive.frame(index)
        path = self._file(index, frame.cloud.stamp)
        label = None
        if path is not None:
            raw = np.fromfile(path, _LABEL)
            _check_length(path, len(raw), len(frame.cloud.points))
            label = _our_ids(raw & 0xFFFF, self.ids, str(path))
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
    if isinstance(drive, (AnnotatedDrive, RelabelledDrive)):
        return drive.labelled
    has_labels = len(drive) and drive.frame(0).cloud.label is not None
    return range(len(drive)) if has_labels else ()


def with_labels(
    drives: Sequence[FrameSource], folders: Sequence[str], label_map: str, topic: str
) -> list[FrameSource]:
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
    found: list[FrameSource] = []
    if folders:
        found += [
            AnnotatedDrive(drive, Path(folder), ids)
            for drive, folder in zip(drives, folders, strict=True)
        ]
    else:
        ours = np.arange(len(ALL_CLASSES))
        found += [
            RelabelledDrive(drive, _known(ours, ours) if ids is None else ids, topic)
            for drive in drives
        ]
    for drive in found:
        if not labelled_sweeps(drive):
            raise ConfigurationError('labelled', topic, 'bags with labels of their sweeps')
        for index in labelled_sweeps(drive):
            drive.frame(index)
    return found


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
        (65536,) our id; -1 for ids that the file does not name, but 0 for 0.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, an id is no number of 16 bits, or a name is not known.

    """
    ids = _known([0], [0])
    for key, name in read_mapping(path, 'label_map').items():
        if not isinstance(key, int) or not 0 <= key < len(ids):
            raise ConfigurationError('label_map', key, '0 to 65535')
        if name not in ID_BY_NAME:
            known = ', '.join(ID_BY_NAME)
            raise ConfigurationError(f'label_map.{key}', name, f'one of {known}')
        ids[key] = ID_BY_NAME[name]
    return ids


def _known(theirs: Sequence[int] | np.ndarray, ours: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return (65536,) int32: our id of each of theirs, -1 for all others."""
    ids = np.full(65536, -1, np.int32)
    ids[np.asarray(theirs)] = ours
    return ids


def _our_ids(labels: np.ndarray, ids: np.ndarray, where: str) -> np.ndarray:
    """Return our ids, uint16, of labels; MessageError names those that have none."""
    found = ids[labels]
    if len(strange := np.unique(labels[found < 0])):
        listed = ', '.join(map(str, strange[:8])) + (', ...' if len(strange) > 8 else '')
        raise MessageError(f'{where}: class ids {listed} are not known, map them by `label_map`')
    return found.astype(np.uint16)
