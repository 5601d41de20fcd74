"""Pairs of points and pixels, and the carrying of values between them."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Pairing:
    """
    The points of a cloud that a picture shows, and where it shows them.

    Parameters
    ----------
    index
        (M,) int64 rows of the cloud, increasing.
    pixels
        (M, 2) float32 u, v; (0, 0) is the centre of the top left pixel.
    depth
        (M,) float32 distance along the optical axis, m.

    """

    index: np.ndarray
    pixels: np.ndarray
    depth: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


def sample_nearest(image: np.ndarray, pairing: Pairing) -> np.ndarray:
    """Return the values (M, ...) of an image (H, W, ...) at the pixel nearest to each point."""
    height, width = image.shape[:2]
    column, row = np.floor(pairing.pixels.T + 0.5).astype(np.int64)
    return image[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def sample_bilinear(image: np.ndarray, pairing: Pairing) -> np.ndarray:
    """Return values (M, ...) float32 of an image (H, W, ...) between its pixels, edges held."""
    height, width = image.shape[:2]
    u = np.clip(pairing.pixels[:, 0], 0, width - 1)
    v = np.clip(pairing.pixels[:, 1], 0, height - 1)
    left = np.minimum(u.astype(np.int64), max(width - 2, 0))
    top = np.minimum(v.astype(np.int64), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    broadcast = (-1, *[1] * (image.ndim - 2))
    share_u = (u - left).astype(np.float32).reshape(broadcast)
    share_v = (v - top).astype(np.float32).reshape(broadcast)
    upper = image[top, left] * (1 - share_u) + image[top, right] * share_u
    lower = image[bottom, left] * (1 - share_u) + image[bottom, right] * share_u
    return (upper * (1 - share_v) + lower * share_v).astype(np.float32)
