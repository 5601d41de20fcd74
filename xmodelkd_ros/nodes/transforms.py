"""Transforms of frames: from TF at two times, from TF as static, or from a calibration file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import time

from geometry_msgs.msg import TransformStamped
import numpy as np
from rclpy.node import Node
from tf2_ros import Buffer, TransformException, TransformListener

from .logbook import Logbook
from ..errors import CalibrationError
from ..messages.poses_at_stamps import PosesAtStamps
from ..messages.stamps import LATEST, ros_time
from ..messages.transforms import transform_from_message

POLL = 0.002
"""How often a transform that is still to come is asked for, s."""


class Transforms(PosesAtStamps):
    """
    Looks up where things are, and counts what cannot be found.

    Parameters
    ----------
    node
        Receives /tf and /tf_static.
    fixed_frame
        Frame that does not move, empty for none.
    fallback
        Transforms for where TF has none.
    logbook
        Where failures are counted and said.

    """

    def __init__(
        self,
        node: Node,
        fixed_frame: str,
        fallback: Sequence[TransformStamped],
        logbook: Logbook,
    ) -> None:
        super().__init__(Buffer(), fixed_frame)
        self._logbook = logbook
        self._listener = TransformListener(self._buffer, node)
        self._fallback = Buffer()
        for transform in fallback:
            self._fallback.set_transform_static(transform, 'calibration file')

    def clear(self) -> None:
        """Forget all that moves, as after a jump in time; static transforms stay."""
        self._buffer.clear()

    def close(self) -> None:
        """Stop receiving."""
        self._listener.unregister()

    def _simultaneous(self, target: str, source: str, stamp: int, patience: float) -> np.ndarray:
        """Return the transform at a stamp, else the latest, else that of the file."""
        name = f'{target} <- {source}'
        found = self._ask(name, None, lambda: (
            self._buffer.lookup_transform(target, source, ros_time(stamp))))
        if found is not None:
            return found
        by_file = self._from_file(target, source)
        found = self._ask(name, patience if by_file is None else None, lambda: (
            self._buffer.lookup_transform(target, source, LATEST)))
        found = by_file if found is None else found
        if found is None:
            raise CalibrationError(f'no transform {name} in TF or a calibration file')
        return found

    def _ask(
        self, name: str, patience: float | None, look_up: Callable[[], TransformStamped]
    ) -> np.ndarray | None:
        """Ask TF until it answers or patience ends; None may fail at once and is not counted."""
        while True:
            try:
                return transform_from_message(look_up())
            except (TransformException, CalibrationError) as error:
                if patience is None:
                    return None
                if time.monotonic() >= patience:
                    reason = ' '.join(str(error).split())
                    self._logbook.tf_failures[name] += 1
                    self._logbook.complaints.warn(f'TF has no {name}: {reason}')
                    return None
                time.sleep(POLL)

    def _from_file(self, target: str, source: str) -> np.ndarray | None:
        try:
            return transform_from_message(
                self._fallback.lookup_transform(target, source, LATEST))
        except TransformException:
            return None
