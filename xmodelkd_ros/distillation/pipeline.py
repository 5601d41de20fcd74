"""
The whole way from bags to a student, stage by stage, in one folder that can be gone on from.

========== =========================================================================
run.yaml   the configuration and the versions; another one is refused
bags.json  the bags that were found by it; others are refused
teacher.safetensors  statistics of the adapted teacher
start.safetensors  train: the checkpoint to start from, adapted to the sweeps
cache/     extract: what the teacher says, a folder per drive
quality.txt  extract: the figures of each drive
guesses/   train: guessed labels, a folder per drive
train/     train: log, checkpoints, student.safetensors, and fused.safetensors
finetune/  finetune: the same, where there are labelled bags
scores.txt, pictures/  evaluate: scores on the validation drives, and what they look like
student.safetensors  export: what `perception` loads, and fused.safetensors of ESPNetv2 teachers;
           in exported/, programs and parity.txt, how far they are from it
state.json which stages are done
========== =========================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import logging
from pathlib import Path
from typing import Any

from .cache import open_caches
from .cache_files import read_json, write_json, write_whole
from .extraction.extraction import extract
from .extraction.quality import quality_table, read_report
from .extraction.survey import refuse_blind
from .pipeline_config import PipelineConfig
from .pipeline_drives import BAGS_FILE, PipelineDrives
from .progress import GUESS, nobody, TRAINED, Watch
from .ranks import Ranks
from .records import FrameSource
from .student.adaptation import adapt_student
from .student.exporting import export_programs
from .student.guessing import guess_drives
from .student.judging import judge
from .student.sensor import warn_of_misfits
from .student.students import check_starts, FUSED, make_image, runs_alone, STUDENT
from .student.training import distil
from .teachers.adaptation import adapt_once
from .teachers.classes import load_class_map
from .teachers.network_teacher import NetworkTeacher
from .teachers.teacher import make_teacher
from ..config import to_mapping
from ..errors import ConfigurationError
from ..evaluation.run_file import check_run, RUN_FILE, write_run
from ..inference.point_segmenter import PointSegmenter
from ..training.point.training import range_view

STAGES = ('extract', 'train', 'finetune', 'evaluate', 'export')
STATE_FILE = 'state.json'
QUALITY, SCORES, PICTURES = 'quality.txt', 'scores.txt', 'pictures'
EXPORTED, PARITY = 'exported', 'exported/parity.txt'
ADAPTED = 'teacher.safetensors'
ADAPTATION_SWEEPS, EXPORT_SWEEPS = 32, 2

_FREE = ('device', 'processes')
"""Settings that may change from one start to the next: the result does not depend on them."""

_BEFOREHAND = {RUN_FILE, BAGS_FILE, ADAPTED}
"""What is there before anything else: a start that failed by then binds nobody to its settings."""


class Pipeline:
    """
    A distillation in its folder.

    Of several processes, as under torchrun, the first goes through all stages; the others help it
    to train.

    Parameters
    ----------
    config
        What is made from what.
    shipped
        Checkpoint that `config.start` stands for where it is empty.

    Raises
    ------
    BagError
        If a bag is missing, or a folder holds none.
    CheckpointError
        If the student cannot start from the checkpoint.
    ConfigurationError
        If something needed is not given, or the folder holds a distillation with other settings
        or from other bags.

    """

    def __init__(self, config: PipelineConfig, shipped: Path | None = None) -> None:
        for key in ('out', 'teacher', 'bags'):
            if not getattr(config, key):
                raise ConfigurationError(key, getattr(config, key), 'it must be given')
        self.config, self.out = config, Path(config.out)
        self.drives = PipelineDrives(config)
        self._start = '' if config.start == 'none' else config.start or str(shipped or '')
        range_view(config.student.lidar)  # refused before the work begins, as what is needed late
        check_starts(self._start, config.student)
        self._ranks = Ranks()
        if not self._ranks.helps:
            self._check_folder()

    def run(self, stages: Sequence[str] = STAGES, watch: Watch = nobody) -> str:
        """
        Go through stages; those that are done are left out, but those before must be.

        Parameters
        ----------
        stages
            Of `STAGES`, in their order.
        watch
            Told how far each is.

        Returns
        -------
        str
            The figures of the drives, the scores, and how exported programs differ, as far as
            they are there by now; nothing in a process that helps another.

        """
        if self._ranks.helps:
            for stage in [stage for stage in stages if stage in TRAINED]:
                if stage not in self._done() and self._ranks.wanted(stage):
                    getattr(self, f'_{stage}')(watch)
            return ''
        for stage in stages:
            done = self._done()
            for before in STAGES[:STAGES.index(stage)]:
                if before not in done:
                    raise ConfigurationError('stage', stage, f'{before} must be done before')
            if stage in done:
                self._ranks.tell(stage, False)
                continue
            watch(stage, 0, 1)
            getattr(self, f'_{stage}')(watch)
            write_json(self.out / STATE_FILE, {**done, stage: True})
        reports = (self.out / name for name in (QUALITY, SCORES, PARITY))
        return '\n'.join(report.read_text() for report in reports if report.is_file())

    def _extract(self, watch: Watch) -> None:
        bags = list(dict.fromkeys([*self.drives.bags, *self.drives.validation]))
        folders = extract(
            bags, self.drives.cache, self._teacher(), self.config.extraction,
            self.config.processes, functools.partial(watch, 'extract'))
        self.drives.keep(bags, folders)
        reports = [read_report(folder) for folder in folders]
        figures = quality_table({
            folder.name: report for folder, report in zip(folders, reports, strict=True)})
        write_whole(self.out / QUALITY, f'{figures}\n'.encode())
        for bag, report in zip(bags, reports, strict=True):
            if report.seen == 0:
                refuse_blind(bag, self.config.extraction)
        warn_of_misfits(open_caches(folders), self.config.student.lidar)

    def _teacher(self) -> NetworkTeacher:
        config = self.config
        class_map = load_class_map(config.class_map) if config.class_map else None
        teacher = make_teacher(config.teacher, config.device, class_map)
        if not config.adaptation:
            return teacher
        return adapt_once(
            teacher, self.drives.bags, config.adaptation, config.adaptation_pictures,
            self.out / ADAPTED, config.extraction)

    def _train(self, watch: Watch) -> None:
        config = self.config
        drives: list[FrameSource] = self.drives.to_train()
        labelled: list[FrameSource] = [*self.drives.alone(self.drives.simulated)]
        start = self._adapted_start()
        if config.student.mode != 'l2' and not config.student.fraction:
            helper = PointSegmenter(start, config.device) if start else None
            guessed = guess_drives(
                drives, self.out / 'guesses', helper, config.guessing,
                functools.partial(watch, GUESS))
            drives, labelled = [], [*guessed, *labelled]
        student = dataclasses.replace(config.student, start=config.student.start or start)
        image = None  # the first process writes it
        if not self._ranks.helps:
            image = make_image(self._teacher(), self.drives.seen())
        self._ranks.tell('train', True)
        distil(
            drives, self.drives.to_judge(), self.out / 'train', student, True,
            functools.partial(watch, 'train'), image, labelled)

    def _adapted_start(self) -> str:
        """Return the checkpoint to start from, adapted to the sweeps; empty for none."""
        path, share = self.out / 'start.safetensors', self.config.student_adaptation
        if not self._start or not share:
            return self._start
        if not path.is_file():
            sweeps = self.drives.some_sweeps(ADAPTATION_SWEEPS)
            adapt_student(Path(self._start), sweeps, share, path, self.config.device)
        return str(path)

    def _finetune(self, watch: Watch) -> None:
        config = self.config
        if not self.drives.fine_tunes:
            self._ranks.tell('finetune', False)
            return
        drives = self.drives.to_finetune()
        student = dataclasses.replace(
            config.student, mode='none', start=str(self.out / 'train' / STUDENT),
            **vars(config.finetuning))
        self._ranks.tell('finetune', True)
        distil(
            drives, self.drives.to_judge(), self.out / 'finetune', student, True,
            functools.partial(watch, 'finetune'))

    def _evaluate(self, watch: Watch) -> None:
        scores = judge(
            self.drives.to_judge(), self._student(), self.out / PICTURES, self.config.device,
            functools.partial(watch, 'evaluate'))
        if self.drives.judges_by_learned:
            scores += '\n\nIt learnt from this drive: this says nothing about other places.'
        write_whole(self.out / SCORES, f'{scores}\n'.encode())

    def _export(self, watch: Watch) -> None:
        fused = self.out / 'train' / FUSED
        for path in (self._student(), fused):
            if path.is_file() and (path != fused or runs_alone(path)):
                write_whole(self.out / path.name, path.read_bytes())
            elif path.is_file():
                logging.getLogger(__name__).warning(
                    'no %s: only teachers of the kind espnetv2 are small enough to be put into it',
                    FUSED)
        clouds = [drive.frame(0).cloud for drive in self.drives.to_judge()[:EXPORT_SWEEPS]]
        parity = export_programs(self.out / STUDENT, self.out / EXPORTED, clouds)
        write_whole(self.out / PARITY, f'{parity}\n'.encode())

    def _student(self) -> Path:
        """Return the checkpoint of the last stage that trained."""
        return self.out / ('finetune' if self.drives.fine_tunes else 'train') / STUDENT

    def _done(self) -> dict[str, Any]:
        path = self.out / STATE_FILE
        return read_json(path) if path.is_file() else {}

    def _check_folder(self) -> None:
        """Write the configuration into the folder, or compare it where something was made."""
        path, wanted = self.out / RUN_FILE, to_mapping(self.config)
        if path.is_file():
            try:
                check_run(path, wanted, _FREE)
            except ConfigurationError:
                if {file.name for file in self.out.iterdir()} - _BEFOREHAND:
                    raise
                for name in _BEFOREHAND:
                    (self.out / name).unlink(missing_ok=True)
        if not path.is_file():
            write_run(path, wanted)
        self.drives.check()
