"""
Table B: what image teachers make of recorded drives without any 3D label, and what each part adds.

The vehicle IoU is measured in the picture's view against hand-made 3D boxes. The mIoU over street
classes is agreement with a better pass of the same kind of teacher (the whole picture
and its mirror image, adapted), on points it sees: nobody labelled these drives by hand.

Students never learn from what they are scored on: drive 0001 is left out of every one, and so is
the half of the single frames, each of another drive, that it is scored on (two folds).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import dataclasses
import functools
import json
from pathlib import Path
import sys
from typing import Any

from head_training import HeadConfig, train_head
import numpy as np
from real_drives import CAMERA, FEATURES, RealDrives, TrueFrame
from real_judging import EVERY, Judge, Labeller, paint
from result_files import write_results
from student_averaging import average_students
from xmodelkd_ros.bags.sweeps import Sweeps
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.config import to_mapping
from xmodelkd_ros.distillation.records import FrameSource
from xmodelkd_ros.distillation.student.adaptation import adapt_student
from xmodelkd_ros.distillation.student.config import DistillConfig
from xmodelkd_ros.distillation.student.guessing import guess_drive, GuessConfig
from xmodelkd_ros.distillation.student.labelled_drives import LidarDrive
from xmodelkd_ros.distillation.student.students import STUDENT
from xmodelkd_ros.distillation.student.training import distil
from xmodelkd_ros.evaluation.tables import format_table
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.training.cache import cached_drives
from xmodelkd_ros.training.run_config import RunConfig

ROOT = Path(__file__).resolve().parents[1]
ADAPTED = 3
"""Every how many-th sweep the statistics of a student are adapted to."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A student: what it learns from, and which of its layers do."""

    name: str
    guess: GuessConfig = GuessConfig()
    adapted: bool = True
    itself: bool = True
    averaged: bool = False
    layers: str = 'head'
    mode: str = 'none'

    @property
    def guesses(self) -> str:
        """Return a name for what its labels depend on."""
        parts = {
            'adapted': self.adapted, 'carried': bool(self.guess.voxels), 'itself': self.itself}
        return '-'.join(['teacher', *(name for name, is_on in parts.items() if is_on)])


ADAPTED_ROW = 'adapted to other sweeps'
OWN = GuessConfig(voxels=())
ROWS = {row.name: row for row in (
    Row('own pictures, teacher as it is', OWN, adapted=False, itself=False),
    Row('own pictures', OWN, itself=False),
    Row('carried along the poses', itself=False),
    Row('with self-training'),
    Row('averaged with its start', averaged=True),
    Row('all layers, with simulated sweeps', layers='all'),
    Row('with xModel-KD', layers='all', mode='xmodelkd'),
)}
"""Each adds a part to the one before."""


