"""Whether confidences mean what they say."""

from __future__ import annotations

import numpy as np


class ConfidenceCalibration:
    """
    Compares confidences with how often they are right (Guo et al. 2017, equal-width bins).

    Parameters
    ----------
    bins
        Number of bins over 0..1.

    """

    def __init__(self, bins: int = 15) -> None:
        self.count = np.zeros(bins, np.int64)
        self._confidence = np.zeros(bins)
        self._correct = np.zeros(bins)

    def add(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """Count confidences (N,) in 0..1 and whether each prediction was right (N,) bool."""
        bins = len(self.count)
        which = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
        self.count += np.bincount(which, minlength=bins)
        self._confidence += np.bincount(which, confidence, minlength=bins)
        self._correct += np.bincount(which, correct, minlength=bins)

    @property
    def confidence(self) -> np.ndarray:
        """(bins,) mean confidence, NaN for an empty bin."""
        return np.where(self.count, self._confidence / np.maximum(self.count, 1), np.nan)

    @property
    def accuracy(self) -> np.ndarray:
        """(bins,) share of right predictions, NaN for an empty bin."""
        return np.where(self.count, self._correct / np.maximum(self.count, 1), np.nan)

    @property
    def expected_error(self) -> float:
        """Return the expected calibration error, 0..1; NaN before anything is counted."""
        total = self.count.sum()
        gap = np.abs(self._confidence - self._correct).sum()
        return float(gap / total) if total else float('nan')
