"""
Table A: what the offline teacher gives to the online video segmenter, on simulated drives.

    python benchmarks/simulated_video_distillation.py --work <folder>

Simulates the drives, trains every cell and writes
`benchmarks/results/simulated_video_distillation.{md,json}`. What is there already is kept: the
same command goes on after an interruption. All students start from the same weights (`--start`)
and have the same network and steps. The one alone learns from few labelled drives, the others
also from drives that the offline teacher labels, which is built over a per-frame network of the
same shape (`--teacher-start`). Nothing is chosen on the test drives.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import json
from pathlib import Path
import sys
from typing import Any

import numpy as np
from result_files import write_results
import torch
from xmodelkd_ros.cli.arguments import add_options, config_from_options
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.cli.progress import progress
from xmodelkd_ros.config import from_mapping, setting, to_mapping
from xmodelkd_ros.distillation.ookd.config import OokdTrainingConfig
from xmodelkd_ros.distillation.ookd.training import train_ookd
from xmodelkd_ros.evaluation.tables import format_table, Value
from xmodelkd_ros.evaluation.video import HEADERS, PARTS, percent, TrackEvaluation
from xmodelkd_ros.files import whole_file
from xmodelkd_ros.inference.clip_segmenter import load_clip_segmenter
from xmodelkd_ros.inference.video_segmenter import VideoSegmenter
from xmodelkd_ros.networks.checkpoint import load_checkpoint
from xmodelkd_ros.simulation.drive import Drive, SimulationConfig
from xmodelkd_ros.training.cache import CachedDrive, open_drive, write_drive
from xmodelkd_ros.training.clip.module import ClipTrainingConfig
from xmodelkd_ros.training.clip.training import train_clip
from xmodelkd_ros.training.run_config import LAST
from xmodelkd_ros.training.video.evaluation import follow, score_drive

ROOT = Path(__file__).parents[1]
NOTHING = {'embedding': 0.0, 'classes': 0.0, 'cover': 0.0, 'dice': 0.0}
ROWS = {
    'student alone': {'mode': 'alone'},
    '+ plain distillation': {'mode': 'plain'},
    "+ teacher's labels": {'mode': 'qfa', 'distil': NOTHING},
    '+ QFA': {'mode': 'qfa'},
    '+ QFA and class-fair paste': {'mode': 'qfa', 'paste': True},
    'teacher (offline)': {},
}
TEACHER = 'teacher (offline)'
SHIPPED = ROOT / 'models' / 'video_simulated.safetensors'
LOSSES = {
    'dice': 4.0, 'semantic': 0.3, 'association': 0.25, 'heat': 0.5, 'vote': 0.5}
"""Weights with which the shipped network was trained, too."""

INPUT = {'width': 640, 'height': 192}
"""Of all networks here: what the simulated cameras have, not the larger one of shipped ones."""

WHOLE = INPUT | {'augmentation': {'zoom': 1.2, 'shrink': 1.1}}
"""A teacher learns from whole pictures: in cut-outs there is little to be mistaken for."""

STREETS = {'train': 3000, 'unlabelled': 4000}
"""First seeds of the drives to learn from."""


@dataclasses.dataclass(frozen=True)
class TableConfig:
    """What the table is made with."""

    seeds: int = setting(3, 'runs of each row', low=1)
    train_drives: int = setting(20, 'labelled drives', low=1)
    unlabelled_drives: int = setting(120, 'drives that the teacher labels', low=0)
    test_drives: int = setting(12, 'drives to be scored on', low=1)
    clip_frames: int = setting(3, 'pictures of a training clip', low=2, high=20)
    width: int = setting(384, 'width of a training clip', unit='px', low=64)
    height: int = setting(128, 'height of a training clip', unit='px', low=32)
    batch: int = setting(3, 'clips per step', low=1)
    start: str = setting(str(SHIPPED), 'weights that every student starts from')
    teacher_start: str = setting(str(SHIPPED), 'per-frame network of the teacher')
    steps: int = setting(1000, 'steps of a student', low=1)
    teacher_steps: int = setting(250, 'steps of a teacher', low=1)
    rate: float = setting(6e-4, 'peak learning rate of both', low=0.0)
    averaging: float = setting(0.99, 'momentum of the average of the weights', low=0.0, high=1.0)
    paste: float = setting(0.5, 'share of clips with a pasted instance', low=0.0, high=1.0)


def simulation(config: TableConfig, part: str) -> tuple[range, dict[str, Any]]:
    """Return the seeds of the drives of a part, and what is simulated."""
    if part in STREETS:
        count = config.train_drives if part == 'train' else config.unlabelled_drives
        options = {'frames': 12, 'every': 5, 'cameras': ('front', 'rear'), 'traffic': 2.0}
        return range(STREETS[part], STREETS[part] + count), options
    first, count = (1000, 1) if part == 'validation' else (2000, config.test_drives)
    return range(first, first + count), {'frames': 40}


def drives(work: Path, config: TableConfig, part: str) -> list[CachedDrive]:
    """Simulate the drives of a part that are not there yet; return them all."""
    seeds, options = simulation(config, part)
    made = []
    for seed in progress(seeds, f'simulate {part}', 'drives'):
        folder = work / 'drives' / f'{seed:04}'
        if not (folder / 'drive.json').is_file():
            drive = Drive(SimulationConfig(seed=seed, columns=16, **options))
            write_drive(drive.frames(), folder, f'simulated, seed {seed}')
        made.append(open_drive(folder))
    return made


def training(config: TableConfig, seed: int, steps: int) -> dict[str, Any]:
    """Return what all trainings have in common, as plain values."""
    shape = load_checkpoint(SHIPPED, 'video')
    return {
        'network': dict(shape.network), 'preprocessing': dict(shape.preprocessing) | INPUT,
        'clips': {'width': config.width, 'height': config.height, 'paste': 0.0,
                  'augmentation': {'zoom': 1.5, 'shrink': 1.2}},
        'losses': LOSSES, 'run': {'epochs': 1, 'workers': 0, 'seed': seed}, 'steps': steps,
        'validate_every': 4,
    }


def folders(work: Path, config: TableConfig) -> list[list[Path]]:
    """Return the folders of the drives to learn from, and to validate on."""
    return [[d.folder for d in drives(work, config, part)] for part in ('train', 'validation')]


def train_cell(work: Path, config: TableConfig, row: str, seed: int) -> Path:
    """Train one cell, or go on with it; return its checkpoint."""
    out, options = cell_folder(work, row, seed), ROWS[row]
    of_teacher, begun = row == TEACHER, (out / LAST).is_file()
    plain = training(config, seed, config.teacher_steps if of_teacher else config.steps)
    plain |= {'learning_rate': config.rate, 'batch': config.batch, 'warm_up': 20,
              'averaging': config.averaging}
    plain['clips'] |= {'frames': config.clip_frames, 'max_gap': 1}
    if of_teacher:
        plain['start'] = config.teacher_start
        plain['clips'] |= WHOLE
        how = from_mapping(ClipTrainingConfig, plain)
        return train_clip(*folders(work, config), out, how, out, begun)
    plain |= {'mode': options['mode'], 'start': config.start,
              'distil': options.get('distil', {}),
              'teacher': str(cell_folder(work, TEACHER, 0) / 'clip.safetensors')}
    if options['mode'] != 'alone':
        plain['unlabelled'] = [str(d.folder) for d in drives(work, config, 'unlabelled')]
    if options.get('paste'):
        plain['clips'] |= {'paste': config.paste, 'balance': 1.0}
    how = from_mapping(OokdTrainingConfig, plain)
    return train_ookd(*folders(work, config), out, how, work / 'cache', begun)


def cell_folder(work: Path, row: str, seed: int) -> Path:
    """Return where a cell is."""
    return work / 'cells' / f'{list(ROWS).index(row)}_{seed}'


def score_cell(work: Path, config: TableConfig, row: str, seed: int) -> dict[str, Any]:
    """Train and score one cell if that was not done; return its scores by part."""
    path = cell_folder(work, row, seed) / 'scores.json'
    if not path.is_file():
        model = train_cell(work, config, row, seed)
        evaluation = TrackEvaluation()
        track = load_clip_segmenter(model) if row == TEACHER else follow(VideoSegmenter(model))
        for drive in progress(drives(work, config, 'test'), f'score {row} {seed}', 'drives'):
            score_drive(drive, 'front', track, evaluation)
        found = {part: evaluation.scores(part) for part in PARTS}
        with whole_file(path) as partial:
            partial.write_text(json.dumps({
                part: [s.mean.tracks, *percent(s.mean), s.id_switches]
                for part, s in found.items()}))
    return json.loads(path.read_text())


def tables(scores: dict[str, list[dict[str, Any]]]) -> str:
    """Return a table of each part: means over the seeds, and the spread of AP."""
    texts = []
    for part in PARTS:
        rows: list[list[Value]] = []
        for row, cells in scores.items():
            values = np.array([cell[part] for cell in cells], float)
            spread = float(values[:, 1].std(ddof=1)) if len(values) > 1 else float('nan')
            tracks, *mean = values.mean(0).tolist()
            rows.append([row, len(cells), int(tracks), mean[0], spread, *mean[1:]])
        headers = ('row', 'seeds', HEADERS[0], HEADERS[1], '+- [%]', *HEADERS[2:], 'id switches')
        texts.append(f'True tracks: {part}\n\n{format_table(headers, rows)}')
    return '\n\n'.join(texts)


def write_tables(scores: dict[str, list[dict[str, Any]]], config: TableConfig) -> None:
    """Write the tables, and all numbers with what they were made with."""
    contents = {name: load_checkpoint(path, 'video').sha256
                for name, path in (('teacher', config.teacher_start), ('students', config.start))}
    names = {key: Path(getattr(config, key)).name for key in ('start', 'teacher_start')}
    facts = {'config': to_mapping(config) | names,
             'start_sha256': contents, 'scores': scores}
    write_results(
        'simulated_video_distillation',
        '# Online video segmenter taught by the offline one, simulated drives\n\n'
        f'`python benchmarks/simulated_video_distillation.py --work <folder>`\n\n'
        f'```\n{tables(scores)}\n```\n',
        facts)


@command
def main(args: Sequence[str] | None = None) -> int:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work', required=True, type=Path, help='folder for drives and runs')
    parser.add_argument('--simulate-only', action='store_true', help='make the drives and stop')
    add_options(parser, TableConfig)
    options = parser.parse_args(args)
    config = config_from_options(options, TableConfig)
    torch.set_num_threads(1)
    for part in (*STREETS, 'validation', 'test'):
        drives(options.work, config, part)
    if options.simulate_only:
        return 0
    scores: dict[str, list[dict[str, Any]]] = {row: [] for row in ROWS}
    scores[TEACHER].append(score_cell(options.work, config, TEACHER, 0))
    for seed in range(config.seeds):
        for row in (r for r in ROWS if r != TEACHER):
            scores[row].append(score_cell(options.work, config, row, seed))
            write_tables({r: cells for r, cells in scores.items() if cells}, config)
    print(tables(scores))
    return 0


if __name__ == '__main__':
    sys.exit(main())
