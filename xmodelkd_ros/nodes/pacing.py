"""When a recorded message is due, whether it is wanted yet, and how well that was kept."""

from __future__ import annotations

from collections import defaultdict
import threading
import time

import numpy as np

from ..evaluation.tables import format_table


class Pacer:
    """
    Due times of recorded messages on the monotonic clock, which starts at the first question.

    Parameters
    ----------
    rate
        Recorded seconds per second.
    first
        Log time that is due at the first question, ns.

    """

    def __init__(self, rate: float, first: int) -> None:
        self._rate, self._first = rate, first
        self._origin: float | None = None

    def due(self, stamp: int) -> float:
        """Return when a message logged at `stamp`, ns, is due: monotonic, s."""
        if self._origin is None:
            self._origin = time.monotonic()
        return self._origin + (stamp - self._first) / 1e9 / self._rate

    def recorded_time(self) -> int:
        """Return the log time that is due now, ns."""
        return self._first + int((time.monotonic() - self.due(self._first)) * 1e9 * self._rate)

    def pause(self, seconds: float) -> None:
        """Move all due times back, after a wait that was meant."""
        self._origin = self.due(self._first) + seconds


class Answers:
    """
    Stamps of reference messages that the consumer has not answered yet.

    Attributes
    ----------
    given_up
        How many were not waited for any longer.
    times
        From each message to its answer, s.

    """

    def __init__(self) -> None:
        self._open: dict[int, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self.given_up = 0
        self.times: list[float] = []

    def ask(self, stamp: int) -> None:
        """Take note that a message went out."""
        with self._changed:
            self._open[stamp] = time.monotonic()

    def answer(self, stamp: int) -> None:
        """Take note of the consumer's output."""
        with self._changed:
            asked = self._open.pop(stamp, None)
            if asked is not None:
                self.times.append(time.monotonic() - asked)
            self._changed.notify_all()

    def wait(self, limit: int, timeout: float) -> float:
        """Wait until fewer than `limit` are open or the time is up; return how long, s."""
        started = time.monotonic()
        with self._changed:
            ready = self._changed.wait_for(
                lambda: self._closed or len(self._open) < limit, timeout)
            if not ready:
                self.given_up += len(self._open)
                self._open.clear()
        return time.monotonic() - started

    def summary(self) -> dict[str, float]:
        """Return how many were asked and answered, and percentiles of the times, ms."""
        asked = len(self.times) + len(self._open) + self.given_up
        values: dict[str, float] = {'asked': asked, 'answered': len(self.times)}
        if self.times:
            milliseconds = np.percentile(self.times, [50, 95, 99]) * 1e3
            values |= zip(('p50 [ms]', 'p95 [ms]', 'p99 [ms]'), milliseconds.tolist(), strict=True)
        return values

    def close(self) -> None:
        """End all waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Punctuality:
    """How many messages went out by topic, how fast, and how late, as a table."""

    def __init__(self) -> None:
        self._sent: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, topic: str, due: float, sent: float) -> None:
        """Take note of a message, both times monotonic, s."""
        self._sent[topic].append((due, sent))

    def table(self) -> str:
        """Return messages, rate in Hz and lateness in ms (p50, p95, largest) by topic."""
        columns = (
            'topic', 'messages', 'rate [Hz]', 'late p50 [ms]', 'late p95 [ms]', 'latest [ms]')
        return format_table(
            columns, [(topic, *_kept(times)) for topic, times in sorted(self._sent.items())])


def _kept(times: list[tuple[float, float]]) -> tuple[float | None, ...]:
    """Return how many messages went out, their rate in Hz and their lateness in ms."""
    due, sent = np.array(times).T
    duration = sent[-1] - sent[0]
    lateness = np.percentile((sent - due) * 1e3, [50, 95, 100]).tolist()
    return len(sent), (len(sent) - 1) / duration if duration > 0 else None, *lateness
