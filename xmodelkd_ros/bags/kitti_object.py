"""
A folder of KITTI's object benchmark as a recording: single frames, a second apart.

Each frame has a calibration of its own, so that the cameras' places go into /tf at the stamp of
the frame, not into /tf_static. base_link is the lidar.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from pathlib import Path

import numpy as np

from .kitti_calibration import camera_name, CAMERAS, read_calibration, rectified_camera
from .kitti_stamps import START
from .recording import Entry, Messages, Recording
from .sensor_files import (
    picture_files,
    picture_messages,
    read_picture,
    sweep_files,
    sweep_messages,
    transform_entry,
    transform_messages,
)
from ..errors import BagError

_PERIOD = 1_000_000_000


def is_object_folder(folder: Path) -> bool:
    """Return whether `folder` is laid out as the training or testing part of the benchmark."""
    return (folder / 'velodyne').is_dir() and (folder / 'calib').is_dir()


def object_folder(folder: Path, cameras: Sequence[str], form: str) -> Recording:
    """
    Read single frames, in the order of their names.

    Parameters
    ----------
    folder
        With velodyne/, calib/ and image_2/ or image_3/.
    cameras
        Numbers of cameras; none means all that have images.
    form
        Of the pictures, one of `IMAGE_FORMS`.

    Raises
    ------
    BagError, CalibrationError
        If sweeps, pictures or calibration are missing or contradict each other.

    """
    files = sweep_files(folder / 'velodyne')
    pictures = _pictures(folder, cameras)
    entries, notes = [], ['single frames, a second apart: ' + ' '.join(p.stem for p in files)]
    for index, path in enumerate(files):
        stamp = START + index * _PERIOD
        calibration = read_calibration(folder / 'calib' / f'{path.stem}.txt')
        own = {n: found[path.stem] for n, found in pictures.items() if path.stem in found}
        if not own:
            notes.append(f'frame {path.stem} has no picture')
        entries.append(Entry(stamp, functools.partial(
            _frame_messages, path, own, calibration, stamp, form)))
    static = transform_entry('/tf_static', START, [('base_link', 'lidar', np.eye(4))])
    return Recording([static, *entries], notes)


def _pictures(folder: Path, cameras: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return the pictures by camera number and frame name."""
    pictures = {
        number: {path.stem: path for path in picture_files(folder / f'image_{int(number)}')}
        for number in cameras or CAMERAS
    }
    for number in cameras:
        if not pictures[number]:
            raise BagError(f'{folder / f"image_{int(number)}"} has no pictures (.png, .jpg)')
    return pictures


def _frame_messages(
    sweep: Path, pictures: dict[str, Path], calibration: dict[str, np.ndarray], stamp: int,
    form: str,
) -> Messages:
    messages: Messages = []
    for number, path in pictures.items():
        height, width = read_picture(path).shape[:2]
        mounted = rectified_camera(calibration, number, (width, height))
        name = camera_name(number)
        place = ('base_link', name, np.linalg.inv(mounted.camera_from_lidar))
        messages += transform_messages('/tf', stamp, [place])
        messages += picture_messages(path, stamp, name, mounted.camera, form)
    return messages + sweep_messages(sweep, stamp)
