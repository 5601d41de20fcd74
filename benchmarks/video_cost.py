"""
Table C: what the online video segmenter costs: frames per second, and memory over time.

    python benchmarks/video_cost.py --model models/video_simulated.safetensors

Image in, tracks out: network, tracker and id map, on pictures of a simulated drive that come again
and again. A student that was distilled has the shape of one that was not, and costs the same.
Writes `benchmarks/results/video_cost.{md,json}`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import dataclasses
import itertools
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

import numpy as np
from result_files import write_results
import torch
from xmodelkd_ros.cli.arguments import add_options, config_from_options
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.config import setting, to_mapping
from xmodelkd_ros.evaluation.tables import format_table
from xmodelkd_ros.inference.tracker import Tracker
from xmodelkd_ros.inference.video_segmenter import VideoPreprocessing, VideoSegmenter
from xmodelkd_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from xmodelkd_ros.simulation.drive import Drive, SimulationConfig

ROOT = Path(__file__).parents[1]
SHIPPED = VideoPreprocessing().size
SIZES = (
    ((640, 192), (640, 192)), ((640, 192), SHIPPED), ((1242, 375), SHIPPED),
    ((1242, 375), (1248, 384)))
"""Of the pictures, and of what the network sees of them."""
PERIOD = 100_000_000
"""From picture to picture, ns."""


@dataclasses.dataclass(frozen=True)
class CostConfig:
    """What is measured."""

    model: str = setting(
        str(ROOT / 'models' / 'video_simulated.safetensors'), "checkpoint of the kind 'video'")
    frames: int = setting(60, 'pictures that the speed is measured on', low=1)
    early: int = setting(100, 'pictures after which the memory is measured first', low=1)
    late: int = setting(10_000, 'pictures after which it is measured again', low=1)


def pictures(width: int, height: int) -> list[np.ndarray]:
    """Return pictures of a simulated drive, forwards and backwards."""
    drive = Drive(SimulationConfig(seed=2000, frames=8, columns=16, width=width, height=height))
    found = [frame.views['front'].picture.rgb for frame in drive.frames()]
    return found + found[-2:0:-1]


def load(model: str, size: tuple[int, int], device: str) -> VideoSegmenter:
    """Load a video segmenter that sees pictures in another size."""
    checkpoint = load_checkpoint(model, 'video')
    width, height = size
    preprocessing = {**checkpoint.preprocessing, 'width': width, 'height': height}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'video.safetensors'
        save_checkpoint(path, dataclasses.replace(checkpoint, preprocessing=preprocessing))
        return VideoSegmenter(path, device)


def run(segment: VideoSegmenter, shown: list[np.ndarray]) -> Iterator[Tracker]:
    """Track pictures without end; yield the tracker after each."""
    tracker = Tracker()
    for number, picture in enumerate(itertools.cycle(shown)):
        tracker.update(segment([picture])[0], number * PERIOD)
        yield tracker


def speed(config: CostConfig, device: str) -> list[dict[str, Any]]:
    """Return frames per second by sizes."""
    rows = []
    for picture, network in SIZES:
        loop = run(load(config.model, network, device), pictures(*picture))
        for _ in range(5):
            next(loop)
        spent, start = [], time.process_time()
        for _ in range(config.frames):
            began = time.perf_counter()
            next(loop)
            spent.append(time.perf_counter() - began)
        rows.append({
            'device': device, 'picture': '{} x {}'.format(*picture),
            'network': '{} x {}'.format(*network), 'median [ms]': 1e3 * float(np.median(spent)),
            'frames/s': 1 / float(np.median(spent)),
            'CPU time [ms]': 1e3 * (time.process_time() - start) / config.frames,
        })
    return rows


def memory(config: CostConfig) -> list[dict[str, Any]]:
    """Return the memory of the process and the tracks in memory, early and late."""
    size = SIZES[0][0]
    loop, rows = run(load(config.model, size, 'cpu'), pictures(*size)), []
    for number, tracker in enumerate(loop, 1):
        if number in (config.early, config.late):
            rows.append({'frames': number, 'resident memory [MB]': _resident_bytes() / 1e6,
                         'tracks in memory': len(tracker.ids)})
        if number >= config.late:
            return rows
    return rows


def _resident_bytes() -> int:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return 1024 * int(line.split()[1])
    return 0


def _table(rows: list[dict[str, Any]]) -> str:
    return format_table(list(rows[0]), [list(row.values()) for row in rows])


@command
def main(args: Sequence[str] | None = None) -> int:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, CostConfig)
    config = config_from_options(parser.parse_args(args), CostConfig)
    devices = ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]
    rows = [row for device in devices for row in speed(config, device)]
    print(_table(rows), flush=True)
    grown = memory(config)
    print(_table(grown))
    asked = to_mapping(config) | {'model': Path(config.model).name}
    facts = {'config': asked, 'speed': rows, 'memory': grown,
             'threads': torch.get_num_threads()}
    write_results(
        'video_cost',
        '# Cost of the online video segmenter\n\n`python benchmarks/video_cost.py`\n\n'
        f'```\n{_table(rows)}\n\n{_table(grown)}\n```\n',
        facts)
    return 0


if __name__ == '__main__':
    sys.exit(main())
