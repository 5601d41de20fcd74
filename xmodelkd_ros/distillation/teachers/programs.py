"""
Programs as teachers: files of `torch.export` (.pt2) and TorchScript.

A program takes (B, 3, H, W) float32 normalised RGB and gives a feature map (B, D, h, w), or
features and logits (B, C, h2, w2). What else is to be known lies in the file as `teacher.json`,
written by `torch.export.save(..., extra_files=...)` or `torch.jit.save(..., _extra_files=...)`:
`class_names` (needed where there are logits), `mean`, `deviation`, `multiple`, and `size` ([H, W])
of a program that takes one image of one size only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import hashlib
import json
from pathlib import Path
from typing import Any
import zipfile

import torch
from torch import nn, Tensor

from .network_teacher import TeacherNetwork
from ...errors import CheckpointError

METADATA = 'teacher.json'
_KEYS = ('class_names', 'mean', 'deviation', 'multiple', 'size')


class Program(nn.Module):
    """
    A program that checks its outputs, and is loaded anew where it is copied to.

    Parameters
    ----------
    load
        Reads the program.
    path
        Its file.
    classes
        How many logits it should give, 0 for none.
    alone
        Whether it takes one image at a time.

    """

    def __init__(
        self, load: Callable[[str], nn.Module], path: str, classes: int, alone: bool
    ) -> None:
        super().__init__()
        self.program, self._made_of = load(path), (load, path, classes, alone)
        self.classes, self.alone = classes, alone

    def __reduce__(self) -> tuple[Any, ...]:
        return Program, self._made_of

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """pixels: B x 3 x H x W. Output: B x D x h x w, and B x C x h2 x w2 or None."""
        looks = [self._look(x) for x in (pixels.split(1) if self.alone else [pixels])]
        features, *logits = (torch.cat(x) for x in zip(*looks, strict=True))
        channels = logits[0].shape[1] if logits else 0
        if channels != self.classes:
            names = f'its {METADATA} names {self.classes} classes'
            raise CheckpointError(f'the program gives {channels} logits, {names}')
        return features, logits[0] if logits else None

    def _look(self, pixels: Tensor) -> tuple[Tensor, ...]:
        found = self.program(pixels)
        return (found,) if isinstance(found, Tensor) else tuple(found)


def load_exported(weights: str) -> list[TeacherNetwork]:
    """
    Load a `torch.export` program.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or its metadata cannot be used.

    """
    extra = {METADATA: ''}
    _check(weights, lambda: torch.export.load(weights, extra_files=extra))
    return [_network(_exported, weights, extra[METADATA])]


def load_torchscript(weights: str) -> list[TeacherNetwork]:
    """
    Load a TorchScript program.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or its metadata cannot be used.

    """
    extra = {METADATA: ''}
    _check(weights, lambda: torch.jit.load(weights, 'cpu', _extra_files=extra))
    return [_network(_torchscript, weights, extra[METADATA])]


def _exported(path: str) -> nn.Module:
    return torch.export.load(path).module()


def _torchscript(path: str) -> nn.Module:
    return torch.jit.load(path, 'cpu').eval()


def _check(weights: str, load: Callable[[], object]) -> None:
    if not Path(weights).is_file():
        raise CheckpointError(f'{weights}: there is no such program')
    try:
        load()
    except (RuntimeError, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = ' '.join(str(error).split())[:200]
        raise CheckpointError(f'{weights}: not a readable program ({reason})') from error


def _network(
    load: Callable[[str], nn.Module], weights: str, text: str | bytes
) -> TeacherNetwork:
    values = _metadata(weights, text)
    names = values.pop('class_names', None)
    identity = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    fields: dict[str, Any] = {k: tuple(v) if k != 'multiple' else v for k, v in values.items()}
    module = Program(load, weights, len(names or ()), 'size' in fields)
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
