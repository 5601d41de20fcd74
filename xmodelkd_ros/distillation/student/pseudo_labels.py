"""Labels from those who may err: image teachers."""

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
    said = views.mean_probability(count)
    known = said[:, [row.id - 1 for row in classes if row.id != SKY.id]]
    best = known.argmax(1)
    confidence = known[np.arange(count), best]
    return np.where(confidence > 0, best, -1), confidence


def trust(confidence: np.ndarray, floor: float) -> np.ndarray:
    """Return (N,) float32 weights: 0 at a confidence of `floor` and below, 1 at 1."""
    return ((confidence - floor) / (1 - floor)).clip(0, 1).astype(np.float32)
