"""
A drive of KITTI's raw data as a recording.

Frames: base_link is the IMU where it is calibrated, else the lidar; odom is east, north, up from
the first pose; the cameras' frames are those of their pictures, rectified in ..._sync drives.
Sweeps are stamped when the lidar faces forward, as KITTI does it, and logged when they end.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from pathlib import Path

import numpy as np

from .kitti_calibration import (
    camera_name,
    CAMERAS,
    lidar_from_imu,
    MountedCamera,
    raw_drive_camera,
)
from .kitti_poses import cover, odom_from_imu
from .kitti_stamps import frame_stamps, gaps
from .recording import Entry, Recording
from .sensor_files import (
    picture_entries,
    picture_files,
    read_picture,
    sweep_files,
    sweep_messages,
    transform_entry,
)
from ..errors import BagError


def is_raw_drive(folder: Path) -> bool:
    """Return whether `folder` is a drive of KITTI's raw data."""
    return (folder / 'velodyne_points' / 'data').is_dir()


def raw_drive(drive: Path, cameras: Sequence[str], form: str) -> Recording:
    """
    Read a drive.

    Parameters
    ----------
    drive
        A folder ..._drive_XXXX_sync, with the calibration files beside it.
    cameras
        Numbers of cameras; none means all whose images are there.
    form
        Of the pictures, one of `IMAGE_FORMS`.

    Raises
    ------
    BagError, CalibrationError
        If sweeps, pictures or calibration are missing or contradict each other.

    """
    day, notes = drive.parent, list[str]()
    mounted = {
        number: raw_drive_camera(day, number, _picture_size(drive, number))
        for number in cameras or [n for n in CAMERAS if picture_files(_pictures(drive, n))]
    }
    entries, stamps = _sweeps(drive, notes)
    for number, camera in mounted.items():
        entries += _camera(drive, number, camera, form, notes)
    imu = lidar_from_imu(day)
    entries += _poses(drive, imu is not None, stamps, notes)
    base = np.eye(4) if imu is None else np.linalg.inv(imu)
    start = min(entry.stamp for entry in entries)
    entries.insert(0, _mounting(start, base, mounted))
    return Recording(entries, notes)


def _pictures(drive: Path, number: str) -> Path:
    return drive / f'image_{number}' / 'data'


def _picture_size(drive: Path, number: str) -> tuple[int, int]:
    files = picture_files(_pictures(drive, number))
    if not files:
        raise BagError(f'{_pictures(drive, number)} has no pictures (.png, .jpg)')
    height, width = read_picture(files[0]).shape[:2]
    return width, height


def _sweeps(drive: Path, notes: list[str]) -> tuple[list[Entry], np.ndarray]:
    folder = drive / 'velodyne_points'
    files = sweep_files(folder / 'data')
    stamps = frame_stamps(folder / 'timestamps.txt', files, notes)
    ends = folder / 'timestamps_end.txt'
    received = frame_stamps(ends, files, notes) if ends.is_file() else stamps
    if missing := gaps(files):
        notes.append(f'{missing} sweeps are missing in {folder}')
    return [
        Entry(max(int(end), int(stamp)), functools.partial(sweep_messages, path, int(stamp)))
        for path, stamp, end in zip(files, stamps, received, strict=True)
    ], stamps


def _camera(
    drive: Path, number: str, mounted: MountedCamera, form: str, notes: list[str]
) -> list[Entry]:
    files = picture_files(_pictures(drive, number))
    read_picture(files[0], mounted.camera)
    stamps = frame_stamps(drive / f'image_{number}' / 'timestamps.txt', files, notes)
    return picture_entries(files, stamps, camera_name(number), mounted.camera, form)


def _poses(drive: Path, calibrated: bool, sweeps: np.ndarray, notes: list[str]) -> list[Entry]:
    packets = sorted((drive / 'oxts' / 'data').glob('*.txt'))
    if not packets or not calibrated:
        notes.append('no /tf: ' + ('calib_imu_to_velo.txt' if packets else 'oxts') + ' is missing')
        return []
    stamps = frame_stamps(drive / 'oxts' / 'timestamps.txt', packets, notes)
    poses = odom_from_imu(packets)
    stamps, poses = cover(stamps, poses, int(sweeps[0]), int(sweeps[-1]))
    return [
        transform_entry('/tf', int(stamp), [('odom', 'base_link', pose)])
        for stamp, pose in zip(stamps, poses, strict=True)
    ]


def _mounting(
    stamp: int, base_from_lidar: np.ndarray, cameras: dict[str, MountedCamera]
) -> Entry:
    transforms = [('base_link', 'lidar', base_from_lidar)] + [
        ('base_link', camera_name(number),
         base_from_lidar @ np.linalg.inv(mounted.camera_from_lidar))
        for number, mounted in cameras.items()
    ]
    return transform_entry('/tf_static', stamp, transforms)
