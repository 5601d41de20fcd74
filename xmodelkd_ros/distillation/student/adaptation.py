"""A student adapted to a vehicle's own sweeps, without labels or training."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
from pathlib import Path

import torch

from .looks import open_student, project_cloud
from ...errors import ConfigurationError
from ...inference.devices import autocast
from ...networks.checkpoint import halves, save_checkpoint
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
