"""The live node, measured from outside: player and node in two processes, at recorded speed."""

from __future__ import annotations

import json
from pathlib import Path
import shutil
import subprocess
from typing import Any, TYPE_CHECKING

from ..bags.results import RecordedResults, times_of
from ..errors import XModelKDError
from ..nodes.ledger import FATES

if TYPE_CHECKING:
    from .benchmark import BenchmarkConfig

PERCENTILES = ('p50 [ms]', 'p95 [ms]', 'p99 [ms]')

Section = dict[str, dict[str, Any]]


def measure_live(
    bag: Path, config: BenchmarkConfig, out: Path, all_outputs: bool
) -> tuple[Section, Section]:
    """
    Play a bag through the launched node; return what became of the messages, and the times.

    Parameters
    ----------
    bag
        Drive to play at its recorded rate.
    config
        Its camera, and the node's arithmetic.
    out
        Folder for the player's report and the results.
    all_outputs
        Whether all outputs are recorded, else the player alone asks for the labelled cloud.

    """
    report, results = out / 'player.json', out / 'results'
    report.unlink(missing_ok=True)
    shutil.rmtree(results, ignore_errors=True)
    arguments = {
        'bag': bag.resolve(), 'cameras': config.camera, 'report': report.resolve(),
        'rectified': str(config.rectified).lower(), 'record': results.resolve(),
        'topics': '' if all_outputs else '/diagnostics', 'precision': config.precision,
    }
    words = [f'{key}:={value}' for key, value in arguments.items() if value]
    done = subprocess.run(
        ['ros2', 'launch', 'xmodelkd_ros', 'replay.launch.py', *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or not report.is_file():
        raise XModelKDError(f'the launch file ended with code {done.returncode}:\n{done.stdout}')
    said = RecordedResults(results).diagnostics()
    answers = json.loads(report.read_text())['answers']
    messages = {
        source: {fate: int(said[f'{source}.{fate}']) for fate in ('received', *FATES, 'lost')}
        for source in ('points', f'image.{config.camera}')
    }
    times = {'publish to labelled cloud': {key: answers[key] for key in PERCENTILES}} | {
        name: dict(zip(PERCENTILES, values, strict=True))
        for name, values in times_of(said).items()
    }
    return messages, times
