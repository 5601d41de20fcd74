"""The training run of a distillation, and of its controls."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .batches import collate
from .config import DistillConfig
from .dataset import CheckedSweeps, DistillationDataset, Place
from .labelled_sweeps import choose_sweeps, labelled_sweeps
from .module import DistillationModule
from .samples import SampleMaker
from .students import load_start, save_student, STUDENT
from ..records import FrameSource
from ...config import to_mapping
from ...errors import ConfigurationError
from ...evaluation.run_file import check_run, RUN_FILE
from ...inference.image_features import ImageFeatures
from ...labels import POINT_CLASSES
from ...training.point.losses import class_weights
from ...training.point.training import range_view
from ...training.run_config import LAST, rank_of
from ...training.steps import check_loader, step_loader
from ...training.trainer import fit, seed_everything, Watch

_COUNTED = 60


def distil(
    drives: Sequence[FrameSource],
    validation: Sequence[FrameSource],
    out: Path,
    config: DistillConfig,
    resume: bool = False,
    watch: Watch | None = None,
    image: ImageFeatures | None = None,
    labelled: Sequence[FrameSource] = (),
) -> Path:
    """
    Train a student of the LiDAR alone, and in mode xmodelkd its fusion encoder.

    Parameters
    ----------
    drives
        Of the cache; the labels of `config.fraction` of their labelled sweeps are used.
    validation
        Drives to choose the best weights by: their labels, or the teacher's guesses where they
        have none.
    out
        Folder for the results, the log and the checkpoints.
    config
        Everything else.
    resume
        Go on from where the last run in `out` stopped, if it came so far.
    watch
        Told after each step; what it raises ends the run, which can be resumed.
    image
        Image networks of who looked at the drives, to be put into the fused model.
    labelled
        More drives, whose labels are all used: guessed ones, or simulated.

    Returns
    -------
    Path
        The student, a checkpoint of kind 'point'; beside it the fused model, where there is one.

    Raises
    ------
    ConfigurationError
        If there is nothing to learn from, no step would see the unlabelled sweeps, or another run
        is in `out`.

    """
    run = config.run
    seed_everything(run.seed)
    if resume and (out / RUN_FILE).is_file():
        check_run(out / RUN_FILE, to_mapping(config))
    view = dataclasses.replace(range_view(config.lidar), columns=config.columns)
    known, others = split(drives, labelled, config)
    make = SampleMaker(
        view, POINT_CLASSES, config.losses.floor, config.augmentation, config.points,
        config.mode != 'none')
    weight = class_weights(_counts([*known, *others], make, config))
    width = max(getattr(drive, 'feature_size', 0) for drive in [*drives, *labelled])
    module = DistillationModule(config, POINT_CLASSES, weight, width)
    load_start(module.student, config.start)
    samples = DistillationDataset(
        known, others, make, config.batch, config.labelled, run.seed, rank_of(run)[1])
    held = CheckedSweeps(
        validation, SampleMaker(view, POINT_CLASSES, config.losses.floor), config.validate_every)

    def export() -> None:
        summary = _summary(module, known, others, config)
        save_student(out, module, config, view, summary, image)

    fit(
        module, step_loader(module, samples, config.steps, config.batch, run, collate),
        check_loader(held, run, collate), run, out, 'miou', export,
        to_mapping(config), resume and (out / LAST).is_file(), watch,
    )
    return out / STUDENT


def split(
    drives: Sequence[FrameSource], labelled: Sequence[FrameSource], config: DistillConfig
) -> tuple[list[Place], list[Place]]:
    """
    Return the sweeps whose labels are used, and those of which a student can learn without.

    Parameters are those of `distil`.

    Raises
    ------
    ConfigurationError
        If there are none of either, or no slot of a step is left for the second.

    """
    known = [labelled_sweeps(drive) if config.fraction else [] for drive in drives]
    dealt = choose_sweeps([len(of) for of in known], config.fraction, config.run.seed)
    chosen = {(drive, known[drive][place]) for drive, place in dealt}
    true = [Place(drives[drive], index, True) for drive, index in sorted(chosen)]
    true += [Place(drive, index, True) for drive in labelled for index in labelled_sweeps(drive)]
    others = [
        Place(drive, index, False)
        for number, drive in enumerate(drives) for index in range(len(drive))
        if config.mode != 'none' and (number, index) not in chosen
    ]
    if true and others and config.labelled >= config.batch:
        raise ConfigurationError(
            'labelled', config.labelled, f'less than batch = {config.batch}, where some sweeps '
            'have labels and some have not')
    if not true and not others:
        raise ConfigurationError(
            'fraction', config.fraction, f'more than 0, with labels, in mode {config.mode}')
    return true, others


def _counts(places: Sequence[Place], make: SampleMaker, config: DistillConfig) -> Tensor:
    """Return (C,) how many points each class has, true or guessed, on some of the sweeps."""
    totals = np.zeros(len(make.classes))
    for place in places[::max(1, len(places) // _COUNTED)]:
        frame = place.drive.frame(place.index)
        target, guess, trusted = make.targets(
            len(frame.cloud.points), frame.views, frame.cloud.label if place.labelled else None)
        totals += np.bincount(target[target >= 0], minlength=len(totals))
        if config.mode == 'xmodelkd':
            open_ = (target < 0) & (guess >= 0)
            totals += np.bincount(guess[open_], trusted[open_], len(totals))
    return torch.from_numpy(totals)


def _summary(
    module: DistillationModule, labelled: Sequence[Place], others: Sequence[Place],
    config: DistillConfig,
) -> dict[str, Any]:
    scores = module.trainer.callback_metrics
    guessed = sum(getattr(place.drive, 'guessed', False) for place in labelled)
    return {
        'steps': module.global_step,
        'labelled_sweeps': len(labelled) - guessed,
        'guessed_sweeps': guessed,
        'unlabelled_sweeps': len(others),
        **{f'validation_{name}': round(float(scores[name]), 2)
           for name in ('miou', 'miou_fused') if name in scores},
        # A checkpoint is given away: it names files, not where they lay.
        'configuration': to_mapping(config) | {
            name: Path(getattr(config, name)).name for name in ('start', 'lidar')},
    }
