"""What a step of a distillation sees: some sweeps together, with the views of their points."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import torch
from torch import Tensor

from ...networks.fusion import Views


@dataclasses.dataclass(frozen=True)
class DistillationBatch:
    """
    Some sweeps together; B sweeps, M points in all, V rows of views.

    Parameters
    ----------
    image
        (B, C, H, W) float32.
    cell
        (M,) int64 into the flattened (B, H, W).
    features
        (F, M) float32.
    xyz
        (M, 3) float32, lidar frame, m.
    sweep
        (M,) int64 in 0..B-1.
    target
        (M,) int64 true class, or `IGNORED`.
    guess
        (M,) int64 class that a teacher gives, or `IGNORED`.
    trust
        (M,) float32 in 0..1, of the guess.
    views
        What images say of the points.

    """

    image: Tensor
    cell: Tensor
    features: Tensor
    xyz: Tensor
    sweep: Tensor
    target: Tensor
    guess: Tensor
    trust: Tensor
    views: Views

    def to(self, device: torch.device, non_blocking: bool = True) -> DistillationBatch:
        """Return the batch on another device."""
        fields = (getattr(self, field.name) for field in dataclasses.fields(self))
        return DistillationBatch(*(each.to(device, non_blocking=non_blocking) for each in fields))


def collate(samples: Sequence[DistillationBatch]) -> DistillationBatch:
    """Join samples of one sweep each."""
    height, width = samples[0].image.shape[2:]
    first = np.cumsum([0, *(len(s.cell) for s in samples)]).tolist()

    def joined(name: str) -> Tensor:
        return torch.cat([getattr(s, name) for s in samples])

    def views(name: str) -> Tensor:
        return torch.cat([getattr(s.views, name) for s in samples])

    point = torch.cat([s.views.point + start for s, start in zip(samples, first, strict=False)])
    return DistillationBatch(
        joined('image'),
        torch.cat([s.cell + index * height * width for index, s in enumerate(samples)]),
        torch.cat([s.features for s in samples], 1),
        joined('xyz'),
        torch.cat([s.sweep + index for index, s in enumerate(samples)]),
        joined('target'), joined('guess'), joined('trust'),
        Views(point, views('feature'), views('probability'), views('depth'), views('delay')),
    )
