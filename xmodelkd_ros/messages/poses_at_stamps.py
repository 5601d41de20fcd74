"""Where frames are at their stamps: what the live node and the bags alike ask a TF buffer."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping

from geometry_msgs.msg import TransformStamped
import numpy as np
from tf2_ros import Buffer

from .stamps import ros_time
from ..records import Cloud, Frame, MOTION_PERIOD, View


class PosesAtStamps(abc.ABC):
    """
    Asks a TF buffer where frames are at their stamps.

    Parameters
    ----------
    buffer
        Of what is known of /tf and /tf_static.
    fixed_frame
        Frame that does not move, empty for none.

    """

    def __init__(self, buffer: Buffer, fixed_frame: str) -> None:
        self._buffer, self._fixed_frame = buffer, fixed_frame

    def frame(self, cloud: Cloud, views: Mapping[str, View], patience: float = 0.0) -> Frame:
        """
        Return the frame of a cloud, placed; its motion is asked for if its points have times.

        cloud, views: see `Frame`. patience: as for `between`.
        """
        pose = self.fixed_from(cloud.frame, cloud.stamp, patience)
        return Frame(cloud, views, pose, self._motion(cloud))

    def between(
        self, target: tuple[str, int], source: tuple[str, int], patience: float = 0.0
    ) -> np.ndarray:
        """
        Return the (4, 4) transform that takes points of a frame at one time to another's.

        With a fixed frame through it, at both times; without, or where that fails, at the
        source's time, or else the latest there is, or else what a calibration file says.

        Parameters
        ----------
        target, source
            Name and stamp, ns, of each frame.
        patience
            Until when TF may be waited for, monotonic, s.

        Raises
        ------
        CalibrationError
            If nothing has it.

        """
        found = None
        if self._fixed_frame:
            name = f'{target[0]} <- {source[0]} through {self._fixed_frame}'
            found = self._ask(name, patience, lambda: self._through_fixed(target, source))
        if found is None:
            found = self._simultaneous(target[0], source[0], source[1], patience)
        return found

    def fixed_from(self, frame: str, stamp: int, patience: float = 0.0) -> np.ndarray | None:
        """
        Return the (4, 4) pose of a frame in the fixed frame, None where it is not known.

        frame, stamp, patience: as for `between`.
        """
        if not self._fixed_frame:
            return None
        return self._ask(f'{self._fixed_frame} <- {frame}', patience, lambda: (
            self._buffer.lookup_transform(self._fixed_frame, frame, ros_time(stamp))))

    def _motion(self, cloud: Cloud) -> np.ndarray | None:
        """Return how the lidar came to where it is; None where unknown or of no use."""
        if not self._fixed_frame or cloud.time_offset is None:
            return None
        before, now = (cloud.frame, cloud.stamp - MOTION_PERIOD), (cloud.frame, cloud.stamp)
        # A bag's first sweep has no pose before it, which is no reason to complain.
        return self._ask('', None, lambda: self._through_fixed(before, now))

    def _through_fixed(
        self, target: tuple[str, int], source: tuple[str, int]
    ) -> TransformStamped:
        return self._buffer.lookup_transform_full(
            target[0], ros_time(target[1]), source[0], ros_time(source[1]), self._fixed_frame)

    @abc.abstractmethod
    def _ask(
        self, name: str, patience: float | None, look_up: Callable[[], TransformStamped]
    ) -> np.ndarray | None:
        """Return (4, 4), None where TF fails; without patience it fails at once and unsaid."""

    @abc.abstractmethod
    def _simultaneous(self, target: str, source: str, stamp: int, patience: float) -> np.ndarray:
        """Return the transform (4, 4) at a stamp, or what comes nearest to it."""
