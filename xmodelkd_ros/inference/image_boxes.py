"""Boxes in images: x0, y0, x1, y1, the edges of what they hold."""

from __future__ import annotations

import numpy as np


def bounding_boxes(masks: np.ndarray) -> np.ndarray:
    """
    Return the boxes around masks.

    Parameters
    ----------
    masks
        (Q, h, w) bool.

    Returns
    -------
    np.ndarray
        (Q, 4) float32: x0, y0, x1, y1 in cells, edges not centres; zeros for an empty mask.

    """
    if masks.size == 0:
        return np.zeros((len(masks), 4), np.float32)
    limits = []
    for axis in (1, 2):
        covered: np.ndarray = np.any(masks, axis)  # (Q, w), then (Q, h)
        size = covered.shape[1]
        empty = ~np.any(covered, 1)
        limits.append(np.where(empty, 0, covered.argmax(1)))
        limits.append(np.where(empty, 0, size - covered[:, ::-1].argmax(1)))
    x0, x1, y0, y1 = limits
    return np.stack((x0, y0, x1, y1), 1).astype(np.float32)


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """
    Return the intersection over union of each pair of boxes.

    Parameters
    ----------
    first, second
        (A, 4) and (B, 4).

    Returns
    -------
    np.ndarray
        (A, B) in 0..1.

    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    area = [(box[:, 2:] - box[:, :2]).prod(1) for box in (first, second)]
    return shared / np.maximum(area[0][:, None] + area[1][None] - shared, 1e-6)


def near(first: np.ndarray, second: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """
    Tell which boxes meet one another once the second ones are grown.

    Parameters
    ----------
    first, second
        (A, 4) and (B, 4).
    slack
        (B,) by how much the second ones grow on each side.

    Returns
    -------
    np.ndarray
        (A, B) bool.

    """
    low = first[:, None, 2:] >= second[None, :, :2] - slack[:, None]
    high = first[:, None, :2] <= second[None, :, 2:] + slack[:, None]
    return (low & high).all(2)
