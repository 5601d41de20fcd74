"""Scores of recorded results against the ground truth of a simulated drive."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from .reader import BagReader
from .results import RecordedResults
from ..errors import BagError
from ..evaluation.segmentation import ConfusionMatrix
from ..evaluation.video import TrackEvaluation, TrackScores
from ..labels import POINT_CLASSES
from ..messages.clouds import cloud_from_message
from ..messages.images import mask_from_message
from ..messages.stamps import nanoseconds
from ..records import Cloud


@dataclasses.dataclass(frozen=True)
class DriveScores:
    """
    How well a drive was perceived.

    Parameters
    ----------
    points
        Confusion of point labels.
    tracks
        Scores of the tracked masks.
    clouds, images
        How many were compared.

    """

    points: ConfusionMatrix
    tracks: TrackScores
    clouds: int
    images: int


def score_results(results: RecordedResults, drive: str | Path) -> DriveScores:
    """
    Compare what was published with the ground-truth topics of the drive that was played.

    Clouds and images are matched by their stamps; those that were not used do not count.
    """
    clouds, confusion = 0, ConfusionMatrix(POINT_CLASSES)
    predicted = ((cloud.stamp, cloud) for cloud in results.clouds())
    for cloud, message in _joined(predicted, _by_stamp(drive, '/ground_truth/points')):
        truth = cloud_from_message(message)
        confusion.add(_labels(truth), _labels(cloud))
        clouds += 1
    images, evaluation = 0, TrackEvaluation()
    for camera in results.cameras():
        images += _add_tracks(evaluation, results, drive, camera)
    return DriveScores(confusion, evaluation.scores(), clouds, images)


def _add_tracks(
    evaluation: TrackEvaluation, results: RecordedResults, drive: str | Path, camera: str
) -> int:
    """Add the images of one camera to an evaluation and return how many there were."""
    count = 0
    labels = _by_stamp(drive, f'/ground_truth/{camera}/label')
    instances = _by_stamp(drive, f'/ground_truth/{camera}/instance')
    for tracks, label, instance in _joined(results.tracks(camera), labels, instances):
        true_id, true_class = mask_from_message(instance), mask_from_message(label)
        evaluation.add(f'{drive}/{camera}', true_id, true_class, tracks)
        count += 1
    return count


def _labels(cloud: Cloud) -> np.ndarray:
    if cloud.label is None:
        raise BagError('a cloud has no field label, which scores need')
    return cloud.label


def _by_stamp(bag: str | Path, topic: str) -> Iterator[tuple[int, Any]]:
    with BagReader(bag) as reader:
        reader.require(topic)
        for _, _, message in reader.messages([topic]):
            yield nanoseconds(message.header.stamp), message


def _joined(*streams: Iterator[tuple[int, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield the items of equal stamps from streams that are in the order of their stamps."""
    heads = [next(stream, None) for stream in streams]
    while None not in heads:
        stamps = [head[0] for head in heads if head is not None]
        needed = max(stamps)
        if min(stamps) == needed:
            yield tuple(head[1] for head in heads if head is not None)
            needed += 1
        heads = [
            next(stream, None) if stamp < needed else head
            for stream, stamp, head in zip(streams, stamps, heads, strict=True)
        ]
