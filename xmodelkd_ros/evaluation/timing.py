"""Times of the stages of a repeated computation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
import contextlib
import dataclasses
import time

import numpy as np

from .tables import format_table


@dataclasses.dataclass(frozen=True)
class StageTimes:
    """
    Times of one stage over the window.

    Parameters
    ----------
    count
        How often the stage has run, in all.
    p50, p95, p99, longest
        Percentiles and maximum over the window, ms.

    """

    count: int
    p50: float
    p95: float
    p99: float
    longest: float


class StageTimer:
    """
    Measures stages by name, about a microsecond each, in bounded memory.

    Parameters
    ----------
    window
        How many of the last times of each stage are kept.

    """

    def __init__(self, window: int = 1000) -> None:
        self._window = window
        self._times: dict[str, deque[int]] = {}
        self._counts: dict[str, int] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block; a block that raises is not counted."""
        start = time.perf_counter_ns()
        yield
        self.record(name, time.perf_counter_ns() - start)

    def record(self, name: str, duration: int) -> None:
        """Count a duration, ns, that was measured elsewhere."""
        times = self._times.get(name)
        if times is None:
            times = self._times.setdefault(name, deque(maxlen=self._window))
        times.append(duration)
        self._counts[name] = self._counts.get(name, 0) + 1

    def summary(self) -> dict[str, StageTimes]:
        """Return the times by stage, in the order in which the stages first ran."""
        return {name: self._summarise(name) for name in list(self._times)}

    def _summarise(self, name: str) -> StageTimes:
        times = np.array(self._times[name].copy()) / 1e6
        p50, p95, p99 = np.percentile(times, (50, 95, 99)).tolist()
        return StageTimes(self._counts[name], p50, p95, p99, float(times.max()))

    def table(self) -> str:
        """Return the summary as text."""
        headers = ('stage', 'count', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]', 'max [ms]')
        rows = [(name, *dataclasses.astuple(times)) for name, times in self.summary().items()]
        return format_table(headers, rows)

    def reset(self) -> None:
        """Forget everything."""
        self._times.clear()
        self._counts.clear()
