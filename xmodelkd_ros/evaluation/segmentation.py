"""Semantic segmentation: confusion matrix and intersection over union."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .tables import format_table, Value
from ..labels import channel_table, SemanticClass


class ConfusionMatrix:
    """
    Counts true against predicted classes, where the truth is one of the classes.

    Parameters
    ----------
    classes
        The classes that count, in the order of the rows.

    Attributes
    ----------
    counts : np.ndarray
        (C, C + 1) int64: true class by predicted class; the last column is every other prediction.

    """

    def __init__(self, classes: Sequence[SemanticClass]) -> None:
        self.classes = tuple(classes)
        self.counts = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)
        self._row_of_id = channel_table(self.classes, len(self.classes))

    def add(self, true: np.ndarray, predicted: np.ndarray) -> None:
        """Count class ids of any one shape, unsigned integers of at most 16 bit."""
        if true.shape != predicted.shape:
            raise ValueError(f'true ids of shape {true.shape}, predicted {predicted.shape}')
        rows, columns = self._row_of_id[true.ravel()], self._row_of_id[predicted.ravel()]
        kinds = len(self.classes) + 1
        counts = np.bincount(rows * kinds + columns, minlength=kinds * kinds)
        self.counts += counts.reshape(kinds, kinds)[:-1]

    @property
    def iou(self) -> np.ndarray:
        """
        (C,) intersection over union, 0..1; NaN for a class that the truth does not hold.

        Predictions of such a class count against the classes whose elements they took.
        """
        hits, true = np.diagonal(self.counts), self.counts.sum(1)
        union = true + self.counts[:, :-1].sum(0) - hits
        return np.where(true > 0, hits / np.maximum(union, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that the truth holds; NaN where it holds none."""
        iou = self.iou
        present = ~np.isnan(iou)
        return float(iou[present].mean()) if present.any() else float('nan')

    def table(self) -> str:
        """Return IoU, precision and recall by class as text."""
        hits, true = np.diagonal(self.counts), self.counts.sum(1)
        predicted = self.counts[:, :-1].sum(0)
        with np.errstate(invalid='ignore', divide='ignore'):
            columns = (100 * self.iou, 100 * hits / predicted, 100 * hits / true)
        rows: list[tuple[Value, ...]] = [
            (c.name, int(true[i]), *(float(column[i]) for column in columns))
            for i, c in enumerate(self.classes)
        ]
        rows.append(('mean of the present', int(true.sum()), 100 * self.mean_iou, None, None))
        headers = ('class', 'true ones', 'IoU [%]', 'precision [%]', 'recall [%]')
        return format_table(headers, rows)
