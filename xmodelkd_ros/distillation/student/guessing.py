"""
Guessed labels of whole sweeps: what the teacher says from anywhere, and the student of the rest.

The teacher is heard where a picture of the sweep's own instant shows a point, then where the
drive's static map has its votes (`carrying`) for what cannot move: in traffic the map keeps trails
of what has. The student is heard where the teacher is silent: behind the vehicle, and on sweeps
without pictures. Where both speak and differ, the teacher must be surer: its masks bleed over
edges, where the student knows the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import itertools
from pathlib import Path
import re

import numpy as np

from .carrying import labels_from_votes, read_votes, vote_maps
from .labelled_drives import AnnotatedDrive
from ..records import DistillationFrame, FrameSource
from ...bags.label_files import LabelFolder
from ...config import setting
from ...evaluation.street_classes import STREET_FROM_ID
from ...inference.point_segmenter import PointSegmenter
from ...labels import IS_THING, POINT_CLASSES, SKY
from ...records import PointLabels

_OTHER_INSTANT = re.compile(r'[+-]\d+$')
"""End of the name of a view, see `point_views.view_names`."""

_DONE = 'done'
"""File in the folder of a drive whose sweeps all have guesses."""


@dataclasses.dataclass(frozen=True)
class GuessConfig:
    """Who is believed when."""

    floor: float = setting(0.5, 'confidence from which the teacher is believed', low=0, high=1)
    differing_floor: float = setting(
        0.8, 'the same where the student says something else', low=0, high=1)
    student_floor: float = setting(
        0.7, 'confidence from which the student is believed', low=0, high=1)
    voxels: tuple[float, ...] = setting(
        (0.2, 0.5), 'sizes of the voxels by which votes are carried along the poses: a point '
        'takes the first that has votes; none for no carrying', unit='m', low=0.01, high=100.0)


class GuessedDrive(AnnotatedDrive):
    """A drive whose labels were guessed: nobody may take them for true ones."""

    guessed = True

    def _find_labelled(self) -> Sequence[int]:
        return range(len(self))  # each was written; a process of several reads its own alone


def guess_drives(
    drives: Sequence[FrameSource], folder: Path, student: PointSegmenter | None,
    config: GuessConfig, watch: Callable[[int, int], None],
) -> list[GuessedDrive]:
    """
    Return drives with guessed labels instead of their own.

    Parameters
    ----------
    drives, student, config
        As `guess_labels` takes them.
    folder
        For the guesses, a folder for each drive; those of an earlier call are taken.
    watch
        Told how many looks at a sweep are done and how many there will be; what it raises ends
        the work.

    """
    folders = [folder / f'{number:03d}' for number in range(len(drives))]
    missing = [
        drive for drive, own in zip(drives, folders, strict=True) if not (own / _DONE).is_file()]
    total = sum(map(len, missing)) * (2 if config.voxels else 1)
    looks = itertools.count(1)
    return [
        guess_drive(drive, own, student, config, lambda: watch(next(looks), total))
        for drive, own in zip(drives, folders, strict=True)
    ]


def guess_drive(
    drive: FrameSource, folder: Path, student: PointSegmenter | None,
    config: GuessConfig = GuessConfig(), look: Callable[[], None] = lambda: None,
) -> GuessedDrive:
    """
    Return a drive with guessed labels instead of its own.

    Parameters
    ----------
    drive, student, config, look
        As `guess_labels` takes them.
    folder
        For the guesses, as label files named by number; those of an earlier call are taken.

    """
    if not (folder / _DONE).is_file():
        files = LabelFolder(folder, POINT_CLASSES, 'own', student.sha256 if student else '')
        for index, label in enumerate(guess_labels(drive, student, config, look)):
            files.write(f'{index:06d}', label)
        (folder / _DONE).touch()
    return GuessedDrive(drive, folder, np.arange(65536, dtype=np.int32))


def guess_labels(
    drive: FrameSource, student: PointSegmenter | None, config: GuessConfig = GuessConfig(),
    look: Callable[[], None] = lambda: None,
) -> Iterator[np.ndarray]:
    """
    Yield the guessed labels of each frame of a drive.

    Parameters
    ----------
    drive
        Frames, with views or without.
    student
        Who is asked where the teacher is silent; None for nobody.
    config
        Who is believed when.
    look
        Called after each look at a sweep: one to guess, and one before where votes are carried.

    Yields
    ------
    np.ndarray
        (N,) uint16 class ids, 0 where nobody is sure.

    """
    maps = vote_maps(drive, config.voxels, look) if config.voxels else itertools.repeat({})
    for index, around in zip(range(len(drive)), maps, strict=False):
        frame = drive.frame(index)
        label, confidence = labels_from_votes(_of_own_instant(frame).probability)
        if around:
            carried, sure = labels_from_votes(read_votes(frame, around))
            heard = (label == 0) & ~IS_THING[carried]
            label, confidence = np.where(heard, carried, label), np.where(heard, sure, confidence)
        said = None
        if student is not None:
            said = student(frame.cloud.points, frame.cloud.intensity)
        yield settle(label, confidence, said, config)
        look()


def settle(
    label: np.ndarray, confidence: np.ndarray, student: PointLabels | None, config: GuessConfig
) -> np.ndarray:
    """
    Return who is right, as labels (N,) uint16, 0 where nobody is sure.

    Parameters
    ----------
    label, confidence
        (N,) of the teacher, 0 where it is silent.
    student
        What it says, or None.
    config
        Who is believed when.

    """
    label = np.where(label == SKY.id, 0, label).astype(np.uint16)
    if student is None:
        return np.where(confidence >= config.floor, label, 0).astype(np.uint16)
    differ = STREET_FROM_ID[label] != STREET_FROM_ID[student.label]
    floor = np.where(differ, config.differing_floor, config.floor)
    believed = np.where(confidence >= floor, label, 0)
    alone = (label == 0) & (student.confidence >= config.student_floor)
    return np.where(alone, student.label, believed).astype(np.uint16)


def _of_own_instant(frame: DistillationFrame) -> DistillationFrame:
    """Return the frame with the views of its own pictures only."""
    views = frame.views
    own = np.array([_OTHER_INSTANT.search(name) is None for name in views.names], bool)
    return dataclasses.replace(frame, views=views.take(own[views.view]))
