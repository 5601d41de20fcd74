"""Times of stages, latencies and offsets of the recent frames."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import time

from .intake import Arrival
from ..evaluation.timing import StageTimer
from ..records import Frame

COMPARABLE = 10_000_000_000
"""A cloud that goes out longer after its stamp than this, ns, or before it, has another clock."""

WINDOW = 600
"""How many frames count."""


class Measurements:
    """
    Collects times; those of the most recent frames count.

    Parameters
    ----------
    clock
        ROS time, ns.

    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._stages, self._frames = StageTimer(WINDOW), StageTimer(WINDOW)

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Bracket a stage of a frame."""
        return self._stages.stage(name)

    def note_output(self, arrival: Arrival, frame: Frame) -> None:
        """Take note that the labels of a cloud have gone out."""
        self._frames.record('latency', round((time.monotonic() - arrival.received) * 1e9))
        from_stamp = self._clock() - arrival.stamp
        if 0 <= from_stamp < COMPARABLE:
            self._frames.record('latency_from_stamp', from_stamp)
        for name, view in frame.views.items():
            self._frames.record(f'image.{name}.pair_offset', abs(view.exposed - arrival.stamp))

    def values(self) -> dict[str, object]:
        """Return the percentiles of each, ms, by dotted key."""
        stages = {f'stage.{name}': times for name, times in self._stages.summary().items()}
        return {
            f'{name}.{percentile}_ms': getattr(times, percentile)
            for name, times in {**stages, **self._frames.summary()}.items()
            for percentile in ('p50', 'p95', 'p99')
        }
