"""Labels from those who may err: image teachers, and students on sweeps that no camera saw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..records import PointViews
from ...labels import SemanticClass, SKY


def vote(
    views: PointViews, count: int, classes: Sequence[SemanticClass]
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the class that the views of each point agree on, and how much they do.

    Parameters
    ----------
    views
        What the teacher says.
    count
        Number of points.
    classes
        Row c is channel c.

    Returns
    -------
    channel
        (count,) int64, -1 for a point of which no view says anything.
    confidence
        (count,) float32: mean probability over the views, 0..1. What the teacher takes for sky
        counts against every class, as a point is never sky.

    """
    channel, confidence = np.full(count, -1, np.int64), np.zeros(count, np.float32)
    if views.probability is None or not len(views):
        return channel, confidence
    first = np.flatnonzero(np.diff(views.point, prepend=-1))
    rows = np.diff(first, append=len(views))
    said = np.add.reduceat(views.probability.astype(np.float32), first) / rows[:, None]
    known = said[:, [row.id - 1 for row in classes if row.id != SKY.id]]
    seen = views.point[first]
    best = known.argmax(1)
    confidence[seen] = known[np.arange(len(seen)), best]
    channel[seen] = np.where(confidence[seen] > 0, best, -1)
    return channel, confidence


def trust(confidence: np.ndarray, floor: float) -> np.ndarray:
    """Return (N,) float32 weights: 0 at a confidence of `floor` and below, 1 at 1."""
    return ((confidence - floor) / (1 - floor)).clip(0, 1).astype(np.float32)
