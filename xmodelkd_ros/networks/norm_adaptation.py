"""Batch norms that know another domain: their statistics estimated anew, without any label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of a network that keep running statistics."""
    found = (module for module in network.modules() if isinstance(module, _BatchNorm))
    return [norm for norm in found if norm.track_running_stats]


def adapt_norms(norms: Sequence[_BatchNorm], look: Callable[[], object], share: float) -> None:
    """
    Mix new statistics into those of batch norms.

    The running mean and variance of each become (1 - share) of the old ones and `share` of those
    over the new data (Schneider et al., NeurIPS 2020; Li et al., AdaBN, 2016).

    Parameters
    ----------
    norms
        Of a network in evaluation mode, in which they are left.
    look
        Runs the network on the new data, batch by batch, each of which counts as much.
    share
        Of the new statistics, above 0 up to 1.

    """
    kept = [(norm.momentum, copy.deepcopy(norm.state_dict())) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average over all batches
        norm.train()
    look()
    for norm, (momentum, old) in zip(norms, kept, strict=True):
        norm.eval()
        norm.momentum = momentum
        for name in ('running_mean', 'running_var'):
            old[name] = torch.lerp(old[name], getattr(norm, name), share)
        norm.load_state_dict(old)
