"""What it costs to take a query for an instance, for bipartite matching."""

from __future__ import annotations

import torch
from torch.nn import functional as F


@torch.no_grad()
def pair_cost(
    class_logits: torch.Tensor,
    mask_logits: torch.Tensor,
    channel: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """
    Return what it costs to take each query for each instance: class, mask BCE and dice, 2 : 1 : 2.

    The cross-entropy is that of all cells over the area of the instance, 4 at most.

    Parameters
    ----------
    class_logits
        (Q, C).
    mask_logits
        (Q, P): of all cells, of one frame or of a whole clip.
    channel
        (N,) int64 class of each instance.
    mask
        (N, P) float32: covered part of each cell.

    Returns
    -------
    torch.Tensor
        (N, Q) float32, 0 for a perfect query.

    """
    score = class_logits.sigmoid()[:, channel].T  # N x Q
    area = mask.sum(1, keepdim=True)  # N x 1
    entropy = F.softplus(mask_logits).sum(1) - mask @ mask_logits.T  # N x Q
    covered = mask_logits.sigmoid()
    dice = 1 - (2 * mask @ covered.T + 1) / (area + covered.sum(1) + 1)
    return 2 * (1 - score) + (entropy / (area + 1)).clamp(max=4) + 2 * dice
