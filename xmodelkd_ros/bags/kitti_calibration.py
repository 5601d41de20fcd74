"""
KITTI's calibration files as camera models and transforms.

KITTI projects a lidar point X of a rectified image `xx` by P_rect_xx R_rect_00 T_velo_to_cam X,
where P_rect_xx = K [I | t] and t is the rectified camera's place as seen from rectified camera
0. Here each camera has a frame of its own: t goes into the transform, and the camera's P has no
fourth column. The pixels are the same. A camera of rectified pictures is one without distortion,
so that K and P say the same of them, and its frame is the rectified one.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from pathlib import Path

import numpy as np

from ..errors import CalibrationError
from ..geometry.cameras import Camera
from ..geometry.transforms import invert, is_rigid

CAMERAS = ('00', '01', '02', '03')
"""KITTI's numbers: 00 and 01 are grey, 02 and 03 in colour; even ones are left."""


@dataclasses.dataclass(frozen=True)
class MountedCamera:
    """
    A camera and its place.

    Parameters
    ----------
    camera
        Model of its pictures.
    camera_from_lidar
        (4, 4), to the camera's optical frame: the rectified one if its pictures are rectified.

    """

    camera: Camera
    camera_from_lidar: np.ndarray


def camera_name(number: str) -> str:
    """Return the topic namespace and TF frame of KITTI camera `number`: 'camera_02'."""
    return f'camera_{number}'


def raw_drive_camera(folder: Path, number: str, size: tuple[int, int]) -> MountedCamera:
    """
    Read a camera of a raw drive: raw if its pictures have the sensor's size, else rectified.

    Parameters
    ----------
    folder
        The day's folder, with calib_cam_to_cam.txt and calib_velo_to_cam.txt.
    number
        One of `CAMERAS`.
    size
        Width and height of its pictures, pixels.

    Raises
    ------
    CalibrationError
        If a file or an entry is missing or no rigid calibration.

    """
    cameras = read_calibration(folder / 'calib_cam_to_cam.txt')
    camera0_from_lidar = _placed(read_calibration(folder / 'calib_velo_to_cam.txt'))
    width, height = entry(cameras, f'S_rect_{number}', (2,))
    projection = entry(cameras, f'P_rect_{number}', (3, 4))
    rectified0_from_lidar = _rotation(cameras, 'R_rect_00') @ camera0_from_lidar
    if size == (width, height) or not _is_raw(cameras, number, size):
        camera = _rectified((int(width), int(height)), projection)
        return MountedCamera(camera, _baseline(projection) @ rectified0_from_lidar)
    camera = Camera(
        *size, entry(cameras, f'K_{number}', (3, 3)), entry(cameras, f'D_{number}', (5,)),
        'plumb_bob', entry(cameras, f'R_rect_{number}', (3, 3)), _without_baseline(projection),
        rectified=False,
    )
    rectified_from_lidar = _baseline(projection) @ rectified0_from_lidar
    raw_from_rectified = invert(_rotation(cameras, f'R_rect_{number}'))
    return MountedCamera(camera, raw_from_rectified @ rectified_from_lidar)


def _is_raw(
    calibration: Mapping[str, np.ndarray], number: str, size: tuple[int, int]
) -> bool:
    name = f'S_{number}'
    return name in calibration and tuple(entry(calibration, name, (2,))) == size


def _rectified(size: tuple[int, int], projection: np.ndarray) -> Camera:
    pinhole = _without_baseline(projection)
    return Camera(*size, pinhole[:, :3], np.zeros(5), 'plumb_bob', np.eye(3), pinhole, True)


def rectified_camera(
    calibration: Mapping[str, np.ndarray], number: str, size: tuple[int, int]
) -> MountedCamera:
    """
    Return a camera of an object or odometry calibration, which holds rectified cameras alone.

    Parameters
    ----------
    calibration
        As `read_calibration` gives it; Tr of the odometry files ends in rectified camera 0,
        Tr_velo_to_cam of the object files in the raw one, to be turned by R0_rect.
    number
        One of `CAMERAS`.
    size
        Width and height of the picture, pixels.

    """
    projection = entry(calibration, f'P{int(number)}', (3, 4))
    camera = _rectified(size, projection)
    return MountedCamera(camera, _baseline(projection) @ rectified0_from_lidar(calibration))


def rectified0_from_lidar(calibration: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return (4, 4) lidar to rectified camera 0 of an object or odometry calibration."""
    if 'Tr' in calibration:
        return _rigid(entry(calibration, 'Tr', (3, 4)), 'Tr')
    camera0_from_lidar = _rigid(entry(calibration, 'Tr_velo_to_cam', (3, 4)), 'Tr_velo_to_cam')
    return _rotation(calibration, 'R0_rect') @ camera0_from_lidar


def lidar_from_imu(folder: Path) -> np.ndarray | None:
    """Return (4, 4) of a raw drive's calib_imu_to_velo.txt, None where there is none."""
    path = folder / 'calib_imu_to_velo.txt'
    return _placed(read_calibration(path)) if path.is_file() else None


def read_calibration(path: Path) -> dict[str, np.ndarray]:
    """
    Read the lines 'name: numbers' of a calibration file; lines of other things are left out.

    Raises
    ------
    CalibrationError
        If there is no such file.

    """
    if not path.is_file():
        raise CalibrationError(f'no calibration: {path} is missing')
    entries = {}
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        name, _, values = line.partition(':')
        try:
            entries[name.strip()] = np.array(values.split(), float)
        except ValueError:
            continue  # calib_time is text
    return entries


def entry(
    calibration: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]
) -> np.ndarray:
    """Return one entry in its shape; CalibrationError if it is missing, NaN, or of other size."""
    if name not in calibration:
        raise CalibrationError(f'calibration has no {name}, only ' + ', '.join(calibration))
    values = calibration[name]
    if values.size != np.prod(shape):
        raise CalibrationError(f'calibration {name} has {values.size} numbers, not {shape}')
    if not np.isfinite(values).all():
        raise CalibrationError(f'calibration {name} is not finite: {values.tolist()}')
    return values.reshape(shape)


def _placed(calibration: Mapping[str, np.ndarray]) -> np.ndarray:
    rotation, translation = entry(calibration, 'R', (3, 3)), entry(calibration, 'T', (3,))
    return _rigid(np.column_stack([rotation, translation]), 'R')


def _rotation(calibration: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return _rigid(np.column_stack([entry(calibration, name, (3, 3)), np.zeros(3)]), name)


def _rigid(matrix: np.ndarray, name: str) -> np.ndarray:
    """Return (3, 4) as (4, 4); CalibrationError unless it is rigid."""
    transform = np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
    if not is_rigid(transform):
        raise CalibrationError(f'calibration {name} is no rotation: {matrix[:, :3].tolist()}')
    return transform


def _baseline(projection: np.ndarray) -> np.ndarray:
    """Return (4, 4) rectified camera 0 to the rectified camera of P = K [I | t]."""
    transform = np.eye(4)
    transform[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
    return transform


def _without_baseline(projection: np.ndarray) -> np.ndarray:
    return np.column_stack([projection[:, :3], np.zeros(3)])
