"""What a student says of drives of the feature cache, beside its teacher and the truth, if any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .carrying import own_labels
from ..records import DistillationFrame, FrameSource
from ...drawing.birds_eye import BirdsEye, BirdsEyeConfig
from ...drawing.text import legend, write
from ...drawing.video import save_picture
from ...evaluation.segmentation import ConfusionMatrix
from ...evaluation.street_classes import StreetScores
from ...inference.point_segmenter import PointSegmenter
from ...labels import POINT_CLASSES

PICTURES = 6
"""How many sweeps are drawn."""

_AROUND = BirdsEyeConfig(forward=40.0, backward=40.0, side=20.0, width=1280)


def judge(
    drives: Sequence[FrameSource],
    model: Path,
    pictures: Path,
    device: str = 'auto',
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """
    Score a student and draw some of what it says.

    Parameters
    ----------
    drives
        Of the feature cache.
    model
        The student, a checkpoint of kind 'point'.
    pictures
        Folder for pictures from above: the teacher's labels over the student's.
    device
        As `PointSegmenter` takes it.
    watch
        Told how many sweeps are done and how many there are.

    Returns
    -------
    str
        Tables: agreement with the teacher where it has classes, and IoU where sweeps have labels.

    """
    segmenter = PointSegmenter(model, device)
    agreement, truth = StreetScores(), ConfusionMatrix(POINT_CLASSES)
    places = [(drive, index) for drive in drives for index in range(len(drive))]
    drawn = set(np.linspace(0, len(places) - 1, PICTURES).astype(int).tolist())
    pictures.mkdir(parents=True, exist_ok=True)
    for number, (drive, index) in enumerate(places):
        frame = drive.frame(index)
        label = segmenter(frame.cloud.points, frame.cloud.intensity).label
        teacher, _ = own_labels(frame)
        agreement.add(teacher, label)
        if frame.cloud.label is not None:
            truth.add(frame.cloud.label, label)
        if number in drawn:
            save_picture(pictures / f'{number:06d}.png', draw(frame, teacher, label))
        watch(number + 1, len(places))
    found = [f'{len(places)} sweeps']
    if agreement.counts.any():
        found.append(f"Agreement with the teacher, in the pictures' view:\n{agreement.table()}")
    if truth.counts.any():
        found.append(f'Against the labels:\n{truth.table()}')
    return '\n\n'.join(found)


def draw(frame: DistillationFrame, teacher: np.ndarray, label: np.ndarray) -> np.ndarray:
    """
    Return a sweep from above (h, w, 3) uint8, once as the teacher and once as the student sees it.

    Parameters
    ----------
    frame
        The sweep.
    teacher, label
        (N,) class ids.

    """
    above = BirdsEye(_AROUND)
    parts = []
    for title, labels in (('teacher', teacher), ('student', label)):
        rgb = above.draw(frame.cloud.points, labels)
        write(rgb, title, 10, 20, size=0.5)
        parts.append(rgb)
    return np.concatenate([*parts, legend(POINT_CLASSES, _AROUND.width)])
