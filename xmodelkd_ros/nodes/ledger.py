"""What became of every message that came in: counted once, and said when one is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import re
import threading
import time

USED = 'used'
LATE = 'late'
UNMATCHED = 'unmatched'
REPLACED = 'replaced'
REFUSED = 'refused'
FATES = (USED, LATE, UNMATCHED, REPLACED, REFUSED)

QUIET = 5.0
"""How long the same complaint is not repeated, s."""


class Complaints:
    """
    Warnings of which each is said at most once in `QUIET` seconds; numbers make no difference.

    Parameters
    ----------
    warn
        Says a line.
    now
        Monotonic time, s.

    """

    def __init__(
        self, warn: Callable[[str], object], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._warn, self._now = warn, now
        self._said: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def warn(self, text: str) -> None:
        """Say `text`, with how often it was held back since the last time."""
        key = re.sub(r'\d+', '#', text)
        with self._lock:
            said, held_back = self._said.get(key, (-QUIET, 0))
            if self._now() - said < QUIET:
                self._said[key] = said, held_back + 1
                return
            self._said[key] = self._now(), 0
        self._warn(f'{text} ({held_back} more of these before)' if held_back else text)


class Ledger:
    """
    Counts of messages by input and fate.

    Inputs are 'points' and 'image.<camera>'. A message counts as received once, and has one of
    `FATES` once its fate is known; until then it is waiting.

    Parameters
    ----------
    complaints
        Where a refusal is said.

    """

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._lock = threading.Lock()
        self._received: Counter[str] = Counter()
        self._fates: Counter[tuple[str, str]] = Counter()
        self._lost: Counter[str] = Counter()
        self._topics: dict[str, str] = {}

    def name(self, source: str, topic: str) -> None:
        """Take note of the topic of an input, by which a refusal names it."""
        self._topics[source] = topic

    def topic(self, source: str) -> str:
        """Return the topic of an input."""
        return self._topics.get(source, source)

    def receive(self, source: str) -> None:
        """Count a message that has arrived."""
        with self._lock:
            self._received[source] += 1

    def lose(self, source: str, count: int) -> None:
        """Count messages that the middleware has dropped before they were received."""
        with self._lock:
            self._lost[source] += count

    def settle(self, source: str, fate: str) -> None:
        """Count the fate of one message."""
        with self._lock:
            self._fates[source, fate] += 1

    def refuse(self, source: str, stamp: int, reason: object) -> None:
        """Count a message as refused, and say its stamp, in ns, and why."""
        self.settle(source, REFUSED)
        text = ' '.join(str(reason).split())
        self._complaints.warn(
            f'{self.topic(source)}: message of {stamp / 1e9:.3f} s refused: {text}')

    def counts(self, source: str) -> dict[str, int]:
        """Return received, each fate, waiting (what has none yet), and lost beside these."""
        with self._lock:
            received, lost = self._received[source], self._lost[source]
            fates = {fate: self._fates[source, fate] for fate in FATES}
        waiting = received - sum(fates.values())
        return {'received': received, **fates, 'waiting': waiting, 'lost': lost}
