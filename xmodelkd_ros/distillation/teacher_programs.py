"""
Programs as teachers: files of `torch.export` (.pt2) and TorchScript.

A program takes (B, 3, H, W) float32 normalised RGB and gives a feature map (B, D, h, w), or
features and logits (B, C, h2, w2). What else is to be known lies in the file as `teacher.json`,
written by `torch.export.save(..., extra_files=...)` or `torch.jit.save(..., _extra_files=...)`:
`class_names` (needed where there are logits), `mean`, `deviation`, `multiple`, and `size` ([H, W])
of a program that takes one size only.
"""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
from pathlib import Path
from typing import Any
import zipfile

import torch
from torch import nn, Tensor

from .network_teacher import TeacherNetwork
from ..errors import CheckpointError

METADATA = 'teacher.json'
_KEYS = ('class_names', 'mean', 'deviation', 'multiple', 'size')


class Program(nn.Module):
    """A loaded program; the features are its first output."""

    def __init__(self, program: nn.Module, classes: int) -> None:
        super().__init__()
        self.program, self.classes = program, classes

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """pixels: B x 3 x H x W. Output: B x D x h x w, and B x C x h2 x w2 or None."""
        found = self.program(pixels)
        features, logits = (found, None) if isinstance(found, Tensor) else found
        channels = 0 if logits is None else logits.shape[1]
        if channels != self.classes:
            names = f'its {METADATA} names {self.classes} classes'
            raise CheckpointError(f'the program gives {channels} logits, {names}')
        return features, logits


def load_exported(weights: str) -> list[TeacherNetwork]:
    """
    Load a `torch.export` program.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or its metadata cannot be used.

    """
    _check(weights)
    extra = {METADATA: ''}
    try:
        program = torch.export.load(weights, extra_files=extra).module()
    except (RuntimeError, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise _unreadable(weights, error) from error
    return [_network(weights, program, extra[METADATA])]


def load_torchscript(weights: str) -> list[TeacherNetwork]:
    """
    Load a TorchScript program.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or its metadata cannot be used.

    """
    _check(weights)
    extra = {METADATA: ''}
    try:
        program = torch.jit.load(weights, 'cpu', _extra_files=extra).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise _unreadable(weights, error) from error
    return [_network(weights, program, extra[METADATA])]


def _check(weights: str) -> None:
    if not Path(weights).is_file():
        raise CheckpointError(f'{weights}: there is no such program')


def _unreadable(weights: str, error: Exception) -> CheckpointError:
    reason = ' '.join(str(error).split())[:200]
    return CheckpointError(f'{weights}: not a readable program ({reason})')


def _network(weights: str, program: nn.Module, text: str | bytes) -> TeacherNetwork:
    values = _metadata(weights, text)
    names = values.pop('class_names', None)
    identity = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    fields: dict[str, Any] = {k: tuple(v) if k != 'multiple' else v for k, v in values.items()}
    module = Program(program, len(names or ()))
    return TeacherNetwork(
        module, identity, tuple(names) if names else None, mixed=False, **fields)


def _metadata(weights: str, text: str | bytes) -> dict[str, Any]:
    try:
        values = json.loads(text) if text else {}
    except ValueError as error:
        raise CheckpointError(f'{weights}: its {METADATA} is no JSON ({error})') from error
    lists = isinstance(values, Mapping) and all(
        isinstance(value, int if key == 'multiple' else list) for key, value in values.items())
    if not lists or set(values) - set(_KEYS):
        raise CheckpointError(f'{weights}: {METADATA} may hold {", ".join(_KEYS)}, not {values!r}')
    return dict(values)
