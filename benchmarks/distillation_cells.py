"""The cells of table A: their drives, how each is trained, and where its scores are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from student_scoring import score_student
import torch
from tqdm import tqdm
from xmodelkd_ros.bags.recording import write_recording
from xmodelkd_ros.bags.simulated import simulated_drive, SimulatedDrivesConfig
from xmodelkd_ros.config import from_mapping, to_mapping
from xmodelkd_ros.distillation.cache import open_caches
from xmodelkd_ros.distillation.extraction.config import ExtractionConfig
from xmodelkd_ros.distillation.extraction.extraction import extract
from xmodelkd_ros.distillation.records import DistillationFrame, FrameSource
from xmodelkd_ros.distillation.student.config import DistillConfig
from xmodelkd_ros.distillation.student.labelled_drives import LidarDrive
from xmodelkd_ros.distillation.student.pseudo_labels import vote
from xmodelkd_ros.distillation.student.samples import select_views
from xmodelkd_ros.distillation.student.training import distil
from xmodelkd_ros.distillation.teachers.teacher import make_teacher
from xmodelkd_ros.evaluation.segmentation import ConfusionMatrix
from xmodelkd_ros.files import whole_file
from xmodelkd_ros.labels import POINT_CLASSES
from xmodelkd_ros.records import Cloud
from xmodelkd_ros.training.cache import cached_drives

DRIVES = {'train': (3000, 20), 'validation': (3100, 4), 'test': (3200, 8)}
"""First seed and number of the drives; a seed makes a town of its own."""
SIMULATION: dict[str, Any] = {
    'frames': 8, 'every': 16, 'columns': 1024, 'cameras': ('front', 'left', 'right', 'rear')}
EXTRACTION: dict[str, Any] = {
    'distance': 0.0, 'angle': 0.0, 'instants': (-1, 1), 'longest_gap': 5.0}
FRACTIONS = (0.1, 0.01, 1.0)
RATES = (6e-3, 1.2e-2)
RATE_FRACTION = 0.1
STEPS = 1200
TRAINING: dict[str, Any] = {
    'columns': 256, 'points': 4000, 'validate_every': 8, 'warm_up': 30,
    'network': {'channels': (24, 48, 64), 'blocks': (1, 1, 1), 'head': 32},
    'augmentation': {
        'bands': 0, 'thin': 0.0, 'gain': 0.1, 'growth': 0.0, 'mute': 0.0, 'blind': 0.0},
    'fusion': {'width': 32, 'heads': 4},
    'losses': {
        'lovasz_points': 4000, 'pairs': 256, 'guess': 0.5, 'contrast': 0.05, 'views': 0.02},
    'run': {'epochs': 1, 'workers': 0},
}
METHODS = ('lidar', 'l2', 'ours')
ABLATIONS: dict[str, dict[str, float]] = {
    'guesses': {'logits': 0.0, 'features': 0.0, 'contrast': 0.0, 'views': 0.0},
    'uncontrasted': {'contrast': 0.0, 'views': 0.0},
    'unguessed': {'guess': 0.0},
}
"""Ours without some of its losses; trained at `RATE_FRACTION` of the labels."""


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
        return f'{self.method}_{self.fraction:g}_{self.rate:g}_{STEPS}_{self.seed}'

    def stages(self) -> list[dict[str, Any]]:
        """Return the configuration of each stage; together they have `STEPS` steps."""
        run = {**TRAINING['run'], 'seed': self.seed}
        base = {**TRAINING, 'run': run, 'rate': self.rate, 'fraction': self.fraction}
        if self.method == 'lidar':
            return [{**base, 'mode': 'none', 'steps': STEPS}]
        if self.method != 'l2':
            losses = {**TRAINING['losses'], **ABLATIONS.get(self.method, {})}
            return [{**base, 'mode': 'xmodelkd', 'losses': losses, 'steps': STEPS}]
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
        mode = cell.stages()[-1]['mode']
        model = last / ('fused.safetensors' if mode == 'xmodelkd' else 'student.safetensors')
        found = score_student(model, self.drives(part, mode), 'cpu')
        scores = {
            name: {'miou': counts.mean_iou, 'iou': counts.iou.tolist()}
            for name, counts in found.items()
        }
        with whole_file(path) as partial:
            partial.write_text(json.dumps(scores))
        return folder

    def read(self, cell: Cell, part: str) -> dict[str, Any] | None:
        """Return the scores of a cell by row, None where it has none yet."""
        path = self.work / 'cells' / cell.name / f'{part}.json'
        return json.loads(path.read_text()) if path.is_file() else None

    def painted(self, part: str) -> tuple[float, float]:
        """Return the teacher's own mIoU on the points that it sees, and the share of these."""
        counts, seen, total = ConfusionMatrix(POINT_CLASSES), 0, 0
        for drive in self.drives(part, 'xmodelkd'):
            for index in range(len(drive)):
                frame = drive.frame(index)
                channel, _ = vote(frame.views, len(frame.cloud.points), POINT_CLASSES)
                shown = channel >= 0
                counts.add(frame.cloud.label[shown], (channel[shown] + 1).astype(np.uint16))
                seen, total = seen + int(shown.sum()), total + len(shown)
        return counts.mean_iou, seen / total

    def rate(self, seed: int) -> float:
        """Return the learning rate with which the LiDAR alone does best on validation drives."""
        def score(rate: float) -> float:
            found = self.read(Cell('lidar', RATE_FRACTION, rate, seed), 'validation')
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


def chosen_cells(bench: Bench, seeds: Sequence[int]) -> Iterator[Cell]:
    """Yield the cells of the tables, those of the first seed first."""
    for seed in seeds:
        for fraction in FRACTIONS:
            for method in METHODS:
                yield Cell(method, fraction, bench.rate(seeds[0]), seed)
    for seed in seeds:
        for method in ABLATIONS:
            yield Cell(method, RATE_FRACTION, bench.rate(seeds[0]), seed)
