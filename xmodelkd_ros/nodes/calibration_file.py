"""Transforms from a calibration file, for vehicles whose TF does not have them."""

from __future__ import annotations

import dataclasses

from geometry_msgs.msg import TransformStamped
import numpy as np

from ..config import from_mapping, read_mapping, setting
from ..errors import CalibrationError, ConfigurationError
from ..geometry.transforms import from_translation_quaternion
from ..messages.transforms import transform_message

KEY = 'calibration_file'


@dataclasses.dataclass(frozen=True)
class FramePose:
    """Where a frame is in its parent, as `static_transform_publisher` takes it."""

    parent: str = setting('', 'frame in which the pose is given')
    translation: list[float] = setting([0.0, 0.0, 0.0], 'x, y, z', unit='m')
    rotation: list[float] = setting([0.0, 0.0, 0.0, 1.0], 'quaternion x, y, z, w')


def read_calibration_file(path: str) -> list[TransformStamped]:
    """
    Return the transforms of a YAML file that maps frames to their poses.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or an entry is not a pose; it names file and entry.

    """
    content = read_mapping(path, KEY)
    if not content:
        raise ConfigurationError(KEY, path, 'it must map frames to their poses')
    return [_transform(path, str(frame), entry) for frame, entry in content.items()]


def _transform(path: str, frame: str, entry: object) -> TransformStamped:
    if not isinstance(entry, dict) or not entry.get('parent'):
        raise ConfigurationError(
            f'{path}: {frame}', entry, 'a mapping with parent, translation and rotation')
    pose = from_mapping(FramePose, entry, f'{path}: {frame}.')
    for name, values, count in (
        ('translation', pose.translation, 3), ('rotation', pose.rotation, 4)
    ):
        if len(values) != count:
            raise ConfigurationError(f'{path}: {frame}.{name}', values, f'{count} numbers')
    try:
        parent_from_frame = from_translation_quaternion(
            np.array(pose.translation), np.array(pose.rotation))
    except CalibrationError as error:
        raise ConfigurationError(f'{path}: {frame}', entry, str(error)) from error
    return transform_message(parent_from_frame, 0, pose.parent, frame)
