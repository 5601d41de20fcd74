"""The thread that does the work of the node `distillation`, and how far it is."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rclpy.task import Future

from ..distillation.progress import Cancelled, TerminalBar

if TYPE_CHECKING:
    from ..distillation.pipeline import Pipeline


class DistillationWork(threading.Thread):
    """
    Goes through a pipeline once.

    Parameters
    ----------
    pipeline
        What to go through.

    """

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(name='distillation', daemon=True)
        self._pipeline = pipeline
        self._cancelled = threading.Event()
        self._bar = TerminalBar()
        self._stage, self._done, self._total = 'start', 0, 1
        self._began: tuple[float, int] = (time.monotonic(), 0)
        self._scores = ''
        self._failure: Exception | None = None

    def run(self) -> None:
        """Go through all stages."""
        try:
            self._scores = self._pipeline.run(watch=self._watch)
        except Exception as error:
            self._failure = error
        finally:
            self._bar.close()

    def cancel(self) -> None:
        """Stop at the next step; from another thread."""
        self._cancelled.set()

    def describe(self) -> tuple[str, str, dict[str, object]]:
        """Return level, summary and values of the present state."""
        stage, done, total = self._stage, self._done, self._total
        values = {'stage': stage, 'done': done, 'total': total, 'share': done / max(total, 1),
                  'seconds_left': self._seconds_left()}
        if self.is_alive():
            stopping = 'stops at the next step, ' if self._cancelled.is_set() else ''
            return 'ok', f'{stopping}{stage}: {done} of {total}', values
        if isinstance(self._failure, Cancelled):
            return 'warn', f'cancelled in {stage}; the same start goes on from here', values
        if self._failure is not None:
            return 'error', f'failed in {stage}: {self._failure}', values
        return 'ok', f'done\n{self._scores}', {**values, 'stage': 'done', 'share': 1.0}

    def settle(self, future: Future) -> None:
        """Complete a future as the work ended."""
        if self._failure is None or isinstance(self._failure, Cancelled):
            future.set_result(None)
        else:
            future.set_exception(self._failure)

    def _watch(self, stage: str, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if stage != self._stage:
            self._began = time.monotonic(), done
        self._stage, self._done, self._total = stage, done, total
        self._bar(stage, done, total)

    def _seconds_left(self) -> float:
        """Return an estimate for the stage, s; NaN before its second step."""
        since, first = self._began
        steps = self._done - first
        if steps <= 0:
            return float('nan')
        return (time.monotonic() - since) / steps * (self._total - self._done)
