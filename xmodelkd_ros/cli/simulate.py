"""Simulate drives and write each as a bag, with its ground truth; bags that are there are kept."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import functools
from pathlib import Path
import sys
import time

from .arguments import add_options, config_from_options
from .command import command
from .progress import progress
from ..config import to_mapping


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    from ..bags.recording import is_recorded, write_recording
    from ..bags.simulated import simulated_drive, SimulatedDrivesConfig
    from ..evaluation.tables import format_table

    parser = argparse.ArgumentParser(prog='simulate', description=__doc__)
    parser.add_argument('out', type=Path, help='folder for the bags, drive_<seed>')
    add_options(parser, SimulatedDrivesConfig)
    options = parser.parse_args(args)
    first = config_from_options(options, SimulatedDrivesConfig)

    rows = []
    for seed in range(first.seed, first.seed + first.drives):
        config = dataclasses.replace(first, seed=seed, drives=1)
        path, started = options.out / f'drive_{seed:04}', time.monotonic()
        description = {'command': 'simulate', **to_mapping(config)}
        is_there = is_recorded(path, description)
        if not is_there:
            track = functools.partial(progress, label=path.name, unit='entries')
            write_recording(simulated_drive(config), path, config, description, track)
        made = 'kept' if is_there else time.monotonic() - started
        size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
        rows.append((str(path), config.frames, size, made))
    print(format_table(('bag', 'frames', 'size [MB]', 'made in [s]'), rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
