"""A bag going out message by message, in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
from pathlib import Path
import threading
import time
from typing import Any

from .pacing import Answers, Pacer, Punctuality
from .player_config import PlayerConfig
from ..bags.prefetching import Prefetch
from ..bags.reader import BagReader, header_stamp


class Playback:
    """
    Sends a bag's messages when they are due and wanted.

    Parameters
    ----------
    bag
        The bag.
    outputs
        By topic, what takes a serialised message.
    clock
        Takes the log time that is due, ns.
    config
        Pace and range.

    Attributes
    ----------
    stopped
        Set by `stop`.

    """

    def __init__(
        self, bag: BagReader, outputs: Mapping[str, Callable[[bytes], Any]],
        clock: Callable[[int], Any], config: PlayerConfig,
    ) -> None:
        self._bag, self._outputs, self._clock, self._config = bag, outputs, clock, config
        self._answers, self._punctuality = Answers(), Punctuality()
        self.stopped = threading.Event()
        self._clock_period = 1 / config.clock_rate if config.clock_rate else float('inf')
        self._told: int | None = None

    def run(self) -> None:
        """Play until the end of the bag, or for ever if it loops, or until `stop`."""
        if self.stopped.is_set():
            return
        start = self._bag.start + int(self._config.start_offset * 1e9)
        latched = [topic for topic in self._outputs if self._bag.topics[topic].latched]
        for topic, stamp, data in self._bag.raw(latched):
            if stamp < start:
                self._outputs[topic](data)
        self._play(start)
        while self._config.loop and not self.stopped.is_set():
            self._play(start)
        self.stopped.wait(self._config.linger)

    def stop(self) -> None:
        """End `run` soon; from another thread."""
        self.stopped.set()
        self._answers.close()

    def answer(self, data: Any) -> None:
        """Take the consumer's output, serialised, as the answer to the message of its stamp."""
        self._answers.answer(header_stamp(data))

    def summary(self) -> str:
        """Return what was played, as a table, and how many messages were not answered."""
        lines = [self._punctuality.table()]
        if self._config.wait_for:
            answers = self._answers.summary()
            lines.append('answers: ' + ', '.join(f'{k} {v:.4g}' for k, v in answers.items()))
        return '\n'.join(lines)

    def write_report(self) -> None:
        """Write how the consumer answered to the `report` file, if one is asked for."""
        if self._config.report:
            content = {'answers': self._answers.summary()}
            Path(self._config.report).write_text(json.dumps(content) + '\n')

    def _play(self, start: int) -> None:
        pacer = Pacer(self._config.rate, start)
        with Prefetch(self._bag.raw(list(self._outputs), start)) as messages:
            for topic, stamp, data in messages:
                self._sleep_until(stamp, pacer)
                self._gate(topic, data, pacer)
                if self.stopped.is_set():
                    return
                self._outputs[topic](data)
                self._punctuality.add(topic, pacer.due(stamp), time.monotonic())
        patience = self._config.answer_timeout if self._config.in_flight else self._config.linger
        self._answers.wait(1, patience)

    def _sleep_until(self, stamp: int, pacer: Pacer) -> None:
        """Wait until a message is due; the clock goes on meanwhile, up to its log time."""
        while not self.stopped.is_set() and (left := pacer.due(stamp) - time.monotonic()) > 0:
            self.stopped.wait(min(left, self._clock_period))
            self._tell_time(min(stamp, pacer.recorded_time()))
        self._tell_time(stamp)

    def _tell_time(self, stamp: int) -> None:
        """Pass the time on, no more often than the clock's rate, but when it jumps back."""
        step = self._clock_period * 1e9 * self._config.rate
        if not self._config.clock_rate:
            return
        if self._told is None or not 0 <= stamp - self._told < step:
            self._told = stamp
            self._clock(stamp)

    def _gate(self, topic: str, data: bytes, pacer: Pacer) -> None:
        """Time a reference message; in lossless mode, hold it until the consumer is ready."""
        if not self._config.wait_for or topic != self._config.reference:
            return
        if self._config.in_flight:
            waited = self._answers.wait(self._config.in_flight, self._config.answer_timeout)
            pacer.pause(waited)
        self._answers.ask(header_stamp(data))
