"""What the node counted and measured, and its scores, as the tables that the demo ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..bags.results import RecordedResults, times_of
from ..bags.scoring import score_results
from ..evaluation.tables import format_table, Value

if TYPE_CHECKING:
    from .demo import Show

FATES = ('received', 'used', 'late', 'unmatched', 'replaced', 'refused', 'waiting', 'lost')
"""What comes in is used, dropped for one of four reasons, or waiting; lost is beside these."""


def report(results: Mapping[Show, Path]) -> str:
    """
    Return the demo's tables as text.

    Parameters
    ----------
    results
        Bag of the outputs by drive.

    """
    said = {show.name: RecordedResults(path).diagnostics() for show, path in results.items()}
    rates = {show.name: RecordedResults(path).rates() for show, path in results.items()}
    parts = [
        'What became of the messages', message_table(said, rates), '', 'Time', time_table(said)]
    for show, path in results.items():
        if show.is_simulated:
            scores = score_results(RecordedResults(path), show.bag)
            parts += [
                '', f'Point labels on the simulated drive ({scores.clouds} clouds)',
                scores.points.table(),
                '', f'Tracked instances on the simulated drive ({scores.images} images)',
                scores.tracks.table(),
            ]
    return '\n'.join(parts)


def message_table(
    said: Mapping[str, Mapping[str, str]], rates: Mapping[str, Mapping[str, float]]
) -> str:
    """
    Return rate and counts by fate of each input, and the rate of the labelled clouds.

    Parameters
    ----------
    said
        By drive, the node's last diagnostics.
    rates
        By drive, as `RecordedResults.rates` gives them.

    """
    rows: list[list[Value]] = []
    for name, values in said.items():
        sources = [key.removesuffix('.received') for key in values if key.endswith('.received')]
        for source in sources:
            counts = [int(values[f'{source}.{fate}']) for fate in FATES]
            rows.append([name, source, rates[name].get(source), *counts])
        rows.append([name, 'labelled clouds', rates[name].get('output'), *[None] * len(FATES)])
    return format_table(['drive', 'messages', 'rate [Hz]', *FATES], rows)


def time_table(said: Mapping[str, Mapping[str, str]]) -> str:
    """Return the latencies and the time of each stage; `said` as the node's diagnostics."""
    rows: list[list[Value]] = [
        [name, stage, *times]
        for name, values in said.items() for stage, times in times_of(values).items()
    ]
    return format_table(['drive', 'stage', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]'], rows)
