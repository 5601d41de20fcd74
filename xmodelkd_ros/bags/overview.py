"""A bag in one table, for the end of the commands that make one."""

from __future__ import annotations

from pathlib import Path

from .reader import BagReader


def bag_overview(path: Path) -> str:
    """Return a bag's topics, types, message counts and rates, its duration and its size."""
    with BagReader(path) as bag:
        seconds = (bag.end - bag.start) / 1e9
        rows = [('topic', 'type', 'messages', 'rate [Hz]')]
        for name, topic in bag.topics.items():
            rate = f'{(topic.count - 1) / seconds:.1f}' if seconds and topic.count > 1 else '-'
            rows.append((name, topic.type_name, str(topic.count), rate))
    size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
    names, types, counts, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [f'{n:{names}}  {t:{types}}  {c:>{counts}}  {r:>9}' for n, t, c, r in rows]
    return '\n'.join([*lines, f'{path}: {seconds:.1f} s, {size:.1f} MB'])
