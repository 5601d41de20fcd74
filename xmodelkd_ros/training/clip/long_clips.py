"""Training clips of many frames, for the clip network and for what learns from it."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import torch

from ..cache import CachedDrive
from ..video.clips import ClipDataset, Place, VideoClipConfig
from ..video.targets import InstanceTargets
from ...config import setting
from ...records import Picture


@dataclasses.dataclass(frozen=True)
class LongClipConfig(VideoClipConfig):
    """How long clips are drawn from drives."""

    frames: int = setting(6, 'frames of a clip', low=2, high=20)


class LongClipDataset(ClipDataset):
    """
    Draws clips of several frames; where pictures are missing, the last one stands still.

    Parameters
    ----------
    drives, seed, mask_stride, size
        As for `ClipDataset`.
    config
        How they are drawn.

    """

    def __init__(
        self,
        drives: Sequence[CachedDrive],
        seed: int,
        config: LongClipConfig,
        mask_stride: int = 2,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(drives, seed, config, mask_stride, size)
        self._count = config.frames

    def _clip(self, place: Place, count: int, random: np.random.Generator) -> list[Picture]:
        clip = super()._clip(place, count, random)
        return clip + clip[-1:] * (count - len(clip))


@dataclasses.dataclass(frozen=True)
class ClipTargets:
    """
    The instances of one clip.

    Parameters
    ----------
    identity, channel
        (M,) int64.
    row
        (L, M) int64: which of the frame's targets it is, -1 where it is not seen.

    """

    identity: torch.Tensor
    channel: torch.Tensor
    row: torch.Tensor

    def masks(self, targets: InstanceTargets) -> torch.Tensor:
        """Return L x M x H x W, empty where not seen; `targets` are those of the L frames."""
        if not self.row.shape[1]:
            return targets.mask[:, :0]
        frame = torch.arange(len(self.row), device=self.row.device)[:, None]
        return targets.mask[frame, self.row.clamp(min=0)] * (self.row >= 0)[..., None, None]

    def spread(self, value: torch.Tensor, targets: int) -> torch.Tensor:
        """Return (L, targets): the value of each target's instance, 0 for none. value: (M,)."""
        frame, instance = torch.nonzero(self.row >= 0, as_tuple=True)
        spread = value.new_zeros(len(self.row), targets)
        spread[frame, self.row[frame, instance]] = value[instance]
        return spread

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Return (M,): the sum over each instance's targets. value: L x N."""
        if not self.row.shape[1]:
            return value.new_zeros(0)
        return (value.gather(1, self.row.clamp(min=0)) * (self.row >= 0)).sum(0)


def clip_targets(targets: InstanceTargets, most: int) -> ClipTargets:
    """
    Join the instances of the frames of one clip by their identities.

    Parameters
    ----------
    targets
        Of the L frames, stacked.
    most
        So many instances count, those seen in the most frames.

    """
    known = targets.channel >= 0
    identity, count = targets.identity[known].unique(return_counts=True)
    identity = identity[count.argsort(descending=True, stable=True)[:most]]
    if not len(identity):
        return ClipTargets(identity, identity, identity.expand(len(known), 0))
    same = (targets.identity[..., None] == identity) & known[..., None]  # L x N x M
    row = torch.where(same.any(1), same.int().argmax(1), -1)
    channel = torch.where(same, targets.channel[..., None], -1).flatten(0, 1).amax(0)
    return ClipTargets(identity, channel, row)
