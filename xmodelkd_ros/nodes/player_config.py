"""Parameters of the node `bag_player`."""

from __future__ import annotations

import dataclasses

from ..config import setting


@dataclasses.dataclass(frozen=True)
class PlayerConfig:
    """Parameters of the node."""

    bag: str = setting('', 'bag folder, or .mcap or .db3 file')
    topics: list[str] = setting([], 'topics to play, none for all')
    rate: float = setting(1.0, 'recorded seconds per second', low=0.01, high=100.0)
    start_offset: float = setting(
        0.0, 'where to start; latched messages from before it are played at once',
        unit='s', low=0.0)
    loop: bool = setting(False, 'start again at the end; /clock then jumps back')
    clock_rate: float = setting(
        40.0, 'how often /clock is published, 0 for never', unit='Hz', low=0.0, high=1000.0)
    wait_for_subscribers: list[str] = setting(
        [], 'topics that must have a subscriber before the first message')
    reference: str = setting('/points', 'topic of the messages that `wait_for` answers')
    wait_for: str = setting(
        '', 'cloud topic of the consumer, which answers reference messages by their stamp')
    in_flight: int = setting(
        1, 'lossless: most reference messages without an answer, a further one waits; 0 waits '
        'for none, answers are only timed', low=0, high=100)
    answer_timeout: float = setting(
        10.0, 'longest wait for an answer, after which it is given up', unit='s', low=0.0)
    report: str = setting('', 'JSON file for how many answers came, and after what time')
    linger: float = setting(
        1.0, 'wait after the last message, so that it arrives', unit='s', low=0.0)
