"""Ids of tracks."""

from __future__ import annotations

from collections.abc import Container, Iterator

LAST_ID = 65535


def next_id(ids: Iterator[int], living: Container[int]) -> int:
    """Return the next of `ids` that no living track has; beyond 65535 they start again from 1."""
    while True:
        identity = (next(ids) - 1) % LAST_ID + 1
        if identity not in living:
            return identity
