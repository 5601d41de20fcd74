"""Checkpoints of a distillation: the student, and the fused model beside it."""

from __future__ import annotations

from collections.abc import Sequence
import copy
import dataclasses
from pathlib import Path
from typing import Any

import torch

from .config import DistillConfig
from .module import DistillationModule, Student
from ..extraction.sightings import make_mixing
from ..teachers.network_teacher import NetworkTeacher
from ...config import to_mapping
from ...errors import CheckpointError, ConfigurationError
from ...inference.image_features import ImageFeatures
from ...labels import POINT_CLASSES, SemanticClass
from ...networks.checkpoint import (
    Checkpoint,
    checkpoint_kind,
    checkpoint_part,
    halves,
    load_checkpoint,
    load_config,
    load_weights,
    save_checkpoint,
)
from ...networks.espnetv2 import EspNetV2
from ...networks.point_projection import RangeViewConfig

STUDENT = 'student.safetensors'
FUSED = 'fused.safetensors'
LARGEST_IMAGE = 20_000_000
"""Parameters of the image networks that a fused model takes along, at most."""


def save_student(
    out: Path, module: DistillationModule, config: DistillConfig, view: RangeViewConfig,
    summary: dict[str, Any], image: ImageFeatures | None = None,
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
    image
        Image networks that the fused model needs to run on its own.

    """
    student = module.student
    network, classes = to_mapping(config.network), module.classes
    save_checkpoint(out / STUDENT, Checkpoint(
        'point', network, to_mapping(view), classes, summary, halves(student.network)))
    if config.mode != 'xmodelkd':
        return
    sizes: dict[str, Any] = {
        'point': network, 'fusion': to_mapping(config.fusion),
        'view_features': student.fusion.view_features,
    }
    parts = {'network.': student.network, 'fusion.': student.fusion}
    if image is not None:
        sizes['image'] = image_sizes(image)
        parts['image.'] = image
    state = {
        prefix + name: value for prefix, part in parts.items()
        for name, value in halves(part).items()
    }
    save_checkpoint(out / FUSED, Checkpoint(
        'fused', sizes, to_mapping(view), classes, summary, state))


def image_sizes(image: ImageFeatures) -> dict[str, Any]:
    """Return what a checkpoint says of its image networks, as plain values."""
    return {
        'networks': [to_mapping(network.config) for network in image.networks],
        'ids': image.ids, 'scales': image.scales, 'flip': len(image.mirrors) > 1,
    }


def runs_alone(path: Path) -> bool:
    """Return whether a fused model holds its image networks, as `perception` needs it."""
    return 'image' in load_checkpoint(path, 'fused').network


def make_image(teacher: NetworkTeacher | None, drives: Sequence[Any]) -> ImageFeatures | None:
    """
    Return the image networks that the fused model takes along, None where it cannot.

    Only ESPNetv2 goes, up to `LARGEST_IMAGE` parameters in all; the fused model of another teacher
    learns all the same, and runs on what the feature cache holds.

    Parameters
    ----------
    teacher
        Who looked at the drives, or None.
    drives
        Some of them of the feature cache.

    Raises
    ------
    ConfigurationError
        If another teacher looked at the drives.

    """
    drive = next((drive for drive in drives if hasattr(drive, 'teacher')), None)
    if teacher is None or drive is None:
        return None
    if teacher.sha256 != drive.teacher['sha256']:
        raise ConfigurationError(
            'teacher', teacher.name, f'who looked at the drives: {drive.teacher["name"]}')
    networks = [
        copy.deepcopy(network.module).cpu() for network in teacher.networks
        if isinstance(network.module, EspNetV2)
    ]
    size = sum(tensor.numel() for network in networks for tensor in network.state_dict().values())
    if len(networks) < len(teacher.networks) or size > LARGEST_IMAGE:
        return None
    kept = make_mixing(teacher.feature_size, drive.feature_size)
    mixing = torch.eye(teacher.feature_size) if kept is None else torch.from_numpy(kept)
    ids = drive.manifest['class_ids']
    return ImageFeatures(networks, ids, mixing, teacher.scales, len(teacher.mirrors) > 1)


def load_start(student: Student, path: str) -> None:
    """
    Start from a checkpoint of kind 'point' or 'fused'; what it does not hold stays random.

    Raises
    ------
    CheckpointError
        If its weights do not fit.

    """
    if path:
        _adopt(student, _either(path), path)


def check_starts(helper: str, config: DistillConfig) -> None:
    """
    Check the checkpoints that a student starts from.

    Parameters
    ----------
    helper
        Who guesses labels, of kind 'point', and what the student starts from where its
        configuration does not say; empty for none.
    config
        Of the student.

    Raises
    ------
    CheckpointError
        If one cannot be used, or its weights do not fit the student.

    """
    if helper:
        load_checkpoint(helper, 'point')
    student = Student(dataclasses.replace(config, mode='none'), len(POINT_CLASSES), 0)
    load_start(student, config.start or helper)


def load_student(path: Path) -> tuple[Student, RangeViewConfig, tuple[SemanticClass, ...]]:
    """
    Return the networks of a checkpoint of kind 'point' or 'fused', its range view and classes.

    Raises
    ------
    CheckpointError
        If it cannot be used.

    """
    checkpoint = _either(path)
    sizes = checkpoint.network
    fused = checkpoint.kind == 'fused'
    values = {'network': sizes['point'], 'fusion': sizes['fusion']} if fused else {
        'network': sizes}
    config = load_config(
        DistillConfig, {**values, 'mode': 'xmodelkd' if fused else 'none'}, path)
    student = Student(config, len(checkpoint.classes), sizes['view_features'] if fused else 0)
    _adopt(student, checkpoint, path)
    view = load_config(RangeViewConfig, checkpoint.preprocessing, path)
    return student, view, checkpoint.classes


def _either(path: str | Path) -> Checkpoint:
    """Read a checkpoint of kind 'point' or 'fused'."""
    kind = checkpoint_kind(path)
    if kind not in ('point', 'fused'):
        raise CheckpointError(f'{path}: kind is {kind!r}, point or fused is needed')
    return load_checkpoint(path, kind)


def _adopt(student: Student, checkpoint: Checkpoint, path: str | Path) -> None:
    """Copy what a checkpoint holds into a student; the rest stays as it is."""
    if checkpoint.kind == 'point':
        load_weights(student.network, checkpoint, path)
        return
    load_weights(student.network, checkpoint_part(checkpoint, 'network.', {}), path)
    if hasattr(student, 'fusion'):
        load_weights(student.fusion, checkpoint_part(checkpoint, 'fusion.', {}), path)
