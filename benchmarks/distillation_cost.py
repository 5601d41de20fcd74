"""
Table C of the distillation: what extraction and training cost in time, disk and memory.

    python benchmarks/distillation_cost.py --work <folder> --weights \
        espnetv2_s_2.0_city_1024x512.pth espnetv2_s_2.0_city_512x256.pth

KITTI drive 0052, the settings of config/distillation.yaml but 4 keyframes in a shard. Each line is
made by a process of its own, whose largest memory is given with that of its children. Writes
`benchmarks/results/distillation_cost.{md,json}`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
from pathlib import Path
import resource
import shutil
import sys
import time
from typing import Any

import numpy as np
from real_drives import CAMERA, RealDrives
from result_files import write_results
from xmodelkd_ros.bags.reader import BagReader
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.distillation.cache import open_caches
from xmodelkd_ros.distillation.extraction.config import ExtractionConfig
from xmodelkd_ros.distillation.extraction.extraction import extract
from xmodelkd_ros.distillation.student.config import DistillConfig
from xmodelkd_ros.distillation.student.training import distil
from xmodelkd_ros.distillation.teachers.teacher import make_teacher
from xmodelkd_ros.evaluation.tables import format_table

ROOT = Path(__file__).parents[1]
START = ROOT / 'models' / 'point_hdl64e_simulated.safetensors'
DRIVE = 'drive_0052'
WARM_UP = 5
"""Steps of a training that are not timed."""

Row = dict[str, Any]


def extraction(bag: Path, teacher: str, out: Path, processes: int) -> Row:
    """Extract a drive."""
    config = ExtractionConfig(rectified=(CAMERA,), shard=4)  # so that two processes share it
    asked = make_teacher(teacher)
    start = time.perf_counter()
    (folder,) = extract([bag], out, asked, config, processes)
    spent = time.perf_counter() - start
    (drive,) = open_caches([folder])
    with BagReader(bag) as reader:
        recorded = (reader.end - reader.start) / 1e9
    stored = sum(path.stat().st_size for path in folder.glob('**/*') if path.is_file())
    return {'processes': processes, 'bag s/s': recorded / spent, 'keyframes': len(drive),
            'keyframes/s': len(drive) / spent, 'cache [MB/keyframe]': stored / len(drive) / 1e6}


def training(folder: Path, mode: str, out: Path, steps: int) -> Row:
    """Train a student on an extracted drive."""
    config = from_mapping(DistillConfig, {
        'mode': mode, 'steps': steps, 'start': str(START), 'validate_every': 1000,
        'run': {'epochs': 1, 'workers': 0},
    })
    ends: list[float] = []
    drives = open_caches([folder])
    distil(drives, drives, out, config, watch=lambda *_: ends.append(time.perf_counter()))
    median = float(np.median(np.diff(ends[WARM_UP:])))
    return {'mode': mode, 'sweeps/step': config.batch, 'median step [s]': median,
            'steps/s': 1 / median}


def alone(work: Callable[..., Row], *args: object) -> Row:
    """Return what work in a process of its own returns, with the largest memory that it had."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        return pool.submit(_with_memory, work, args).result()


def _with_memory(work: Callable[..., Row], args: tuple[object, ...]) -> Row:
    found = work(*args)
    peak = sum(resource.getrusage(who).ru_maxrss
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {**found, 'largest memory [MB]': peak / 1e3}


def _measure(work: Path, weights: list[Path], steps: int) -> dict[str, list[Row]]:
    bag = RealDrives(work, weights).bag(DRIVE)
    teacher = f'espnetv2:{",".join(map(str, weights))}@0.7'
    rows: dict[str, list[Row]] = {'extraction': [], 'training': []}
    for processes in (1, 2):
        out = work / f'cost_{processes}'
        shutil.rmtree(out, ignore_errors=True)  # what is there would not be extracted again
        rows['extraction'].append(alone(extraction, bag, teacher, out, processes))
    (folder,) = (path.parent for path in out.glob('*/manifest.json'))
    for mode in ('l2', 'xmodelkd'):
        run = work / f'cost_{mode}'
        shutil.rmtree(run, ignore_errors=True)
        rows['training'].append(alone(training, folder, mode, run, steps))
    return rows


@command
def main(args: Sequence[str] | None = None) -> int:
    """Make the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--work', type=Path, required=True, help='folder for bag, cache and runs')
    parser.add_argument('--weights', type=Path, nargs='+', required=True,
                        help='weight files of ESPNetv2 for Cityscapes')
    parser.add_argument('--steps', type=int, default=25, help='steps of a training')
    options = parser.parse_args(args)
    rows = _measure(options.work, options.weights, options.steps)
    text = '\n\n'.join(
        f'{name}\n\n{format_table(list(of[0]), [list(row.values()) for row in of])}'
        for name, of in rows.items())
    write_results(
        'distillation_cost',
        '# Cost of the distillation\n\n`python benchmarks/distillation_cost.py`, KITTI drive '
        f'0052\n\n```\n{text}\n```\n',
        rows)
    print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
