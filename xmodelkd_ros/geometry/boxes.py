"""Upright boxes in the lidar frame: centre, size (length, width, height) and yaw about +z."""

from __future__ import annotations

import numpy as np

_CORNERS = np.array([
    (x, y, z) for z in (-0.5, 0.5) for x, y in ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5))
])


def box_poses(center: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return lidar_from_box (B, 4, 4) of centres (B, 3), m, and yaw angles (B,), rad."""
    poses = np.tile(np.eye(4), (len(center), 1, 1))
    poses[:, 0, 0] = poses[:, 1, 1] = np.cos(yaw)
    poses[:, 1, 0] = np.sin(yaw)
    poses[:, 0, 1] = -poses[:, 1, 0]
    poses[:, :3, 3] = center
    return poses


def box_corners(center: np.ndarray, size: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """
    Return the corners (B, 8, 3) of boxes, lidar frame, m.

    The first four are the bottom, counter-clockwise from the front left; the others lie above.
    """
    poses = box_poses(center, yaw)
    corners = _CORNERS * np.asarray(size, float)[:, None]
    return corners @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3]


def points_in_boxes(
    points: np.ndarray, center: np.ndarray, size: np.ndarray, yaw: np.ndarray
) -> np.ndarray:
    """Return (B, N) bool: which points (N, 3), lidar frame, m, each box holds, faces included."""
    inside = np.zeros((len(center), len(points)), bool)
    columns = np.ascontiguousarray(points.T)
    half = 0.5 * np.asarray(size, float)
    with np.errstate(invalid='ignore'):
        for box, (pose, extent) in enumerate(zip(box_poses(center, yaw), half, strict=True)):
            from_center = columns[:2] - pose[:2, 3:].astype(points.dtype)
            near = np.flatnonzero((np.abs(from_center) <= np.hypot(*extent[:2]) + 1e-3).all(0))
            local = (points[near] - pose[:3, 3]) @ pose[:3, :3]
            inside[box, near] = (np.abs(local) <= extent).all(1)
    return inside
