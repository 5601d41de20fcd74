"""A bag in one table, for the end of the commands that make one."""

from __future__ import annotations

from pathlib import Path

from .reader import BagReader
from ..evaluation.tables import format_table


def bag_overview(path: Path) -> str:
    """Return a bag's topics, types, message counts and rates, its duration and its size."""
    with BagReader(path) as bag:
        seconds = (bag.end - bag.start) / 1e9
        rows = [
            (name, topic.type_name, topic.count, _rate(topic.count, seconds))
            for name, topic in bag.topics.items()
        ]
    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    table = format_table(('topic', 'type', 'messages', 'rate [Hz]'), rows)
    return f'{table}\n{path}: {seconds:.1f} s, {size:.1f} MB'


def _rate(count: int, seconds: float) -> float | None:
    return (count - 1) / seconds if seconds and count > 1 else None
