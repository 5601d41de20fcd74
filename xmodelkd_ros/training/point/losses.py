"""Losses over labelled points."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -1
"""Target of a point without a true class."""


def lovasz_softmax(probabilities: Tensor, target: Tensor) -> Tensor:
    """
    Return the Lovasz-softmax loss, averaged over the classes that the target holds.

    The convex extension of 1 - IoU of each class, taken at its errors |[y = c] - p_c|.

    Parameters
    ----------
    probabilities
        (C, M), each column sums to 1.
    target
        (M,) int64 in 0..C-1, or `IGNORED`.

    Returns
    -------
    Tensor
        Scalar; 0 where no target counts.

    References
    ----------
    Berman, Triki, Blaschko: The Lovasz-Softmax loss, CVPR 2018, equations 8, 9 and 12.

    """
    counted = target != IGNORED
    probabilities, target = probabilities[:, counted], target[counted]
    present = target.unique()
    if not len(present):
        return probabilities.sum() * 0
    truth = (target[None] == present[:, None]).to(probabilities.dtype)
    errors = (truth - probabilities[present]).abs()
    errors, order = errors.sort(1, descending=True)
    truth = truth.gather(1, order)
    return (errors * _jaccard_steps(truth)).sum(1).mean()


def _jaccard_steps(truth: Tensor) -> Tensor:
    """Growth of 1 - IoU as errors are added from the largest on; truth: C x M. Output: C x M."""
    total = truth.sum(1, keepdim=True)
    hits = total - truth.cumsum(1)
    union = total + (1 - truth).cumsum(1)
    jaccard = 1 - hits / union
    return torch.cat([jaccard[:, :1], jaccard.diff(dim=1)], 1)


def point_loss(
    logits: Tensor, target: Tensor, weight: Tensor, lovasz: float, sample: int
) -> dict[str, Tensor]:
    """
    Return the weighted cross-entropy, the Lovasz-softmax and their sum.

    Parameters
    ----------
    logits
        (C, M).
    target
        (M,) int64 class indices, or `IGNORED`.
    weight
        (C,) of the classes in the cross-entropy.
    lovasz
        Share of the Lovasz-softmax.
    sample
        Number of points, drawn at random, that the Lovasz-softmax sees.

    """
    logits = logits.float()
    cross = logits.sum() * 0
    if (target != IGNORED).any():
        cross = functional.cross_entropy(logits[None], target[None], weight, ignore_index=IGNORED)
    drawn = draw_points(len(target), min(sample, len(target)), target.device)
    jaccard = lovasz_softmax(logits[:, drawn].softmax(0), target[drawn])
    return {'loss': cross + lovasz * jaccard, 'cross_entropy': cross, 'lovasz': jaccard}


def draw_points(count: int, sample: int, device: torch.device) -> Tensor:
    """Return (sample,) int64 random indices of `count` points; none where there is no point."""
    return torch.randint(max(count, 1), (sample if count else 0,), device=device)


def class_weights(counts: Tensor) -> Tensor:
    """Return (C,) weights, the inverse square root of the shares, 0.2 to 5; counts: C."""
    share = counts.clamp(min=1) / counts.sum().clamp(min=1)
    weight = share.rsqrt()
    typical = weight[counts > 0].mean() if (counts > 0).any() else weight.mean()
    return (weight / typical).clamp(0.2, 5.0)
