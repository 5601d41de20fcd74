"""Points on pictures."""

from __future__ import annotations

import numpy as np


def draw_points(rgb: np.ndarray, pixels: np.ndarray, colors: np.ndarray) -> None:
    """
    Set the 2 x 2 pixels under each point to its colour, in place; later points cover earlier.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    pixels
        (M, 2) u, v; points at the border are moved inside.
    colors
        (M, 3) uint8.

    """
    height, width = rgb.shape[:2]
    column = np.clip(np.floor(pixels[:, 0]).astype(np.int64), 0, width - 2)
    row = np.clip(np.floor(pixels[:, 1]).astype(np.int64), 0, height - 2)
    flat = rgb.reshape(-1, 3)
    for offset in (0, 1, width, width + 1):
        flat[row * width + column + offset] = colors