class Students:
    """Trains the students of the table."""

    def __init__(self, drives: RealDrives, options: argparse.Namespace) -> None:
        self._drives, self._options = drives, options
        self._out: Path = options.work

    def adapt(self, everything: bool) -> Path:
        """Return the simulated student adapted to sweeps that nothing is scored on, or to all."""
        path = self._out / ('start_all' if everything else 'start') / STUDENT
        if not path.is_file():
            names = ['drive_0052', 'cropped', *(['frames', 'drive_0001'] if everything else ())]
            sweeps = Sweeps([*map(self._drives.bag, names), self._drives.sweeps()])
            clouds = (s.read() for number, s in enumerate(sweeps) if number % ADAPTED == 0)
            adapt_student(self._options.start, clouds, 1.0, path)
        return path

    def train(
        self, row: Row, name: str, frames: Sequence[int], everything: bool, seed: int
    ) -> Path:
        """
        Return a student.

        Parameters
        ----------
        row
            What it learns from.
        name
            Of the run, beside that of the row.
        frames
            Numbers of the single frames that it may learn from.
        everything
            Whether it may learn from drive 0001.
        seed
            Of what is drawn at random.

        """
        out = self._out / 'runs' / f'{row.name}, {name}, seed {seed}'
        if (out / 'done').is_file():
            return out / STUDENT
        start = self.adapt(everything)
        if row.averaged:
            trained = self.train(
                ROWS['with self-training'], name, frames, everything, seed)
            average_students(start, trained, 0.5, out / STUDENT)
            (out / 'done').touch()
            return out / STUDENT
        names = ['drive_0052', 'cropped', 'frames', *(['drive_0001'] if everything else [])]
        drives: list[FrameSource] = []
        for drive in names:
            guessed = self._guessed(self._drives.cache(drive, row.adapted), row, drive, start)
            drives.append(Some(guessed, frames) if drive == 'frames' else guessed)
        if row.itself:
            sweeps = self._guessed(self._lidar_only(), row, 'sweeps', start)
            drives.append(Some(sweeps, range(0, len(sweeps), 2)))
        if row.layers == 'head':
            config = HeadConfig(steps=self._options.steps, seed=seed)
            train_head(start, drives, out / STUDENT, config)
        else:
            self._train_all(row, start, drives, out, seed)
        (out / 'done').touch()
        return out / STUDENT

    def _train_all(
        self, row: Row, start: Path, drives: list[FrameSource], out: Path, seed: int
    ) -> None:
        found = cached_drives(self._options.simulated, self._out / 'arrays')
        drives = [*drives, *(
            Some(LidarDrive(d, FEATURES), range(0, len(d), 4)) for d in found)]
        distil(drives, [Some(drives[0], range(2))], out, DistillConfig(
            mode=row.mode, fraction=1.0, start=str(start), steps=self._options.steps, rate=1e-3,
            points=20000, warm_up=20, run=RunConfig(epochs=1, workers=1, seed=seed)), True)

    def _lidar_only(self) -> LidarDrive:
        (cached,) = cached_drives([self._drives.sweeps()], self._out / 'arrays')
        return LidarDrive(cached, FEATURES)

    def _guessed(self, drive: FrameSource, row: Row, name: str, start: Path) -> FrameSource:
        """Return a drive with guessed labels, as the command `distil` guesses them."""
        folder = self._out / 'guesses' / start.parent.name / row.guesses / name
        student = PointSegmenter(start) if row.itself else None
        return guess_drive(drive, folder, student, row.guess)


class Some:
    """Some frames of a drive."""

    def __init__(self, drive: FrameSource, chosen: Sequence[int]) -> None:
        self._drive, self._chosen = drive, list(chosen)
        self.feature_size = getattr(drive, 'feature_size', 0)
        self.guessed = getattr(drive, 'guessed', False)

    def __len__(self) -> int:
        return len(self._chosen)

    def frame(self, index: int) -> object:
        return self._drive.frame(self._chosen[index])


Scores = dict[str, list[dict[str, float]]]
"""Of the runs of each row."""
Parts = list[tuple[Labeller, set[str]]]
"""What labels, and the frames that it may be scored on."""


def measure(drives: RealDrives, options: argparse.Namespace) -> Scores:
    """Return the scores of each row; those that are in the folder already are not made again."""
    path = options.work / 'scores.json'
    found: Scores = json.loads(path.read_text()) if path.is_file() else {}
    judge, students = Judge(drives), Students(drives, options)
    names = [true.name for true in judge.frames['frames']]
    others = {true.name for true in judge.frames['drive_0001']}
    folds = [range(start, len(names) + 1, 2) for start in (0, 1)]  # the last frame has no boxes

    def note(name: str, make: Callable[[int], Parts], seeds: int = 1) -> None:
        runs = found.setdefault(name, [])
        for seed in range(len(runs), seeds):
            runs.append(judge.scores(make(seed)))
            path.write_text(json.dumps(found, indent=1) + '\n')
            print(table(found), flush=True)

    def everywhere(make: Callable[[], Labeller]) -> Callable[[int], Parts]:
        return lambda _: [(make(), {*names, *others})]

    def trained(row: Row) -> Callable[[int], Parts]:
        return lambda seed: [
            (student(students.train(row, f'fold {number}', fold, False, seed)),
             {*(name for i, name in enumerate(names) if i not in fold),
              *(others if number == 0 else ())})
            for number, fold in enumerate(folds)
        ]

    for adapted in (False, True):
        for occlusion in (False, True):
            name = f'teacher{", adapted" * adapted}, painted{", unhidden" * occlusion}'
            note(name, everywhere(functools.partial(Painter, drives, adapted, occlusion)))
    note('simulated drives alone', everywhere(lambda: student(options.start)))
    note(ADAPTED_ROW, everywhere(lambda: student(students.adapt(False))))
    for row in (ROWS[name] for name in options.rows):
        note(row.name, trained(row), options.seeds)
    if options.final == ADAPTED_ROW:
        students.adapt(True)
    elif options.final:
        students.train(ROWS[options.final], 'all data', range(len(names) + 1), True, 0)
    rows = [*(name for name in found if name not in ROWS), *(n for n in ROWS if n in found)]
    return {name: found[name] for name in rows}


