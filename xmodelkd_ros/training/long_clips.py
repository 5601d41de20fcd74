"""Training clips of many frames, for the clip network and for what learns from it."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import torch

from .cache import CachedDrive
from .video_augmentation import augment
from .video_clips import _targets, ClipDataset, Sample, VideoClipConfig
from .video_targets import InstanceTargets, make_targets
from ..config import setting
from ..labels import THING_CLASSES
from ..records import Picture


@dataclasses.dataclass(frozen=True)
class LongClipConfig(VideoClipConfig):
    """How long clips are drawn from drives."""

    frames: int = setting(6, 'frames of a clip', low=2, high=20)


class LongClipDataset(ClipDataset):
    """
    Draws clips of several frames, evenly spaced, forwards or backwards.

    Where a drive ends the clip turns back: all clips are of one length.

    Parameters
    ----------
    drives, length, mask_stride
        As for `ClipDataset`.
    config
        How they are drawn.
    unlabelled
        Drives that are drawn from as often for their number of pictures; the targets of their
        pictures are none, and all of the picture is ignored.

    """

    def __init__(
        self,
        drives: Sequence[CachedDrive],
        length: int,
        config: LongClipConfig,
        mask_stride: int = 2,
        unlabelled: Sequence[CachedDrive] = (),
    ) -> None:
        super().__init__(drives, length, config, mask_stride)
        self._count = config.frames
        self._unlabelled = [
            (drive, camera, frame) for drive in unlabelled
            for camera in drive.cameras for frame in range(len(drive))
        ]

    def __getitem__(self, index: int) -> Sample:
        random = np.random.default_rng([int(torch.randint(2**31, ())), index])
        drive, camera, frame, focus, labelled = self._pick(random)
        clip = [
            picture for k in self._frames(frame, len(drive), random)
            if (picture := drive.picture(k, camera)) is not None
        ]
        clip += clip[-1:] * (self._count - len(clip))
        size = (self._config.height, self._config.width)
        clip = augment(clip, size, self._config.augmentation, random, focus)
        return [p.rgb for p in clip], [self._target(p, labelled) for p in clip]

    def _pick(
        self, random: np.random.Generator
    ) -> tuple[CachedDrive, str, int, tuple[float, float] | None, bool]:
        """Return drive, camera and frame, the place of an instance, and whether truth is known."""
        share = len(self._unlabelled) / max(len(self._unlabelled) + len(self._places), 1)
        if random.random() < share:
            return *self._unlabelled[random.integers(len(self._unlabelled))], None, False
        (drive, camera, frame), focus = self._draw(random)
        return self._drives[drive], camera, frame, focus, True

    def _target(self, picture: Picture, labelled: bool) -> InstanceTargets:
        if labelled:
            return _targets(picture, self._config.min_area, self._mask_stride)
        blank = np.zeros(picture.rgb.shape[:2], np.uint8)
        targets = make_targets(blank, blank, THING_CLASSES, 1, mask_stride=self._mask_stride)
        return dataclasses.replace(targets, ignored=torch.ones_like(targets.ignored))

    def _frames(self, frame: int, length: int, random: np.random.Generator) -> list[int]:
        """Return the frames of a clip around one frame of a drive of some length."""
        step = int(random.integers(1, max(self._config.max_gap, 1) + 1)) * random.choice((-1, 1))
        wanted = frame + step * (np.arange(self._count) - random.integers(self._count))
        period = max(2 * (length - 1), 1)
        folded = np.abs(wanted) % period
        return np.minimum(folded, period - folded).tolist()


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

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Return (M,): the sum over each instance's targets. value: L x N."""
        if not self.row.shape[1]:
            return value.new_zeros(0)
        return (value.gather(1, self.row.clamp(min=0)) * (self.row >= 0)).sum(0)


def frames_of(targets: InstanceTargets, first: int, last: int) -> InstanceTargets:
    """Return the targets of images `first` up to `last` of a batch."""
    fields = dataclasses.fields(InstanceTargets)
    return InstanceTargets(**{f.name: getattr(targets, f.name)[first:last] for f in fields})


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
