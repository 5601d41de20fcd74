"""
Which points of a sweep another sweep finds gone: what has moved in between.

The other sweep's returns are kept in cells of azimuth and elevation. A point is *there* if a
return of its own or a neighbouring cell is as far as it is, *gone* if all of these are farther,
so that rays of the other sweep went on through its place, and else not known: hidden behind
something, or out of the other sweep's view. Our own rule, after the visibility test that map
cleaning uses (Pomerleau et al. 2014; Kim and Kim 2020), on single sweeps.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...config import setting


@dataclasses.dataclass(frozen=True)
class MovingConfig:
    """When a point counts as gone."""

    cell: float = setting(
        0.5, 'cell that returns are kept in; rows are higher where the beams are wider apart',
        unit='deg', low=0.1, high=10.0)
    absolute: float = setting(0.5, 'difference in range that is none yet', unit='m', low=0.0)
    relative: float = setting(
        0.02, 'the same as a share of the range, added to it', low=0.0, high=1.0)


class RangeCells:
    """
    The nearest and the farthest return of a sweep in each direction.

    Parameters
    ----------
    points
        (M, 3) lidar frame, m; rows may be NaN.
    config
        Size of the cells.

    """

    def __init__(self, points: np.ndarray, config: MovingConfig) -> None:
        self._config = config
        points = points[np.isfinite(points).all(1)]
        azimuth, elevation, distance = _spherical(points)
        self._columns = max(3, round(360 / config.cell))
        self._row_height = max(config.cell, _beam_spacing(elevation))
        shape = int(180 / self._row_height) + 3, self._columns + 2
        nearest, farthest = np.full(shape, np.inf, np.float32), np.zeros(shape, np.float32)
        cell = self._cells(azimuth, elevation)
        np.minimum.at(nearest.reshape(-1), cell, distance)
        np.maximum.at(farthest.reshape(-1), cell, distance)
        for image in (nearest, farthest):  # the circle closes
            image[:, 0], image[:, -1] = image[:, -2], image[:, 1]
        self._nearest, self._farthest = nearest.reshape(-1), farthest.reshape(-1)

    def compare(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Return which points are gone and which are there, (N,) bool each.

        Parameters
        ----------
        points
            (N, 3) in the frame of this sweep, m; what is not finite is neither.

        """
        finite = np.isfinite(points).all(1)
        azimuth, elevation, distance = _spherical(np.where(finite[:, None], points, 0))
        tolerance = self._config.absolute + self._config.relative * distance
        center = self._cells(azimuth, elevation)
        before: np.ndarray = np.full(len(points), np.inf, np.float32)
        there = np.zeros(len(points), bool)
        width = self._columns + 2
        for step in (r * width + c for r in (-1, 0, 1) for c in (-1, 0, 1)):
            nearest = self._nearest.take(center + step)
            before = np.minimum(before, nearest)
            there |= np.abs(nearest - distance) < tolerance
            there |= np.abs(self._farthest.take(center + step) - distance) < tolerance
        gone = finite & np.isfinite(before) & (before > distance + tolerance)
        return gone, there & finite

    def _cells(self, azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        """Return the number of the cell of directions, deg: rows and columns from 1 on."""
        row = ((elevation + 90) / self._row_height).astype(np.int64) + 1
        column = ((azimuth + 180) * (self._columns / 360)).astype(np.int64)
        return row * (self._columns + 2) + np.minimum(column, self._columns - 1) + 1


def _spherical(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return azimuth and elevation, deg, and range, m, (N,) each."""
    x, y, z = points.T
    level = np.hypot(x, y)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, level)), np.hypot(level, z)


def _beam_spacing(elevation: np.ndarray) -> float:
    """Return the widest gap between the elevations of the middle nine tenths of returns, deg."""
    if len(elevation) == 0:
        return 0.0
    counts = np.bincount(((elevation + 90) * 10).astype(np.int64))
    share = counts.cumsum() / len(elevation)
    middle = counts[np.searchsorted(share, 0.05):np.searchsorted(share, 0.95) + 1]
    return 0.1 * float(np.diff(np.flatnonzero(middle)).max(initial=0))
