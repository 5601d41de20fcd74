"""
A SemanticKITTI (KITTI odometry) sequence as a recording.

Frames: base_link is the lidar; odom is the lidar at the first pose. The cameras' frames are those
of their rectified pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from pathlib import Path

import numpy as np

from .kitti_calibration import (
    camera_name,
    CAMERAS,
    MountedCamera,
    read_calibration,
    rectified0_from_lidar,
    rectified_camera,
)
from .kitti_numbers import read_table
from .kitti_poses import odom_from_lidar
from .kitti_stamps import frame_numbers, gaps, PERIOD, START
from .recording import Entry, Recording
from .sensor_files import (
    labelled_sweep_messages,
    picture_entries,
    picture_files,
    read_picture,
    sweep_files,
    transform_entry,
)
from ..errors import BagError


def is_sequence(folder: Path) -> bool:
    """Return whether `folder` is a sequence of SemanticKITTI or KITTI odometry."""
    return (folder / 'velodyne').is_dir() and not (folder / 'calib').is_dir()


def sequence(folder: Path, cameras: Sequence[str], form: str) -> Recording:
    """
    Read a sequence.

    Parameters
    ----------
    folder
        With velodyne/ and calib.txt, and any of labels/, image_2/ and so on, times.txt and
        poses.txt.
    cameras
        Numbers of cameras; none means all whose images are there.
    form
        Of the pictures, one of `IMAGE_FORMS`.

    Raises
    ------
    BagError, CalibrationError
        If sweeps, pictures or calibration are missing or contradict each other.

    """
    files = sweep_files(folder / 'velodyne')
    notes = [f'{gaps(files)} sweeps are missing'] if gaps(files) else []
    calibration = read_calibration(folder / 'calib.txt')
    stamps = _stamps(folder / 'times.txt', files, notes)
    entries, mounting = _sweeps(folder, files, stamps), [('base_link', 'lidar', np.eye(4))]
    for number in cameras or [n for n in CAMERAS if picture_files(_pictures(folder, n))]:
        mounted, made = _camera(folder, number, calibration, form)
        entries += made
        place = np.linalg.inv(mounted.camera_from_lidar)
        mounting.append(('base_link', camera_name(number), place))
    entries += _poses(folder, rectified0_from_lidar(calibration), files, stamps, notes)
    static = transform_entry('/tf_static', min(entry.stamp for entry in entries), mounting)
    return Recording([static, *entries], notes)


def _camera(
    folder: Path, number: str, calibration: dict[str, np.ndarray], form: str
) -> tuple[MountedCamera, list[Entry]]:
    pictures = picture_files(_pictures(folder, number))
    if not pictures:
        raise BagError(f'{_pictures(folder, number)} has no pictures (.png, .jpg)')
    height, width = read_picture(pictures[0]).shape[:2]
    mounted = rectified_camera(calibration, number, (width, height))
    stamps = _stamps(folder / 'times.txt', pictures, [])
    return mounted, picture_entries(pictures, stamps, camera_name(number), mounted.camera, form)


def _pictures(folder: Path, number: str) -> Path:
    return folder / f'image_{int(number)}'


def _stamps(times: Path, files: list[Path], notes: list[str]) -> list[int]:
    """Return the stamp of each frame, ns: times.txt holds s by frame number."""
    numbers = frame_numbers(files)
    if not times.is_file():
        notes.append(f'{times} is missing: 10 Hz assumed')
        return [START + int(number) * PERIOD for number in numbers]
    seconds = read_table(times, 1)[:, 0]
    if len(seconds) <= numbers[-1]:
        raise BagError(f'{times} has {len(seconds)} stamps, none for frame {numbers[-1]}')
    return [START + round(float(seconds[number]) * 1e9) for number in numbers]


def _sweeps(folder: Path, files: list[Path], stamps: list[int]) -> list[Entry]:
    return [
        Entry(stamp, functools.partial(
            labelled_sweep_messages, path, folder / 'labels' / f'{path.stem}.label', stamp))
        for path, stamp in zip(files, stamps, strict=True)
    ]


def _poses(
    folder: Path, camera0_from_lidar: np.ndarray, files: list[Path], stamps: list[int],
    notes: list[str],
) -> list[Entry]:
    path = folder / 'poses.txt'
    if not path.is_file():
        notes.append(f'no /tf: {path} is missing')
        return []
    poses = odom_from_lidar(path, camera0_from_lidar)
    numbers = frame_numbers(files)
    if len(poses) <= numbers[-1]:
        raise BagError(f'{path} has {len(poses)} poses, none for frame {numbers[-1]}')
    return [
        transform_entry('/tf', stamp, [('odom', 'base_link', poses[number])])
        for number, stamp in zip(numbers, stamps, strict=True)
    ]
