"""Where benchmarks write what they found: a table to read, and all numbers with their origin."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from xmodelkd_ros.evaluation.environment import describe_environment

RESULTS = Path(__file__).parent / 'results'

NOTES = '\n## Notes\n'
"""From here on a table's file is written by people, and kept when the table is made again."""


def write_results(name: str, text: str, facts: Mapping[str, Any]) -> None:
    """
    Write `results/<name>.md` and `results/<name>.json`, both with the machine.

    Parameters
    ----------
    name
        Of the benchmark.
    text
        What a person reads, in Markdown.
    facts
        All numbers and what they were made with, as plain values; the environment is added.

    """
    environment = describe_environment()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f'{name}.json'
    path.write_text(json.dumps({**facts, 'environment': environment}, indent=1) + '\n')
    machine = '{cpu}, {cores} core(s), GPU: {gpu}, Python {python}, {date}'.format_map(environment)
    table = path.with_suffix('.md')
    _, found, notes = table.read_text().partition(NOTES) if table.is_file() else ('', '', '')
    table.write_text(f'{text}\n{machine}\n{found}{notes}')
