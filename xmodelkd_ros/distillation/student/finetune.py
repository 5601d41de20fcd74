"""Fine-tuning on few labels: of a distilled student, of the fused model, or from scratch."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from pathlib import Path

from .config import DistillConfig
from .dataset import FrameSource
from .training import distil
from ..teachers.network_teacher import NetworkTeacher
from ...training.trainer import Watch

FINE_TUNING = DistillConfig(mode='none', fraction=1.0, rate=2e-3)
"""Defaults: cross-entropy and Lovasz-softmax on all labels there are, the LiDAR alone."""


def fine_tune(
    drives: Sequence[FrameSource],
    validation: Sequence[FrameSource],
    out: Path,
    start: Path | None,
    config: DistillConfig = FINE_TUNING,
    resume: bool = False,
    watch: Watch | None = None,
    teacher: NetworkTeacher | None = None,
) -> Path:
    """
    Train on labelled sweeps, from a checkpoint on or from scratch.

    Parameters
    ----------
    drives
        Labelled, see `labelled_drives`. Mode none learns from labelled sweeps alone; mode xmodelkd
        needs drives of the feature cache, trains the fusion encoder too, and goes on learning
        from the sweeps without labels.
    validation
        Drives to choose the best weights by.
    out
        Folder for the results, the log and the checkpoints.
    start
        Checkpoint of kind 'point' or 'fused'; None starts from scratch.
    config
        `fraction` and `run.seed` choose the sweeps whose labels are used.
    resume
        Go on from where the last run in `out` stopped.
    watch
        Told after each step; what it raises ends the run, which can be resumed.
    teacher
        Who looked at the drives, to be put into the fused model if it is small enough.

    Returns
    -------
    Path
        The student, a checkpoint of kind 'point'.

    """
    config = dataclasses.replace(config, start='' if start is None else str(start))
    return distil(drives, validation, out, config, resume, watch, teacher)
