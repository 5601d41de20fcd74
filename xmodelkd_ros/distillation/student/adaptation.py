"""A student adapted to a vehicle's own sweeps, without labels or training."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
from pathlib import Path

import torch

from .looks import open_student, project_cloud
from ...errors import CheckpointError, ConfigurationError
from ...inference.devices import autocast
from ...networks.checkpoint import halves, load_checkpoint, save_checkpoint
from ...networks.norm_adaptation import adapt_norms, batch_norms
from ...records import Cloud


def adapt_student(
    path: Path, sweeps: Iterable[Cloud], share: float, out: Path, device: str = 'auto'
) -> Path:
    """
    Write a student whose batch norms know some sweeps; see `networks.norm_adaptation`.

    Parameters
    ----------
    path
        Checkpoint of kind 'point'.
    sweeps
        Some dozens of the vehicle's own; rows that are not finite are left out.
    share
        Of the new statistics, above 0 up to 1.
    out
        Where to write it.
    device
        As `select_device` takes it.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.
    ConfigurationError
        If there is no sweep.

    """
    (checkpoint, network, projection), count = open_student(path, device), 0
    place = network.classify.weight.device

    def look() -> None:
        nonlocal count
        with torch.inference_mode(), autocast(place):
            for cloud in sweeps:
                seen, _ = project_cloud(projection, cloud)
                network.cells(seen.image[None].to(place))
                count += 1

    adapt_norms(batch_norms(network), look, share)
    if not count:
        raise ConfigurationError('student_adaptation', share, 'some sweeps, there are none')
    training = {**checkpoint.training, 'adapted': {'sweeps': count, 'share': share}}
    save_checkpoint(out, dataclasses.replace(
        checkpoint, training=training, state=halves(network)))
    return out


def average_students(first: Path, second: Path, share: float, out: Path) -> Path:
    """
    Write a student between two of one network, as between a start and what came of it.

    It often keeps what the start knew of places that the training did not show (Wortsman et al.,
    Robust fine-tuning of zero-shot models, CVPR 2022).

    Parameters
    ----------
    first, second
        Checkpoints of kind 'point', which differ in their weights alone.
    share
        Of the second, 0..1.
    out
        Where to write it.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be used.

    """
    old, new = load_checkpoint(first, 'point'), load_checkpoint(second, 'point')
    if {n: t.shape for n, t in old.state.items()} != {n: t.shape for n, t in new.state.items()}:
        raise CheckpointError(f'{second}: its network is not that of {first}')
    state = {
        name: torch.lerp(old.state[name].float(), tensor.float(), share).to(tensor.dtype)
        if tensor.is_floating_point() else tensor
        for name, tensor in new.state.items()
    }
    training = {**new.training, 'averaged': {'start': old.sha256, 'share': share}}
    save_checkpoint(out, dataclasses.replace(new, training=training, state=state))
    return out
