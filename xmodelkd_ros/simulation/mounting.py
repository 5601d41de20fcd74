"""Where the sensors sit on the vehicle, and its cameras; as on the KITTI car."""

from __future__ import annotations

import numpy as np

from ..geometry.cameras import Camera

LIDAR_HEIGHT = 1.73
"""Height of the LiDAR over the road, m."""
BASE_FROM_LIDAR = np.eye(4)
"""(4, 4): the LiDAR is over the origin of the vehicle, which is its middle, on the road."""
BASE_FROM_LIDAR[2, 3] = LIDAR_HEIGHT

_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
HEADINGS = {'front': 0.0, 'left': 0.5 * np.pi, 'right': -0.5 * np.pi, 'rear': np.pi}
"""Where the cameras look, rad from the vehicle's heading."""
# focal length, principal point and size of KITTI's rectified colour camera, pixels
_FOCAL, _CENTRE_X, _CENTRE_Y, _WIDTH, _HEIGHT = 721.54, 609.56, 172.85, 1242, 375
_DISTORTION = (-0.30, 0.10, 0.0006, -0.0004, -0.015)


def base_from_camera(name: str) -> np.ndarray:
    """Return the 4 by 4 base_from_camera, optical frame: front, left, right or rear."""
    yaw = HEADINGS[name]
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    transform = np.eye(4)
    transform[:3, :3] = turn @ _OPTICAL
    transform[:3, 3] = BASE_FROM_LIDAR[:3, 3] + turn @ (0.27, 0.06, -0.08)
    return transform


def make_camera(width: int, height: int, distorted: bool) -> Camera:
    """Return a camera with KITTI's field of view across, whatever the size of the picture."""
    scale = width / _WIDTH
    focal = _FOCAL * scale
    centre = (_CENTRE_X * scale, (_CENTRE_Y + 0.5) * scale + 0.5 * (height - _HEIGHT * scale))
    if not distorted:
        return Camera.pinhole(width, height, focal, focal, *centre)
    matrix = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    projection = np.hstack([matrix, np.zeros((3, 1))])
    return Camera(
        width, height, matrix, np.array(_DISTORTION), 'plumb_bob', np.eye(3), projection, False
    )