class Painter:
    """The teacher, painted onto the points."""

    def __init__(self, drives: RealDrives, adapted: bool, occlusion: bool) -> None:
        self._teachers = {name: drives.teacher(name, adapted) for name in EVERY}
        self._occlusion = occlusion

    def __call__(self, true: TrueFrame) -> np.ndarray:
        small = true.frame.views[CAMERA].picture.rgb.shape[1] < 600
        return paint(self._teachers['drive_0001' if small else 'frames'], true, self._occlusion)


def student(path: Path) -> Labeller:
    """Return what a student says of a frame."""
    segmenter = PointSegmenter(path)
    return lambda true: segmenter(true.frame.cloud.points, true.frame.cloud.intensity).label


def table(found: Scores) -> str:
    """Return table B: means over the runs of a row, and their standard deviation."""
    kinds = {'boxes.vehicle': 'vehicle', 'boxes.person': 'person', 'street.mean': 'mIoU'}
    keys = [f'{name}.{kind}' for name in EVERY for kind in kinds]
    headers = ('labels by', *(
        f'{name} {kind} [%]' for name in ('frames', '0001') for kind in kinds.values()))
    rows = []
    for name, runs in found.items():
        values = 100 * np.array([[run[key] for key in keys] for run in runs])
        cells = [f'{mean:.1f}' for mean in values.mean(0)]
        if len(runs) > 1:
            scatter = values.std(0, ddof=1)
            cells = [f'{c} +- {off:.1f}' for c, off in zip(cells, scatter, strict=True)]
        rows.append((name, *cells))
    return format_table(headers, rows)


def named(value: Any) -> Any:
    """Return a setting as results name it: files without the folders that they lay in."""
    if isinstance(value, list):
        return [named(each) for each in value]
    return value.name if isinstance(value, Path) else value


@command
def main(args: Sequence[str] | None = None) -> int:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work', type=Path, required=True, help='folder for caches and runs')
    parser.add_argument('--weights', type=Path, nargs='+', required=True,
                        help='weight files of ESPNetv2 for Cityscapes')
    parser.add_argument('--simulated', type=Path, nargs='+', default=[],
                        help='simulated drives of the same sensor, as bags or arrays')
    parser.add_argument('--start', type=Path,
                        default=ROOT / 'models/point_hdl64e_simulated.safetensors')
    parser.add_argument('--rows', nargs='*', default=list(ROWS)[:5], choices=list(ROWS))
    parser.add_argument('--seeds', type=int, default=3, help='runs of each row that is trained')
    parser.add_argument('--steps', type=int, default=200)
    parser.add_argument('--final', choices=[ADAPTED_ROW, *ROWS], help='row made of all data')
    options = parser.parse_args(args)
    found = measure(RealDrives(options.work, options.weights), options)
    settings = {key: named(value) for key, value in vars(options).items() if key != 'work'}
    write_results(
        'real_distillation',
        '# Table B: distillation on real drives, without any 3D label\n\n'
        '`python benchmarks/real_distillation.py --work <folder> --weights <files> '
        '--simulated <drives>`\n\n'
        f'```\n{table(found)}\n```\n',
        {'settings': settings, 'rows': {row.name: to_mapping(row) for row in ROWS.values()},
         'scores': found})
    print(table(found))
    return 0


if __name__ == '__main__':
    sys.exit(main())
