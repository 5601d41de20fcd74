"""Times of stages, latencies and offsets of the recent frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import time

from ..evaluation.timing import StageTimer
from ..records import Frame
from .intake import Arrival

COMPARABLE = 10.0
"""A cloud stamped this long before it goes out, s, or after that, has another clock."""


class Measurements:
    """
    Collects times; those of the most recent frames count.

    Parameters
    ----------
    clock
        ROS time, ns.
    offsets
        Of each camera's stamps, ns.

    """

    def __init__(self, clock: Callable[[], int], offsets: Mapping[str, int]) -> None:
        self._clock, self._offsets = clock, offsets
        self._stages, self._latencies, self._pairs = StageTimer(), StageTimer(), StageTimer()

    def stage(self, name: str) -> contextlib.AbstractContextManager[object]:
        """Bracket a stage of a frame."""
        return self._stages.stage(name)

    def note_output(self, arrival: Arrival, frame: Frame) -> None:
        """Take note that the labels of a cloud have gone out."""
        self._latencies.add('latency', time.monotonic() - arrival.received)
        from_stamp = (self._clock() - arrival.stamp) * 1e-9
        if 0 <= from_stamp < COMPARABLE:
            self._latencies.add('latency_from_stamp', from_stamp)
        for name, view in frame.views.items():
            offset = view.picture.stamp - self._offsets[name] - arrival.stamp
            self._pairs.add(f'image.{name}.pair_offset', abs(offset) * 1e-9)

    def values(self) -> dict[str, float]:
        """Return medians and high percentiles, ms, by dotted key."""
        return {
            **self._percentiles('stage.', self._stages),
            **self._percentiles('', self._latencies),
            **self._percentiles('', self._pairs),
        }
