"""Points on pictures."""

from __future__ import annotations

import numpy as np


def draw_points(
    rgb: np.ndarray, pixels: np.ndarray, colors: np.ndarray, size: int = 2
) -> None:
    """
    Set a square of pixels around each point to its colour, in place; later points cover earlier.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    pixels
        (M, 2) u, v; points at the border are moved inside.
    colors
        (M, 3) uint8.
    size
        Side of the square, pixels.

    """
    height, width = rgb.shape[:2]
    left, top = np.floor(pixels.T - (size - 2) / 2).astype(np.int64)
    corner = np.clip(top, 0, height - size) * width + np.clip(left, 0, width - size)
    flat = rgb.reshape(-1, 3)
    for row in range(size):
        for column in range(size):
            flat[corner + row * width + column] = colors
