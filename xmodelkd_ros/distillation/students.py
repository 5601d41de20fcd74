"""Checkpoints of a distillation: the student, and the fused model beside it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch import nn, Tensor

from .config import DistillConfig
from .module import DistillationModule, Student
from ..config import to_mapping
from ..errors import CheckpointError
from ..labels import SemanticClass
from ..networks.checkpoint import (
    Checkpoint,
    checkpoint_kind,
    load_checkpoint,
    load_config,
    load_weights,
    save_checkpoint,
)
from ..networks.point_projection import RangeViewConfig

STUDENT = 'student.safetensors'
FUSED = 'fused.safetensors'


def save_student(
    out: Path, module: DistillationModule, config: DistillConfig, view: RangeViewConfig,
    summary: dict[str, Any],
) -> None:
    """
    Write the student, kind 'point', and where there is a fusion encoder both as kind 'fused'.

    Parameters
    ----------
    out
        Folder.
    module
        What was trained.
    config, view
        Of the training.
    summary
        What the checkpoints say of it.

    """
    student = module.student
    network, classes = to_mapping(config.network), module.classes
    save_checkpoint(out / STUDENT, Checkpoint(
        'point', network, to_mapping(view), classes, summary, halves(student.network)))
    if config.mode != 'xmodelkd':
        return
    sizes = {
        'point': network, 'fusion': to_mapping(config.fusion),
        'view_features': student.fusion.view_features,
    }
    state = {f'network.{name}': value for name, value in halves(student.network).items()}
    state |= {f'fusion.{name}': value for name, value in halves(student.fusion).items()}
    save_checkpoint(out / FUSED, Checkpoint(
        'fused', sizes, to_mapping(view), classes, summary, state))


def load_start(student: Student, path: str) -> None:
    """
    Start from a checkpoint of kind 'point' or 'fused'; what it does not hold stays random.

    Raises
    ------
    CheckpointError
        If its weights do not fit.

    """
    if not path:
        return
    kind = checkpoint_kind(path)
    if kind not in ('point', 'fused'):
        raise CheckpointError(f'{path}: kind is {kind!r}, point or fused is needed')
    checkpoint = load_checkpoint(path, kind)
    if kind == 'point':
        load_weights(student.network, checkpoint, path)
        return
    load_weights(student.network, _part(checkpoint, 'network.'), path)
    if hasattr(student, 'fusion'):
        load_weights(student.fusion, _part(checkpoint, 'fusion.'), path)


def load_student(path: Path) -> tuple[Student, RangeViewConfig, tuple[SemanticClass, ...]]:
    """
    Return the networks of a checkpoint of kind 'point' or 'fused', its range view and classes.

    Raises
    ------
    CheckpointError
        If it cannot be used.

    """
    checkpoint = load_checkpoint(path, 'fused' if checkpoint_kind(path) == 'fused' else 'point')
    sizes = checkpoint.network
    fused = checkpoint.kind == 'fused'
    values = {'network': sizes['point'], 'fusion': sizes['fusion']} if fused else {
        'network': sizes}
    config = load_config(
        DistillConfig, {**values, 'mode': 'xmodelkd' if fused else 'none'}, path)
    student = Student(config, len(checkpoint.classes), sizes['view_features'] if fused else 0)
    load_start(student, str(path))
    view = load_config(RangeViewConfig, checkpoint.preprocessing, path)
    return student, view, checkpoint.classes


def halves(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's tensors as checkpoints hold them, in float16."""
    return {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in module.state_dict().items()
    }


def _part(checkpoint: Checkpoint, prefix: str) -> Checkpoint:
    state = {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.state.items() if name.startswith(prefix)
    }
    return dataclasses.replace(checkpoint, state=state)
