"""
Table A: what distillation is worth on simulated drives, by share of labelled sweeps.

    python benchmarks/simulated_distillation.py --work <folder>

Simulates the drives, extracts the teacher's features, trains every cell and writes
`benchmarks/results/simulated_distillation.{md,json}`. What is there already is kept: the same
command goes on after an interruption. Every row has the same network, steps, labels and learning
rate: the one that is best for the LiDAR alone on the validation drives, for the first seed at
`RATE_FRACTION` of the labels. Test drives are looked at once, after that choice.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
import functools
import multiprocessing
from pathlib import Path
import sys
from typing import Any

from distillation_cells import (
    ABLATIONS,
    Bench,
    Cell,
    chosen_cells,
    DRIVES,
    EXTRACTION,
    FRACTIONS,
    RATE_FRACTION,
    RATES,
    SIMULATION,
    STEPS,
    TRAINING,
)
import numpy as np
from result_files import write_results
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.evaluation.tables import format_table

ROOT = Path(__file__).parents[1]
TEACHER = f'espnetv2:{ROOT / "models" / "image_espnetv2_simulated.safetensors"}'

REPORT = """# Table A: distillation on simulated drives

    python benchmarks/simulated_distillation.py --work <folder>

mIoU over 15 classes on {tested} sweeps of simulated test drives, all labelled points within the
sensor's profile, mean +- standard deviation over (seeds). {sweeps} sweeps to learn from, of which
the given share has labels; every row has the same network and {steps} steps of 2 sweeps; the seed
changes weights, order and which sweeps have labels. The learning rate of all rows is the one of
{rates} that is best for the LiDAR alone on the validation drives, at {fraction:g} % of the labels.
Seeds, sizes and versions: `simulated_distillation.json`.

```
{table}
```

Plain L2 spends half of its steps on pre-training without labels and half on fine-tuning, as its
authors do. Ours learns from labelled and unlabelled sweeps together from the first step. The
teacher painted onto the points that pictures show ({share:.0f} % of all) has a mIoU of
{miou:.1f} % there.

## Ours without some of its losses, {fraction:g} % of the labels

```
{ablation}
```
"""

ROWS = (
    ('LiDAR-only', 'lidar', 'student'), ('plain L2, LiDAR-only', 'l2', 'student'),
    ('ours, LiDAR-only', 'ours', 'student'), ('ours, fused', 'ours', 'fused'),
)


def scores_of(
    bench: Bench, method: str, which: str, fraction: float, seeds: Sequence[int]
) -> list[float]:
    """Return the mIoU in percent on the test drives of each seed that is done."""
    rate = bench.rate(seeds[0])
    found = [bench.read(Cell(method, fraction, rate, seed), 'test') for seed in seeds]
    return [100 * scores[which]['miou'] for scores in found if scores]


def tabulate(bench: Bench, seeds: Sequence[int]) -> tuple[str, list[dict[str, Any]]]:
    """Return the table, and its rows as plain values."""
    fractions = sorted(FRACTIONS)
    base = {f: scores_of(bench, 'lidar', 'student', f, seeds) for f in fractions}
    plain, rows = [], []
    for name, method, which in ROWS:
        row: list[Any] = [name]
        for fraction in fractions:
            scores = scores_of(bench, method, which, fraction, seeds)
            gain = _gain(scores, base[fraction])
            row += [_spread(scores), '-' if gain is None else f'{gain:+.1f}']
            plain.append({'row': name, 'fraction': fraction, 'miou': scores, 'gain': gain})
        rows.append(row)
    headers = ['row']
    for fraction in fractions:
        headers += [f'{100 * fraction:g} % labels [mIoU %]', 'gain']
    return format_table(headers, rows), plain


def tabulate_ablations(bench: Bench, seeds: Sequence[int]) -> tuple[str, list[dict[str, Any]]]:
    """Return the table of ours without some of its losses, and its rows as plain values."""
    plain, rows = [], []
    for name in ('ours', *ABLATIONS):
        row: list[Any] = [name, ', '.join(ABLATIONS.get(name, {})) or '-']
        for which in ('student', 'fused'):
            scores = scores_of(bench, name, which, RATE_FRACTION, seeds)
            row.append(_spread(scores))
            plain.append({'row': name, 'model': which, 'miou': scores})
        rows.append(row)
    headers = ('row', 'without', 'LiDAR-only student [mIoU %]', 'fused [mIoU %]')
    return format_table(headers, rows), plain


def _gain(scores: Sequence[float], base: Sequence[float]) -> float | None:
    return float(np.mean(scores) - np.mean(base)) if scores and base else None


def _spread(scores: Sequence[float]) -> str:
    if not scores:
        return '-'
    if len(scores) == 1:
        return f'{scores[0]:.1f} (1)'
    return f'{np.mean(scores):.1f} +- {np.std(scores, ddof=1):.1f} ({len(scores)})'


def write_tables(bench: Bench, seeds: Sequence[int], teacher: str) -> str:
    """Write the tables with all that they were made with; return them."""
    table, rows = tabulate(bench, seeds)
    ablation, parts = tabulate_ablations(bench, seeds)
    miou, share = bench.painted('test')
    facts = {
        'rows': rows, 'ablation': parts, 'seeds': list(seeds), 'teacher': Path(teacher).name,
        'teacher_painted': {'miou': 100 * miou, 'share_of_points': share}, 'drives': DRIVES,
        'simulation': SIMULATION, 'extraction': EXTRACTION, 'training': TRAINING,
        'steps': STEPS, 'rates': RATES,
    }
    text = REPORT.format(
        table=table, ablation=ablation, miou=100 * miou, share=100 * share, steps=STEPS,
        sweeps=DRIVES['train'][1] * SIMULATION['frames'], seeds=len(seeds),
        tested=DRIVES['test'][1] * SIMULATION['frames'], fraction=100 * RATE_FRACTION,
        rates=' or '.join(f'{rate:g}' for rate in RATES))
    write_results('simulated_distillation', text, facts)
    return f'{table}\n\n{ablation}'


def _each(work: Callable[[Any], Any], cells: Sequence[Any], processes: int) -> None:
    """Call `work` on each of some cells, in several processes where asked."""
    if processes == 1:
        for cell in cells:
            work(cell)
        return
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(processes, context) as pool:
        list(pool.map(work, cells))


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--work', type=Path, required=True, help='folder for drives and runs')
    parser.add_argument('--teacher', default=TEACHER, help='image teacher, <kind>:<weights>')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--processes', type=int, default=1, help='cells at the same time')
    options = parser.parse_args(args)
    bench = Bench(options.work)
    bench.simulate()
    bench.extract(options.teacher)
    first = options.seeds[0]
    trials = [Cell('lidar', RATE_FRACTION, rate, first) for rate in RATES]
    _each(bench.train, trials, options.processes)
    cells = list(chosen_cells(bench, options.seeds))
    _each(bench.train, cells, options.processes)
    _each(functools.partial(bench.score, part='test'), cells, options.processes)
    print(write_tables(bench, options.seeds, options.teacher))
    return 0


if __name__ == '__main__':
    sys.exit(main())
