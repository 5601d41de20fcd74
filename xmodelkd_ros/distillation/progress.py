"""How far a distillation is, for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import sys

Watch = Callable[[str, int, int], None]
"""Told the stage, how many of its steps are done and of how many; it may raise `Cancelled`."""

GUESS = 'guess'
"""What a watch is told as the stage while the stage train guesses labels."""


class Cancelled(Exception):  # noqa: N818
    """Somebody asked to stop; what was done so far is complete and can be gone on from."""


def nobody(stage: str, done: int, total: int) -> None:
    """Watch and do nothing."""


TRAINED = ('train', 'finetune')
"""Stages in which all processes of a run take part; they show a bar of their own."""


class TerminalBar:
    """A watch that shows a bar for each stage on stderr, where that is a terminal."""

    def __init__(self) -> None:
        self._bars = contextlib.ExitStack()
        self._stage = ''

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if stage in TRAINED or not sys.stderr.isatty():
            self.close()
            return
        if stage != self._stage:
            from tqdm import tqdm

            self.close()
            self._stage = stage
            self._bar = self._bars.enter_context(tqdm(total=total, desc=stage, unit='step'))
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        self._bars.close()
        self._stage = ''
