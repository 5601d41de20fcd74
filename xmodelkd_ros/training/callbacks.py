"""What happens beside the steps of a training: signals, checkpoints, progress, the best state."""

from __future__ import annotations

from collections.abc import Callable
import math
import signal
import threading
from types import TracebackType
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

Watch = Callable[[int, int], None]
"""Told how many steps are done and how many there will be."""


class _Stopped(Exception):  # noqa: N818
    """Somebody asked the run to end."""


class Stop(Callback):
    """
    Ends a run after the step in which SIGINT or SIGTERM came; a second one ends it at once.

    Within it the signals are caught; whatever Lightning makes of them leaves it as
    KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self._catch()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        interrupted = isinstance(error, SystemExit) and isinstance(
            error.__context__, KeyboardInterrupt)
        if interrupted or isinstance(error, _Stopped):
            raise KeyboardInterrupt from None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self._catch()  # Lightning has put its own handler of SIGTERM in front

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        # processes get signals at different times, but they must end in the same step
        if trainer.strategy.reduce_boolean_decision(self.wanted, all=False):
            raise _Stopped

    def _catch(self) -> None:
        for number in self._before:
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


class Consistent(Callback):
    """Have an exception leave a checkpoint unless weights, statistics or scores are half done."""

    def __init__(self, checkpoint: ModelCheckpoint) -> None:
        self.checkpoint = checkpoint

    def on_train_start(self, *_: Any) -> None:
        self.checkpoint.save_on_exception = True

    def on_train_batch_start(self, *_: Any) -> None:
        self.checkpoint.save_on_exception = False

    def on_train_batch_end(self, *_: Any) -> None:
        self.checkpoint.save_on_exception = True

    def on_validation_start(self, *_: Any) -> None:
        self.checkpoint.save_on_exception = False

    def on_validation_end(self, *_: Any) -> None:
        self.checkpoint.save_on_exception = True


class Watched(Callback):
    """Tell somebody how many steps are done, and of how many."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.watch(trainer.global_step, int(trainer.estimated_stepping_batches))


class ExportBest(Callback):
    """Export the weights whenever a validation score is the best so far."""

    def __init__(self, monitor: str, export: Callable[[], None]) -> None:
        self.monitor, self.export, self.best, self.step = monitor, export, -math.inf, -1

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self.step = trainer.global_step
        score = float(trainer.callback_metrics[self.monitor])
        if not score <= self.best:  # a score is NaN where nothing is known to check by
            if trainer.is_global_zero:
                self.export()
            self.best = score

    def state_dict(self) -> dict[str, Any]:
        return {'best': self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict['best']
