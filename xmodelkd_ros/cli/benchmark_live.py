"""The live node, measured from outside: player and node in two processes, at recorded speed."""

from __future__ import annotations

import json
from pathlib import Path
import shutil
import subprocess
from typing import Any, TYPE_CHECKING

from ..bags.results import RecordedResults, times_of
from ..errors import XModelKDError

if TYPE_CHECKING:
    from .benchmark import BenchmarkConfig


def measure_live(
    bag: Path, config: BenchmarkConfig, out: Path, record: bool
) -> dict[str, dict[str, Any]]:
    """
    Play a bag through the launched node and return what the player saw.

    Parameters
    ----------
    bag
        Drive to play at its recorded rate.
    config
        Its camera.
    out
        Folder for the player's report and the results.
    record
        Whether all outputs are recorded too; else the labelled cloud alone is subscribed to.

    """
    report, results = out / 'player.json', out / 'results'
    report.unlink(missing_ok=True)
    shutil.rmtree(results, ignore_errors=True)
    arguments = {
        'bag': bag.resolve(), 'cameras': config.camera, 'report': report.resolve(),
        'rectified': str(config.rectified).lower(),
        **({'record': results.resolve()} if record else {}),
    }
    words = [f'{key}:={value}' for key, value in arguments.items()]
    done = subprocess.run(
        ['ros2', 'launch', 'xmodelkd_ros', 'replay.launch.py', *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or not report.is_file():
        raise XModelKDError(f'the launch file ended with code {done.returncode}:\n{done.stdout}')
    answers = json.loads(report.read_text())['answers']
    rows = {'publish to labelled cloud': answers}
    return rows | (_stages(results) if record else {})


def _stages(results: Path) -> dict[str, dict[str, Any]]:
    """Return the node's own times from its last diagnostics."""
    said = RecordedResults(results).diagnostics()
    columns = ('p50 [ms]', 'p95 [ms]', 'p99 [ms]')
    return {
        name: dict(zip(columns, times, strict=True)) for name, times in times_of(said).items()
    }
