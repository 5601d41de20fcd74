"""Scores of a point segmenter on labelled drives, by the predictor that the node runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ..cache import cached_drives
from ...errors import BagError
from ...evaluation.environment import describe_model
from ...evaluation.segmentation import ConfusionMatrix
from ...inference.point_segmenter import PointSegmenter
from ...labels import TRUE_POINTS


def evaluate_point(
    drives: Sequence[str | Path], model: Path, device: str, cache: Path, precision: str = 'auto'
) -> str:
    """
    Return the IoU of each class as a table, and of which model.

    Parameters
    ----------
    drives
        Labelled bags, or folders of the array cache.
    model
        Checkpoint of kind 'point'.
    device
        As `PointSegmenter` takes it.
    cache
        Where bags are kept as arrays.
    precision
        As `PointSegmenter` takes it.

    Raises
    ------
    BagError
        If a drive has no point labels.

    """
    segmenter = PointSegmenter(model, device, precision)
    confusion = ConfusionMatrix(segmenter.classes)
    places = [(d, i) for d in cached_drives(drives, cache) for i in range(len(d))]
    for drive, index in tqdm(places, desc='sweeps', unit='sweep', disable=None):
        cloud = drive.cloud(index)
        if cloud.label is None:
            raise BagError(f'{drive.folder} has no point labels, as those of {TRUE_POINTS}')
        confusion.add(cloud.label, segmenter(cloud.points, cloud.intensity).label)
    said = describe_model(model, segmenter.sha256)
    return f'{len(places)} sweeps\n{confusion.table()}\n\n{said}'
