"""geometry_msgs/TransformStamped to (4, 4) matrices and back."""

from __future__ import annotations

from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
import numpy as np

from .stamps import header_message
from ..geometry.transforms import from_translation_quaternion, to_translation_quaternion


def transform_message(
    parent_from_child: np.ndarray, stamp: int, parent: str, child: str
) -> TransformStamped:
    """
    Return a transform as TF sends it.

    Parameters
    ----------
    parent_from_child
        (4, 4): takes points of the frame `child` to the frame `parent`, m.
    stamp
        ns; readers ignore it in static transforms.
    parent, child
        TF frames.

    """
    translation, quaternion = to_translation_quaternion(parent_from_child)
    x, y, z = translation.tolist()
    qx, qy, qz, qw = quaternion.tolist()
    return TransformStamped(
        header=header_message(stamp, parent),
        child_frame_id=child,
        transform=Transform(
            translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw)
        ),
    )


def transform_from_message(message: TransformStamped) -> np.ndarray:
    """
    Return (4, 4): takes points of `child_frame_id` to the frame of the header, m.

    Raises
    ------
    CalibrationError
        If the rotation is no unit quaternion or a number is not finite.

    """
    move, turn = message.transform.translation, message.transform.rotation
    return from_translation_quaternion(
        np.array([move.x, move.y, move.z]), np.array([turn.x, turn.y, turn.z, turn.w])
    )
