"""Times of the stages of a repeated computation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
import contextlib
import dataclasses
import time

import numpy as np


@dataclasses.dataclass(frozen=True)
class StageTimes:
    """
    Times of one stage over the window.

    Parameters
    ----------
    p50, p95, p99
        Percentiles over the window, ms.

    """

    p50: float
    p95: float
    p99: float


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

    def summary(self) -> dict[str, StageTimes]:
        """Return the times by stage, in the order in which the stages first ran."""
        return {name: self._summarise(name) for name in list(self._times)}

    def _summarise(self, name: str) -> StageTimes:
        times = np.array(self._times[name].copy()) / 1e6
        return StageTimes(*np.percentile(times, (50, 95, 99)).tolist())
