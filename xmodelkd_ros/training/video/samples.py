"""
Cells in which masks are compared with the truth.

Masks are learned in some cells of the mask grid only (as Cheng et al., Mask2Former, CVPR 2022):
most around the instance, so that small ones are seen as closely as large ones, and some all over
the image, so that masks stay local. Every cell counts for as many as it stands for.
"""

from __future__ import annotations

import dataclasses

import torch

from .targets import InstanceTargets

_NEAR, _FAR = 22, 14
"""Cells along each side of the patterns around the instance and all over the image."""


@dataclasses.dataclass(frozen=True)
class MaskSamples:
    """
    P cells for each of N instances of B images.

    Parameters
    ----------
    index
        (B, N, P) int64 y * W + x on the mask grid.
    weight
        (B, N, P) float32: how many cells it stands for.
    share
        (B, N, P) float32: the part of it that the instance covers.

    """

    index: torch.Tensor
    weight: torch.Tensor
    share: torch.Tensor

    def area(self, value: torch.Tensor) -> torch.Tensor:
        """Return (B, N): the estimated sum over all cells of the grid. value: B x N x P."""
        return (value * self.weight).sum(2)

    @torch.no_grad()
    def iou(self, logits: torch.Tensor) -> torch.Tensor:
        """Return (B, N): intersection over union of found and true masks. logits: B x N x P."""
        found = (logits > 0).float()
        union = self.area(torch.maximum(found, self.share))
        return self.area(torch.minimum(found, self.share)) / union.clamp(min=1e-6)


@torch.no_grad()
def sample_masks(targets: InstanceTargets) -> MaskSamples:
    """
    Choose cells at random, in even patterns.

    Parameters
    ----------
    targets
        Of B images, stacked.

    """
    height, width = targets.mask.shape[2:]
    size = targets.center.new_tensor([width, height])
    finer = width // targets.ignored.shape[2]
    reach = 1.25 * targets.half_size + 1
    low = ((targets.center - reach) * finer).clamp(min=0).floor()  # B x N x 2
    high = torch.minimum(((targets.center + reach) * finer).ceil(), size)
    high = torch.maximum(high, low + 1)
    near = low[:, :, None] + _pattern(targets.center, _NEAR) * (high - low)[:, :, None]
    far = _pattern(targets.center, _FAR) * size
    inside = ((far >= low[:, :, None]) & (far < high[:, :, None])).all(3)
    weight = torch.cat((
        ((high - low).prod(2) / _NEAR**2)[:, :, None].expand(near.shape[:3]),
        ~inside * (height * width / _FAR**2),
    ), 2)
    cell = torch.minimum(torch.cat((near, far), 2), size - 0.5).long()
    index = cell[..., 1] * width + cell[..., 0]
    share = targets.mask.flatten(2).gather(2, index)
    return MaskSamples(index, weight, share)


def _pattern(like: torch.Tensor, side: int) -> torch.Tensor:
    """Return B x N x side^2 x 2 places in 0..1, one at random in each cell of a grid."""
    step = torch.arange(side, device=like.device, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(step, step, indexing='xy'), -1).flatten(0, 1)
    return (grid + torch.rand(*like.shape[:2], side**2, 2, device=like.device)) / side
