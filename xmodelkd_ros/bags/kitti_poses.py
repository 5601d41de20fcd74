"""Where the vehicle was: KITTI's GPS/IMU packets and SemanticKITTI's pose files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .kitti_numbers import read_table
from ..errors import BagError
from ..geometry.transforms import interpolate, invert, is_rigid

EARTH_RADIUS = 6378137.0
"""Of KITTI's Mercator projection, m."""

_EXTRAPOLATION_LIMIT = 200_000_000


def odom_from_imu(packets: list[Path]) -> np.ndarray:
    """
    Return the poses of GPS/IMU packets: Mercator projection as in KITTI's development kit.

    Parameters
    ----------
    packets
        M files of oxts/data, of which latitude, longitude (degrees), altitude (m), roll, pitch
        and yaw (rad, yaw 0 is east) are used.

    Returns
    -------
    np.ndarray
        (M, 4, 4): x east, y north, z up, with the origin at the first pose.

    Raises
    ------
    BagError
        If a file is no packet, or its place is a pole or beyond.

    """
    values = np.array([_packet(path) for path in packets])
    latitude, longitude, altitude = values[:, 0], values[:, 1], values[:, 2]
    scale = np.cos(np.radians(latitude[0])) * EARTH_RADIUS
    east = scale * np.radians(longitude)
    north = scale * np.log(np.tan(np.radians(90.0 + latitude) / 2))
    poses = np.tile(np.eye(4), (len(values), 1, 1))
    poses[:, :3, :3] = _turned(*values[:, 3:6].T)
    poses[:, :3, 3] = np.stack([east, north, altitude], 1)
    poses[:, :3, 3] -= poses[0, :3, 3].copy()
    return poses


def _packet(path: Path) -> np.ndarray:
    rows = read_table(path, 6, more=True)
    if len(rows) != 1:
        raise BagError(f'{path} is no GPS/IMU packet: {len(rows)} lines, 1 is needed')
    if not abs(rows[0, 0]) < 90:
        raise BagError(f'{path} has a latitude of {rows[0, 0]} degrees')
    return rows[0]


def _turned(roll: np.ndarray, pitch: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Return (M, 3, 3) Rz(yaw) Ry(pitch) Rx(roll)."""
    def about(axis: int, angle: np.ndarray) -> np.ndarray:
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turns = np.tile(np.eye(3), (len(angle), 1, 1))
        turns[:, first, first] = turns[:, second, second] = np.cos(angle)
        turns[:, second, first] = np.sin(angle)
        turns[:, first, second] = -np.sin(angle)
        return turns

    return about(2, yaw) @ about(1, pitch) @ about(0, roll)


def odom_from_lidar(path: Path, camera0_from_lidar: np.ndarray) -> np.ndarray:
    """
    Read a SemanticKITTI poses.txt, whose poses are those of rectified camera 0.

    Returns
    -------
    np.ndarray
        (M, 4, 4): the frame is the lidar's at the first pose.

    Raises
    ------
    BagError
        If a line does not hold a rigid transform.

    """
    rows = read_table(path, 12)
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = rows.reshape(-1, 3, 4)
    for number in range(len(poses)):
        if not is_rigid(poses[number]):
            raise BagError(f'{path}: pose {number} is not rigid: {rows[number].tolist()}')
    return invert(camera0_from_lidar) @ poses @ camera0_from_lidar


def cover(
    stamps: np.ndarray, poses: np.ndarray, first: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """
    Extend poses at constant speed so that the first and the last sweep have one.

    A packet's stamp is not its sweep's, so that the first sweep may be before all packets.
    Gaps of more than 0.2 s are left.

    Parameters
    ----------
    stamps, poses
        (M,) int64 ns, ascending, and (M, 4, 4).
    first, last
        Stamps to reach, ns.

    """
    if len(stamps) < 2:
        return stamps, poses
    if 0 < stamps[0] - first <= _EXTRAPOLATION_LIMIT:
        pose = _line(stamps[:2], poses[:2], first)
        stamps, poses = np.append(first, stamps), np.concatenate([pose, poses])
    if 0 < last - stamps[-1] <= _EXTRAPOLATION_LIMIT:
        pose = _line(stamps[-2:], poses[-2:], last)
        stamps, poses = np.append(stamps, last), np.concatenate([poses, pose])
    return stamps, poses


def _line(stamps: np.ndarray, poses: np.ndarray, stamp: int) -> np.ndarray:
    """Return (1, 4, 4): the pose at `stamp` of a steady motion through two poses."""
    share = (stamp - stamps[0]) / (stamps[1] - stamps[0])
    return interpolate(poses[0], poses[1], np.array([share]))
