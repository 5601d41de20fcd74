"""
Checkpoints: one safetensors file that holds weights and everything tied to them.

The tensors are the file's body. The metadata holds the format version, the kind of network, its
configuration, its preprocessing (normalisation, sensor profile, image size), the class table with
the palette, a summary of the training, and a SHA-256 over all of that and the tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeVar

from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
import torch
from torch import nn, Tensor

from ..config import from_mapping
from ..errors import CheckpointError, ConfigurationError
from ..files import whole_file
from ..labels import SemanticClass

FORMAT_VERSION = '1'
KINDS = ('point', 'fused', 'video', 'clip', 'image')
_SECTIONS = ('network', 'preprocessing', 'classes', 'training')

T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """
    Weights and everything tied to them.

    Parameters
    ----------
    kind
        One of `KINDS`.
    network
        Configuration of the network, plain values.
    preprocessing
        What turns sensor data into the network's input, plain values.
    classes
        Row c is the class of output channel c.
    training
        Summary of the training, plain values.
    state
        Tensors by name, as of `nn.Module.state_dict`.

    """

    kind: str
    network: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    classes: tuple[SemanticClass, ...]
    training: Mapping[str, Any]
    state: Mapping[str, Tensor]

    @functools.cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 over the tensors and all that is stored beside them."""
        digest = hashlib.sha256()
        for name, text in sorted(_sections(self).items()):
            digest.update(f'{name}\0{text}\0'.encode())
        for name, tensor in sorted(self.state.items()):
            digest.update(f'{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0'.encode())
            raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().tobytes())
        return digest.hexdigest()


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """
    Write a checkpoint; the file appears whole or not at all.

    Parameters
    ----------
    path
        Where to write it, usually `*.safetensors`; folders are made.
    checkpoint
        What to write.

    """
    state = {name: t.detach().cpu().contiguous() for name, t in checkpoint.state.items()}
    metadata = {'format_version': FORMAT_VERSION, 'sha256': checkpoint.sha256}
    with whole_file(path) as partial:
        save_file(state, partial, metadata={**metadata, **_sections(checkpoint)})
        partial.chmod(0o644)


def checkpoint_kind(path: str | os.PathLike[str]) -> str:
    """
    Return the kind of network that a checkpoint holds, '' where it does not say.

    Raises
    ------
    CheckpointError
        If the file is missing or no safetensors file.

    """
    with _opened(Path(path)) as file:
        return (file.metadata() or {}).get('kind', '')


def load_checkpoint(path: str | os.PathLike[str], kind: str) -> Checkpoint:
    """
    Read and verify a checkpoint.

    Parameters
    ----------
    path
        A file written by `save_checkpoint`.
    kind
        The kind of network that is wanted, one of `KINDS`.

    Raises
    ------
    CheckpointError
        If the file is missing or cut off, is no safetensors file, has another format version or
        kind, or does not match its hash.

    """
    path = Path(path)
    metadata, state = _read(path)
    _expect(path, 'format version', metadata.get('format_version'), FORMAT_VERSION)
    _expect(path, 'kind', metadata.get('kind'), kind)
    checkpoint = _parse(path, metadata, state)
    _expect(path, 'sha256', metadata.get('sha256'), checkpoint.sha256)
    return checkpoint


def checkpoint_part(
    checkpoint: Checkpoint, prefix: str, network: Mapping[str, Any]
) -> Checkpoint:
    """Return the tensors below a prefix, without it, with their own configuration."""
    state = {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.state.items() if name.startswith(prefix)
    }
    return dataclasses.replace(checkpoint, network=network, state=state)


def load_config(cls: type[T], values: Mapping[str, Any], path: str | os.PathLike[str]) -> T:
    """
    Build a configuration dataclass from a section of a checkpoint.

    Parameters
    ----------
    cls
        A dataclass whose fields were made with `config.setting`.
    values
        The section, for example `checkpoint.network`.
    path
        The checkpoint's file, for the error message.

    Raises
    ------
    CheckpointError
        If the section has an unknown key or a value that is not allowed.

    """
    try:
        return from_mapping(cls, values)
    except ConfigurationError as error:
        raise CheckpointError(f'{path}: {error}') from error


def load_weights(
    network: nn.Module, checkpoint: Checkpoint, path: str | os.PathLike[str]
) -> None:
    """
    Copy a checkpoint's tensors into a network, casting them to the network's dtypes.

    Raises
    ------
    CheckpointError
        If names or shapes differ.

    """
    own, given = network.state_dict(), dict(checkpoint.state)
    wrong = own.keys() ^ given.keys()
    wrong |= {name for name in own.keys() & given.keys() if own[name].shape != given[name].shape}
    if wrong:
        raise CheckpointError(
            f'{path}: the weights do not fit the network: {len(wrong)} tensors differ in name or '
            f'shape, the first is {min(wrong)}'
        )
    network.load_state_dict(given)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such checkpoint')
    try:
        with safe_open(path, 'pt') as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        reason = ' '.join(str(error).split())
        message = f'{path}: not a safetensors file, or a truncated one ({reason})'
        raise CheckpointError(message) from error


def halves(module: nn.Module, vectors: bool = True) -> dict[str, Tensor]:
    """
    Return a module's tensors as checkpoints hold them, in float16.

    Parameters
    ----------
    module
        Its tensors that hold no floats stay as they are.
    vectors
        Whether those of less than two dimensions become float16 too.

    """
    return {
        name: tensor.half() if tensor.is_floating_point() and (vectors or tensor.ndim > 1)
        else tensor
        for name, tensor in module.state_dict().items()
    }


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with _opened(path) as file:
        names = list(file.keys())
        return file.metadata() or {}, {name: file.get_tensor(name) for name in names}


def _expect(path: Path, what: str, found: str | None, wanted: str) -> None:
    if found != wanted:
        raise CheckpointError(f'{path}: {what} is {found!r}, {wanted!r} is needed')


def _parse(path: Path, metadata: Mapping[str, str], state: dict[str, Tensor]) -> Checkpoint:
    try:
        sections = {name: json.loads(metadata[name]) for name in _SECTIONS}
        rows = sections.pop('classes')
        classes = tuple(SemanticClass(**{**row, 'color': tuple(row['color'])}) for row in rows)
        return Checkpoint(metadata['kind'], classes=classes, state=state, **sections)
    except (KeyError, TypeError, ValueError) as error:
        message = f'{path}: its metadata cannot be read ({type(error).__name__}: {error})'
        raise CheckpointError(message) from error


def _sections(checkpoint: Checkpoint) -> dict[str, str]:
    """Return what is stored beside the tensors, as text; equal content gives equal text."""
    values = {
        'network': dict(checkpoint.network),
        'preprocessing': dict(checkpoint.preprocessing),
        'classes': [dataclasses.asdict(row) for row in checkpoint.classes],
        'training': dict(checkpoint.training),
    }
    text = {name: json.dumps(value, sort_keys=True) for name, value in values.items()}
    return {'kind': checkpoint.kind, **text}
