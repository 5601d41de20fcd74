"""Time that jumps backwards: a bag that starts again, a simulation that is reset."""

from __future__ import annotations

from collections.abc import Callable
import enum
import time

JUMP = 500_000_000
"""A stamp this far behind the newest of its own input is a jump, ns; less is out of order."""

RUN = 3
"""So many messages in a row behind the newest of their input are a jump, too: a short loop."""

SETTLING = 1.0
"""How long after a jump messages from before it may still come in, s."""


class Verdict(enum.Enum):
    """What a stamp says about time."""

    GOES_ON = enum.auto()
    JUMPS = enum.auto()
    FROM_BEFORE = enum.auto()


class TimeJumps:
    """
    Tells a jump in time from messages that are a little out of order.

    Inputs do not jump at one moment: right after a jump, what is nearer to the time before it
    than to the time after it is a straggler and no second jump.

    Parameters
    ----------
    now
        Monotonic time, s.

    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._newest: dict[str, int] = {}
        self._behind: dict[str, int] = {}
        self._jump: tuple[float, int] | None = None

    def judge(self, source: str, stamp: int) -> Verdict:
        """
        Take note of a stamp.

        Parameters
        ----------
        source
            Name of the input.
        stamp
            ns.

        """
        if self._is_from_before(stamp):
            return Verdict.FROM_BEFORE
        newest = self._newest.get(source, stamp)
        self._behind[source] = self._behind.get(source, 0) + 1 if stamp < newest else 0
        if stamp < newest - JUMP or self._behind[source] == RUN:
            self._jump = self._now(), max(self._newest.values())
            self._newest, self._behind = {source: stamp}, {}
            return Verdict.JUMPS
        self._newest[source] = max(stamp, self._newest.get(source, stamp))
        return Verdict.GOES_ON

    def _is_from_before(self, stamp: int) -> bool:
        if self._jump is None or self._now() - self._jump[0] > SETTLING:
            return False
        return abs(stamp - self._jump[1]) < abs(stamp - max(self._newest.values()))
