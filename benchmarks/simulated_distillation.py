"""
Table A: what distillation is worth on simulated drives, by share of labelled sweeps.

    python benchmarks/simulated_distillation.py --work <folder> --teacher espnetv2:<weights>

Simulates the drives, extracts the teacher's features, trains every cell and writes
`benchmarks/results/simulated_distillation.{md,json}`. What is there already is kept: the same
command goes on after an interruption. Every row has the same network, steps and labels; the
learning rate of each method is the best of one grid by the validation drives, for the first seed
at `RATE_FRACTION` of the labels; test drives are looked at once, after that choice.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
import dataclasses
import functools
import json
import multiprocessing
from pathlib import Path
import sys
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from xmodelkd_ros.bags.recording import write_recording
from xmodelkd_ros.bags.simulated import simulated_drive, SimulatedDrivesConfig
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.config import from_mapping, to_mapping
from xmodelkd_ros.distillation.cache import open_caches
from xmodelkd_ros.distillation.config import DistillConfig
from xmodelkd_ros.distillation.dataset import FrameSource
from xmodelkd_ros.distillation.extraction import extract
from xmodelkd_ros.distillation.extraction_config import ExtractionConfig
from xmodelkd_ros.distillation.labelled_drives import LidarDrive
from xmodelkd_ros.distillation.records import DistillationFrame
from xmodelkd_ros.distillation.samples import select_views
from xmodelkd_ros.distillation.scoring import score_student
from xmodelkd_ros.distillation.teachers import make_teacher
from xmodelkd_ros.distillation.training import distil
from xmodelkd_ros.evaluation.environment import describe_environment
from xmodelkd_ros.evaluation.tables import format_table
from xmodelkd_ros.records import Cloud
from xmodelkd_ros.training.cache import cached_drives

RESULTS = Path(__file__).parent / 'results'
DRIVES = {'train': (3000, 20), 'validation': (3100, 4), 'test': (3200, 8)}
"""First seed and number of the drives; a seed makes a town of its own."""
SIMULATION: dict[str, Any] = {
    'frames': 8, 'every': 16, 'columns': 1024, 'cameras': ('front', 'left', 'right', 'rear')}
EXTRACTION: dict[str, Any] = {
    'distance': 0.0, 'angle': 0.0, 'instants': (-1, 1), 'longest_gap': 5.0}
FRACTIONS = (0.1, 0.01, 1.0)
RATES = (4e-3, 8e-3)
RATE_FRACTION = 0.1
STEPS = 400
TRAINING: dict[str, Any] = {
    'columns': 256, 'points': 4000, 'validate_every': 8, 'warm_up': 30,
    'network': {'channels': (24, 48, 64), 'blocks': (1, 1, 1), 'head': 32},
    'fusion': {'width': 32, 'heads': 4}, 'losses': {'lovasz_points': 4000, 'pairs': 256},
    'run': {'epochs': 1, 'workers': 0},
}
METHODS = ('lidar', 'l2', 'ours')


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training: a method, a share of labels, a learning rate and a seed."""

    method: str
    fraction: float
    rate: float
    seed: int

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return f'{self.method}_{self.fraction:g}_{self.rate:g}_{self.seed}'

    def stages(self) -> list[dict[str, Any]]:
        """Return the configuration of each stage; together they have `STEPS` steps."""
        run = {**TRAINING['run'], 'seed': self.seed}
        base = {**TRAINING, 'run': run, 'rate': self.rate, 'fraction': self.fraction}
        if self.method == 'lidar':
            return [{**base, 'mode': 'none', 'steps': STEPS}]
        if self.method == 'ours':
            return [{**base, 'mode': 'xmodelkd', 'steps': STEPS}]
        half = {**base, 'steps': STEPS // 2}
        return [{**half, 'mode': 'l2', 'fraction': 0.0}, {**half, 'mode': 'none'}]


class Thinned:
    """
    A drive without every second column of its sweeps, which halves the cost of a step.

    Parameters
    ----------
    drive
        Of either cache.

    """

    def __init__(self, drive: FrameSource) -> None:
        self.drive, self.feature_size = drive, getattr(drive, 'feature_size', 0)

    def __len__(self) -> int:
        return len(self.drive)

    def frame(self, index: int) -> DistillationFrame:
        """Return a frame of half as many points."""
        frame = self.drive.frame(index)
        cloud, points = frame.cloud, frame.cloud.points
        turn = np.arctan2(points[:, 1], points[:, 0]) * (SIMULATION['columns'] / (2 * np.pi))
        kept = np.flatnonzero(np.floor(turn).astype(np.int64) % 2 == 0)
        views = select_views(frame.views, kept, len(points))
        arrays = {
            name: None if (array := getattr(cloud, name)) is None else array[kept]
            for name in ('points', 'intensity', 'label')
        }
        return DistillationFrame(Cloud(cloud.stamp, **arrays), views, None, None)


class Bench:
    """Folders and drives of a benchmark; picklable, so that cells may run in processes."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def simulate(self) -> None:
        """Simulate the drives that are not there yet."""
        for part, (first, count) in DRIVES.items():
            for seed in tqdm(range(first, first + count), desc=f'simulate {part}', disable=None):
                _simulate(self.work / 'drives' / part / f'drive_{seed:04}', seed)
            cached_drives(_bags(self.work, part), self.work / 'arrays')

    def extract(self, teacher: str) -> None:
        """Extract what the teacher says of the drives, where that is not done yet."""
        config = from_mapping(ExtractionConfig, EXTRACTION)
        asked = make_teacher(teacher)
        for part in DRIVES:
            folders = extract(_bags(self.work, part), self.work / 'features', asked, config)
            text = json.dumps([str(folder) for folder in folders])
            (self.work / f'{part}.json').write_text(text)

    def drives(self, part: str, mode: str) -> list[Thinned]:
        """Open the drives of a part; the LiDAR alone needs no extraction."""
        if mode == 'none':
            arrays = cached_drives(_bags(self.work, part), self.work / 'arrays')
            return [Thinned(LidarDrive(drive)) for drive in arrays]
        folders = json.loads((self.work / f'{part}.json').read_text())
        return [Thinned(drive) for drive in open_caches(folders)]

    def train(self, cell: Cell) -> Path:
        """Train a cell and score it on the validation drives, if that is not done yet."""
        torch.set_num_threads(1)
        folder = self.work / 'cells' / cell.name
        if (folder / 'validation.json').is_file():
            return folder
        start = ''
        for number, stage in enumerate(cell.stages()):
            config = from_mapping(DistillConfig, {**stage, 'start': start})
            out = folder / f'stage_{number}'
            drives, held = (self.drives(part, config.mode) for part in ('train', 'validation'))
            start = str(distil(drives, held, out, config, resume=True))
        return self.score(cell, 'validation')

    def score(self, cell: Cell, part: str) -> Path:
        """Score a trained cell on the drives of a part, once."""
        torch.set_num_threads(1)
        folder = self.work / 'cells' / cell.name
        path = folder / f'{part}.json'
        if path.is_file():
            return folder
        last = folder / f'stage_{len(cell.stages()) - 1}'
        model = last / ('fused.safetensors' if cell.method == 'ours' else 'student.safetensors')
        mode = 'xmodelkd' if cell.method == 'ours' else 'none'
        found = score_student(model, self.drives(part, mode), 'cpu')
        scores = {
            name: {'miou': counts.mean_iou, 'iou': counts.iou.tolist()}
            for name, counts in found.items()
        }
        partial = path.with_suffix('.partial')
        partial.write_text(json.dumps(scores))
        partial.rename(path)
        return folder

    def read(self, cell: Cell, part: str) -> dict[str, Any] | None:
        """Return the scores of a cell by row, None where it has none yet."""
        path = self.work / 'cells' / cell.name / f'{part}.json'
        return json.loads(path.read_text()) if path.is_file() else None

    def rate(self, method: str, seed: int) -> float:
        """Return the learning rate with which a method does best on the validation drives."""
        def score(rate: float) -> float:
            found = self.read(Cell(method, RATE_FRACTION, rate, seed), 'validation')
            return found['student']['miou'] if found else -1.0
        return max(RATES, key=score)


def _simulate(path: Path, seed: int) -> None:
    if path.exists():
        return
    config = from_mapping(SimulatedDrivesConfig, {**SIMULATION, 'seed': seed})
    description = {'command': 'simulate', **to_mapping(config)}
    write_recording(simulated_drive(config), path, config, description, lambda items: items)


def _bags(work: Path, part: str) -> list[Path]:
    first, count = DRIVES[part]
    return [work / 'drives' / part / f'drive_{seed:04}' for seed in range(first, first + count)]


def _each(work: Callable[[Any], Any], cells: Sequence[Any], processes: int) -> None:
    """Call `work` on each of some cells, in several processes where asked."""
    if processes == 1:
        for cell in cells:
            work(cell)
        return
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(processes, context) as pool:
        list(pool.map(work, cells))


def chosen_cells(bench: Bench, seeds: Sequence[int]) -> Iterator[Cell]:
    """Yield the cells of the table, those of the first seed first."""
    for seed in seeds:
        for fraction in FRACTIONS:
            for method in METHODS:
                yield Cell(method, fraction, bench.rate(method, seeds[0]), seed)


ROWS = (
    ('LiDAR-only', 'lidar', 'student'), ('plain L2, LiDAR-only', 'l2', 'student'),
    ('ours, LiDAR-only', 'ours', 'student'), ('ours, fused', 'ours', 'fused'),
)


def tabulate(bench: Bench, seeds: Sequence[int]) -> tuple[str, list[dict[str, Any]]]:
    """Return the table, and its rows as plain values."""
    values: dict[tuple[str, float], list[float]] = {}
    for name, method, which in ROWS:
        for fraction in FRACTIONS:
            cells = [Cell(method, fraction, bench.rate(method, seeds[0]), s) for s in seeds]
            found = [bench.read(cell, 'test') for cell in cells]
            values[name, fraction] = [100 * f[which]['miou'] for f in found if f]
    plain, rows = [], []
    for name, method, _ in ROWS:
        row: list[Any] = [name, f'{bench.rate(method, seeds[0]):g}']
        for fraction in sorted(FRACTIONS):
            scores, base = values[name, fraction], values['LiDAR-only', fraction]
            gain = np.mean(scores) - np.mean(base) if scores and base else np.nan
            row += [_spread(scores), f'{gain:+.1f}']
            plain.append({'row': name, 'fraction': fraction, 'miou': scores, 'gain': gain})
        rows.append(row)
    headers = ['row', 'rate']
    for fraction in sorted(FRACTIONS):
        headers += [f'{100 * fraction:g} % labels [mIoU %]', 'gain']
    return format_table(headers, rows), plain


def _spread(scores: Sequence[float]) -> str:
    if not scores:
        return '-'
    deviation = np.std(scores, ddof=1) if len(scores) > 1 else 0.0
    return f'{np.mean(scores):.1f} +- {deviation:.1f} ({len(scores)})'


def write_results(bench: Bench, seeds: Sequence[int], teacher: str) -> str:
    """Write the table with all that it was made with; return it."""
    table, rows = tabulate(bench, seeds)
    facts = {
        'rows': rows, 'seeds': list(seeds), 'teacher': teacher, 'drives': DRIVES,
        'simulation': SIMULATION, 'extraction': EXTRACTION, 'training': TRAINING,
        'steps': STEPS, 'rates': RATES, 'environment': describe_environment(),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / 'simulated_distillation.json'
    path.write_text(json.dumps(facts, indent=1) + '\n')
    path.with_suffix('.md').write_text(f'```\n{table}\n```\n')
    return table


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--work', type=Path, required=True, help='folder for drives and runs')
    parser.add_argument('--teacher', required=True, help='image teacher, espnetv2:<weights>')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--processes', type=int, default=1, help='cells at the same time')
    options = parser.parse_args(args)
    bench = Bench(options.work)
    bench.simulate()
    bench.extract(options.teacher)
    first = options.seeds[0]
    trials = [Cell(m, RATE_FRACTION, rate, first) for rate in RATES for m in METHODS]
    _each(bench.train, trials, options.processes)
    cells = list(chosen_cells(bench, options.seeds))
    _each(bench.train, cells, options.processes)
    _each(functools.partial(bench.score, part='test'), cells, options.processes)
    print(write_results(bench, options.seeds, options.teacher))
    return 0


if __name__ == '__main__':
    sys.exit(main())
