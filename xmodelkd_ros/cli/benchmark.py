"""Measure speed on this machine: conversions, models by stage, the live node, the simulation."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import json
from pathlib import Path
import sys
from typing import Any

from .arguments import add_options, config_from_options
from .command import command
from ..config import setting, to_mapping
from ..errors import BagError


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured, and on what."""

    out: str = setting('out/benchmark', 'folder for bags and results')
    bag: str = setting('', 'bag of the drive, empty for KITTI drive 0052')
    camera: str = setting('camera_02', 'camera of the bag')
    rectified: bool = setting(True, 'whether its images are rectified')
    precision: str = setting('auto', 'the parameter `precision` of the node')
    frames: int = setting(60, 'frames that the stages are timed over', low=5)
    live: bool = setting(True, 'play the drive through the live node, too')
    simulation: bool = setting(True, 'time the simulation, too')


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog='benchmark', description=__doc__)
    add_options(parser, BenchmarkConfig)
    config = config_from_options(parser.parse_args(args), BenchmarkConfig)

    from .benchmark_live import measure_live
    from .benchmark_stages import devices, measure_conversions, measure_simulation, measure_stages
    from ..evaluation.environment import describe_environment
    from ..nodes.allocator import keep_freed_memory

    keep_freed_memory()  # as the node does
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    bag = Path(config.bag) if config.bag else _drive_0052(out)
    results: dict[str, Any] = {
        'environment': describe_environment(), 'configuration': to_mapping(config),
        'conversions': _said('conversions', measure_conversions(bag)),
    }
    for device in devices():
        arithmetic, section = measure_stages(bag, config, device)
        key = f'stages on {device}, convolutions in {arithmetic}'
        results[key] = _said(key, section)
    if config.live:
        for outputs in ('labelled cloud', 'all outputs'):
            measured = measure_live(bag, config, out, outputs == 'all outputs')
            for what, section in zip(('messages', 'times'), measured, strict=True):
                key = f'{what} of the live node, {outputs} subscribed'
                results[key] = _said(key, section)
    if config.simulation:
        results['simulation'] = _said('simulation', measure_simulation())
    path = out / 'benchmark.json'
    path.write_text(json.dumps(results, indent=1) + '\n')
    print('\n' + '\n'.join(f'{k}: {v}' for k, v in results['environment'].items()))
    print(f'written to {path}')
    return 0


def _drive_0052(out: Path) -> Path:
    """Return the bag of KITTI drive 0052, converted by an earlier benchmark or now."""
    from .kitti_to_bag import main as kitti_to_bag
    from ..bags.excerpts import excerpt_folder, find_excerpt

    source, bag = find_excerpt('kitti_0052'), out / 'kitti_0052'
    if source is None:
        raise BagError(f'{excerpt_folder()} has no kitti_0052: name a drive with --bag')
    if not bag.exists() and kitti_to_bag([str(source), str(bag), '--cameras', '02']):
        raise BagError(f'{source} cannot be converted')
    return bag


def _said(title: str, values: dict[str, Any]) -> dict[str, Any]:
    """Print the values of a section as a table and return them."""
    from ..evaluation.tables import format_table

    columns = list(dict.fromkeys(key for row in values.values() for key in row))
    rows = [[name, *(row.get(column) for column in columns)] for name, row in values.items()]
    print(f'\n{title}\n{format_table(["", *columns], rows)}', flush=True)
    return values


if __name__ == '__main__':
    sys.exit(main())
