"""Upright 3D boxes of the points of each track."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from ..records import Boxes, Tracks

FEWEST_POINTS = 5
"""A track with fewer points gets no box: its extent would be noise."""

GAP, GAP_GROWTH = 0.25, 0.01
"""Things stand apart, seen from above, if the gap is as wide, m, and for each metre of range."""

_REACH = 500
"""Parts are told from one another so many gaps around the middle of a track."""


def fit_boxes(points: np.ndarray, instance: np.ndarray, tracks: list[Tracks]) -> Boxes:
    """
    Return the box of each track's points: the rectangle of least area seen from above.

    The sides are those of the rectangle (rotating calipers, Toussaint 1983), which for the
    L-shaped outline that a LiDAR sees of a vehicle are the vehicle's; the box covers the points
    that were seen, not what lies behind them. Of points that fall apart, as where a mask covers
    two parked cars, the largest part counts: cells, as wide as the gap at their range, that touch.

    Parameters
    ----------
    points
        (N, 3) float32, lidar frame, m.
    instance
        (N,) uint16 track ids, 0 none.
    tracks
        Tracks of all cameras.

    Returns
    -------
    Boxes
        In the lidar frame, by ascending track id; `yaw` is the direction of the longer side in
        -pi/2..pi/2, since points alone do not tell the front from the back.

    """
    painted = np.flatnonzero(instance)
    painted = painted[np.argsort(instance[painted], kind='stable')]
    ids, first, counts = np.unique(instance[painted], return_index=True, return_counts=True)
    parts = [
        _largest_part(points[painted[start:start + count]])
        for start, count in zip(first, counts, strict=True)
    ]
    enough = np.array([len(part) >= FEWEST_POINTS for part in parts], bool)
    boxes = [fit_box(part) for part in itertools.compress(parts, enough)]
    rows = np.array(boxes, np.float32).reshape(-1, 7)
    class_id, score = _look_up(ids[enough], tracks)
    return Boxes(ids[enough], class_id, score, rows[:, :3], rows[:, 3:6], rows[:, 6])


def fit_box(points: np.ndarray) -> tuple[float, ...]:
    """Return centre x, y, z, length, width, height, m, and yaw, rad, of the box of (M, 3)."""
    (x, y), (length, width), angle = cv2.minAreaRect(points[:, :2].copy())
    if length < width:
        length, width, angle = width, length, angle + 90
    low, high = points[:, 2].min(), points[:, 2].max()
    yaw = np.deg2rad((angle + 90) % 180 - 90)
    return x, y, (low + high) / 2, length, width, high - low, yaw


def _largest_part(points: np.ndarray) -> np.ndarray:
    """Return those of points (M, 3), M > 0, that are of the largest part, seen from above."""
    place = points[:, :2]
    middle = np.median(place, 0)
    gap = GAP + GAP_GROWTH * np.hypot(*middle)
    cells = np.clip(np.floor((place - middle) / gap), -_REACH, _REACH).astype(int)
    row, column = (cells - cells.min(0)).T
    grid = np.zeros((row.max() + 1, column.max() + 1), np.uint8)
    grid[row, column] = 1
    part = cv2.connectedComponents(grid, connectivity=8)[1][row, column]
    return points[part == np.bincount(part).argmax()]


def _look_up(ids: np.ndarray, tracks: list[Tracks]) -> tuple[np.ndarray, np.ndarray]:
    """Return class ids (B,) uint16 and scores (B,) float32 of track ids (B,)."""
    known = {
        int(track): (class_id, score)
        for one in tracks
        for track, class_id, score in zip(one.track_id, one.class_id, one.score, strict=True)
    }
    found = [known[int(track)] for track in ids]
    return (
        np.array([class_id for class_id, _ in found], np.uint16),
        np.array([score for _, score in found], np.float32),
    )
