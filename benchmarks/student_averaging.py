"""Students between two of one network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from xmodelkd_ros.errors import CheckpointError
from xmodelkd_ros.networks.checkpoint import load_checkpoint, save_checkpoint


def average_students(
    first: Path, second: Path, share: float, out: Path, kind: str = 'point'
) -> Path:
    """
    Write a student between two of one network, as between a start and what came of it.

    It often keeps what the start knew of places that the training did not show (Wortsman et al.,
    Robust fine-tuning of zero-shot models, CVPR 2022).

    Parameters
    ----------
    first, second
        Checkpoints of this kind, which differ in their weights alone.
    share
        Of the second, 0..1.
    out
        Where to write it.
    kind
        Of network.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be used.

    """
    old, new = load_checkpoint(first, kind), load_checkpoint(second, kind)
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
