"""Predicted tracks matched with true ones, precision and recall, as COCO and YouTube-VIS do."""

from __future__ import annotations

import dataclasses

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)


@dataclasses.dataclass(frozen=True)
class Matches:
    """Predicted tracks of one class and video, best first, at each of the IoU thresholds."""

    score: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    true_count: int


def match_tracks(iou: np.ndarray, small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Match greedily, best prediction first, as COCO does: true tracks that count come first.

    Parameters
    ----------
    iou
        (P, T) track IoU, best prediction first.
    small
        (T,) bool: true tracks that do not count.

    Returns
    -------
    hit, ignored : np.ndarray
        (thresholds, P) bool: matched at all, and matched to a true track that does not count.

    """
    hit, ignored = (np.zeros((len(IOU_THRESHOLDS), len(iou)), bool) for _ in range(2))
    for level, threshold in enumerate(IOU_THRESHOLDS):
        free = set(range(len(small)))
        for prediction, row in enumerate(iou):
            candidates = [(not small[t], row[t], t) for t in free if row[t] >= threshold - 1e-10]
            if candidates:
                counts, _, truth = max(candidates)
                free.remove(truth)
                hit[level, prediction], ignored[level, prediction] = True, not counts
    return hit, ignored


def precision_recall(
    matched: list[Matches], true_count: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision (thresholds, 101) at the recalls, and the final recall (thresholds,)."""
    score = np.concatenate([m.score[:limit] for m in matched])
    order = np.argsort(-score, kind='stable')
    hit = np.concatenate([m.hit[:, :limit] for m in matched], 1)[:, order]
    ignored = np.concatenate([m.ignored[:, :limit] for m in matched], 1)[:, order]
    hits, misses = np.cumsum(hit, 1), np.cumsum(~hit & ~ignored, 1)
    precision = np.zeros((len(hits), len(RECALLS)))
    recall = hits / true_count
    if len(score) == 0:
        return precision, np.zeros(len(hits))
    envelope = np.maximum.accumulate((hits / np.maximum(hits + misses, 1))[:, ::-1], 1)[:, ::-1]
    for level in range(len(hits)):
        position = np.searchsorted(recall[level], RECALLS, side='left')
        reached = position < len(score)
        precision[level, reached] = envelope[level, position[reached]]
    return precision, recall[:, -1]
