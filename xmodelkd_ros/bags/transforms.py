"""The transforms of a whole bag, asked for as the live node asks TF."""

from __future__ import annotations

import logging

import numpy as np
from rclpy.duration import Duration
from tf2_ros import Buffer, TransformException

from .reader import BagReader
from ..errors import CalibrationError
from ..messages.stamps import LATEST, ros_time
from ..messages.transforms import transform_from_message
from ..records import MOTION_PERIOD

_LONGER_THAN_ANY_BAG = Duration(seconds=10**8)


class BagTransforms:
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
        self._fixed_frame = fixed_frame
        self._buffer = Buffer(cache_time=_LONGER_THAN_ANY_BAG)
        self._complained = set[str]()
        found = [topic for topic in ('/tf', '/tf_static') if topic in bag.topics]
        for topic, _, message in bag.messages(found):
            for transform in message.transforms:
                if topic == '/tf_static':
                    self._buffer.set_transform_static(transform, 'bag')
                else:
                    self._buffer.set_transform(transform, 'bag')

    def between(self, target: tuple[str, int], source: tuple[str, int]) -> np.ndarray:
        """
        Return the (4, 4) transform that takes points of a frame at one time to another's.

        With a fixed frame through it, at both times; without, or where that fails, at the
        source's time, or at last the latest there is.

        Parameters
        ----------
        target, source
            Name and stamp, ns, of each frame.

        Raises
        ------
        CalibrationError
            If the bag does not have it.

        """
        (target_frame, target_stamp), (source_frame, source_stamp) = target, source
        if self._fixed_frame:
            try:
                return transform_from_message(self._buffer.lookup_transform_full(
                    target_frame, ros_time(target_stamp), source_frame, ros_time(source_stamp),
                    self._fixed_frame))
            except TransformException as error:
                self._complain(f'{target_frame} <- {source_frame}', error)
        for time in (ros_time(source_stamp), LATEST):
            try:
                return transform_from_message(
                    self._buffer.lookup_transform(target_frame, source_frame, time))
            except TransformException as error:
                reason = error
        raise CalibrationError(f'no transform {target_frame} <- {source_frame}: {reason}')

    def fixed_from(self, frame: str, stamp: int) -> np.ndarray | None:
        """Return the (4, 4) pose of a frame in the fixed frame, None where it is not known."""
        if not self._fixed_frame:
            return None
        try:
            return transform_from_message(
                self._buffer.lookup_transform(self._fixed_frame, frame, ros_time(stamp)))
        except TransformException as error:
            self._complain(f'{self._fixed_frame} <- {frame}', error)
            return None

    def motion(self, frame: str, stamp: int) -> np.ndarray | None:
        """Return how a frame came to where it is, see `Frame.motion`; None where not known."""
        if not self._fixed_frame:
            return None
        try:
            return transform_from_message(self._buffer.lookup_transform_full(
                frame, ros_time(stamp - MOTION_PERIOD), frame, ros_time(stamp), self._fixed_frame))
        except TransformException:  # before the first pose of the bag, if there is one now
            return None

    def _complain(self, name: str, error: TransformException) -> None:
        if name not in self._complained:
            self._complained.add(name)
            logging.getLogger(__name__).warning('TF has no %s: %s', name, error)
