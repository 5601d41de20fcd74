"""
Which points of a cloud are the nearest surface where a picture shows them.

The lidar looks past edges that the camera does not see past, so points of the background fall on
pixels of the foreground. A z-buffer of coarse cells keeps the nearest depth of each, and a point
is hidden by what is nearer in its own cell, or on both of two opposite sides of it: that closes
the gaps between the beams of a near surface, and leaves alone the far ground, which has nearer
ground below it but none above. Where the jump in depth is large one side is enough. The price is
a band of about a cell of the background around near objects, a loss of pairs, never of labels.
A plain minimum filter finds as many hidden points but takes away five to ten times as many
visible ones, and with them nearly all ground beyond 25 m.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .cameras import Camera
from ..config import setting

REACH = 2
"""How many cells to each side a surface is looked for."""


@dataclasses.dataclass(frozen=True)
class OcclusionConfig:
    """How points behind a nearer surface are found."""

    enabled: bool = setting(True, 'leave out points that a nearer surface hides')
    cell: float = setting(
        0.25, 'cell of the z-buffer, about half the spacing of the beams', unit='deg',
        low=0.01, high=10.0,
    )
    absolute: float = setting(
        0.3, 'depth behind the nearest surface that is still visible', unit='m',
        low=0.0, high=10.0,
    )
    relative: float = setting(
        0.05, 'the same as a share of the depth, added to it', low=0.0, high=1.0
    )
    edge: float = setting(
        1.5, 'a surface this many times nearer hides what is beside it in the next cell too',
        low=1.0, high=1000.0,
    )


def is_visible(
    pixels: np.ndarray, depth: np.ndarray, camera: Camera, config: OcclusionConfig
) -> np.ndarray:
    """
    Return which points no other of these points hides.

    Parameters
    ----------
    pixels
        (M, 2) float32 inside the picture.
    depth
        (M,) float32, m, greater than 0.
    camera
        Camera of the picture: its size and focal length.
    config
        Cell size and tolerances.

    Returns
    -------
    np.ndarray
        (M,) bool.

    """
    cell = max(1.0, camera.matrix[0, 0] * np.radians(config.cell))
    column, row = ((pixels.T + 0.5) / cell).astype(np.int64)
    size = (int(camera.height / cell) + 1, int(camera.width / cell) + 1)
    nearest = _nearest(row, column, depth, size)
    behind = depth - config.absolute
    hidden = behind > (1 + config.relative) * _surface(nearest, size)[row, column]
    hidden |= behind > config.edge * _around(nearest, size)[row, column]
    return ~hidden


def _nearest(
    row: np.ndarray, column: np.ndarray, depth: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Return the smallest depth of each cell, with `REACH` empty cells around them all."""
    nearest = np.full((size[0] + 2 * REACH, size[1] + 2 * REACH), np.inf, np.float32)
    flat = (row + REACH) * nearest.shape[1] + column + REACH
    np.minimum.at(nearest.reshape(-1), flat, depth)
    return nearest


def _shifted(nearest: np.ndarray, size: tuple[int, int], rows: int, columns: int) -> np.ndarray:
    """Return for each cell what is `rows` below and `columns` right of it."""
    top, left = REACH + rows, REACH + columns
    return nearest[top:top + size[0], left:left + size[1]]


def _surface(nearest: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the depth of the nearest surface that covers each cell or lies on both sides."""
    surface = _shifted(nearest, size, 0, 0)
    for rows, columns in ((1, 0), (0, 1)):
        sides = [
            np.minimum.reduce([
                _shifted(nearest, size, sign * step * rows, sign * step * columns)
                for step in range(1, REACH + 1)
            ])
            for sign in (-1, 1)
        ]
        surface = np.minimum(surface, np.maximum(*sides))
    return surface


def _around(nearest: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the smallest depth of each cell and its eight neighbours."""
    shifts = [(rows, columns) for rows in (-1, 0, 1) for columns in (-1, 0, 1)]
    return np.minimum.reduce([_shifted(nearest, size, *shift) for shift in shifts])
