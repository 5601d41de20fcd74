"""The transforms of a whole bag, asked for as the live node asks TF."""

from __future__ import annotations

from collections.abc import Callable
import logging

from geometry_msgs.msg import TransformStamped
import numpy as np
from rclpy.duration import Duration
from tf2_ros import Buffer, TransformException

from .reader import BagReader
from ..errors import CalibrationError
from ..messages.poses_at_stamps import PosesAtStamps
from ..messages.stamps import LATEST, ros_time
from ..messages.transforms import transform_from_message

_LONGER_THAN_ANY_BAG = Duration(seconds=10**8)


class BagTransforms(PosesAtStamps):
    """
    All of a bag's /tf and /tf_static.

    Parameters
    ----------
    bag
        The bag.
    fixed_frame
        Frame that does not move, empty for none.

    """

    def __init__(self, bag: BagReader, fixed_frame: str) -> None:
        super().__init__(Buffer(cache_time=_LONGER_THAN_ANY_BAG), fixed_frame)
        self._complained = set[str]()
        found = [topic for topic in ('/tf', '/tf_static') if topic in bag.topics]
        for name in found:
            bag.require(name, 'tf2_msgs/msg/TFMessage')
        for topic, _, message in bag.messages(found):
            for transform in message.transforms:
                if topic == '/tf_static':
                    self._buffer.set_transform_static(transform, 'bag')
                else:
                    self._buffer.set_transform(transform, 'bag')

    def _ask(
        self, name: str, patience: float | None, look_up: Callable[[], TransformStamped]
    ) -> np.ndarray | None:
        try:
            return transform_from_message(look_up())
        except (TransformException, CalibrationError) as error:
            if patience is not None and name not in self._complained:
                self._complained.add(name)
                logging.getLogger(__name__).warning(
                    'TF has no %s: %s', name, ' '.join(str(error).split()))
            return None

    def _simultaneous(self, target: str, source: str, stamp: int, patience: float) -> np.ndarray:
        """Return the transform at a stamp, else the latest."""
        for asked in (ros_time(stamp), LATEST):
            try:
                return transform_from_message(
                    self._buffer.lookup_transform(target, source, asked))
            except TransformException as error:
                reason = str(error).strip(' .')
        raise CalibrationError(f'no transform {target} <- {source}: {reason}')
