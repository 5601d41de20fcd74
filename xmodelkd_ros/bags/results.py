"""Recorded outputs of the node `perception`, read back as records for scores and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
import statistics
from typing import Any

import numpy as np

from .reader import BagReader
from ..labels import ID_BY_NAME
from ..messages.clouds import cloud_from_message
from ..messages.images import mask_from_message
from ..messages.stamps import nanoseconds
from ..records import Cloud, Tracks

OUTPUT = '/perception/output'
"""Namespace of the outputs under the node's default name."""


class RecordedResults:
    """
    What `perception` published, from a bag of its outputs.

    Parameters
    ----------
    path
        Bag that holds the node's output topics and /diagnostics.

    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def cameras(self) -> list[str]:
        """Return the names of the cameras that have masks."""
        with BagReader(self.path) as bag:
            topics = [t for t in bag.topics if t.endswith('/instance_mask')]
        return [topic.split('/')[-2] for topic in topics]

    def clouds(self) -> Iterator[Cloud]:
        """Yield the labelled clouds in the order they were published."""
        for message in self._messages('points'):
            yield cloud_from_message(message)

    def tracks(self, camera: str) -> Iterator[tuple[int, Tracks]]:
        """Yield image stamp in ns and tracks of each image of a camera."""
        found = {nanoseconds(m.header.stamp): m for m in self._messages(f'{camera}/detections')}
        for message in self._messages(f'{camera}/instance_mask'):
            stamp = nanoseconds(message.header.stamp)
            if stamp in found:
                yield stamp, _tracks(found[stamp], mask_from_message(message))

    def diagnostics(self) -> dict[str, str]:
        """Return key and value of everything the node said in its last report, joined."""
        last: dict[str, str] = {}
        with BagReader(self.path) as bag:
            for _, _, message in bag.messages(['/diagnostics']):
                for status in message.status:
                    last |= {pair.key: pair.value for pair in status.values}
        return last

    def rates(self) -> dict[str, float]:
        """Return the median, Hz, of each rate that is not zero in the node's reports."""
        found: dict[str, list[float]] = {}
        with BagReader(self.path) as bag:
            for _, _, message in bag.messages(['/diagnostics']):
                for pair in (pair for status in message.status for pair in status.values):
                    if pair.key.endswith('.rate_hz') and float(pair.value) > 0:
                        name = pair.key.removesuffix('.rate_hz')
                        found.setdefault(name, []).append(float(pair.value))
        return {name: statistics.median(values) for name, values in found.items()}

    def _messages(self, name: str) -> Iterator[Any]:
        topic = f'{OUTPUT}/{name}'
        with BagReader(self.path) as bag:
            if topic in bag.topics:
                for _, _, message in bag.messages([topic]):
                    yield message


def times_of(said: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    """Return p50, p95 and p99, ms, of each stage and latency that diagnostics hold."""
    names = [key.removesuffix('.p50_ms') for key in said if key.endswith('.p50_ms')]
    return {
        name: tuple(float(said[f'{name}.{p}_ms']) for p in ('p50', 'p95', 'p99'))
        for name in names if not name.endswith('pair_offset')
    }


def _tracks(message: Any, id_map: np.ndarray) -> Tracks:
    """Return the tracks of a Detection2DArray and the mask of the same stamp."""
    rows = message.detections
    hypotheses = [row.results[0].hypothesis for row in rows]
    half = [(row.bbox.size_x / 2, row.bbox.size_y / 2) for row in rows]
    centers = [(row.bbox.center.position.x, row.bbox.center.position.y) for row in rows]
    corners = [np.subtract(centers, half), np.add(centers, half)] if rows else [[], []]
    return Tracks(
        np.array([int(row.id) for row in rows], np.uint16),
        np.array([ID_BY_NAME[h.class_id] for h in hypotheses], np.uint16),
        np.array([h.score for h in hypotheses], np.float32),
        np.hstack(corners).astype(np.float32).reshape(-1, 4),
        id_map,
    )
