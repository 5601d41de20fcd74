"""Training clips of the video segmenter: pairs of pictures of one drive, some frames apart."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools

import numpy as np
import torch
from torch.utils.data import Dataset

from .augmentation import augment, VideoAugmentationConfig
from .paste import has_truth, paste, truth
from .targets import InstanceTargets, make_targets, stack_targets
from ..cache import CachedDrive
from ..resizing import resize_picture
from ...config import setting
from ...errors import BagError
from ...labels import THING_CLASSES
from ...networks.video_backbone import STRIDE
from ...records import Picture


@dataclasses.dataclass(frozen=True)
class VideoClipConfig:
    """How clips are drawn from drives."""

    width: int = setting(416, 'width of training pictures', unit='px', low=64, high=4096)
    height: int = setting(160, 'height of training pictures', unit='px', low=64, high=4096)
    max_gap: int = setting(4, 'most frames between the two of a clip', low=0, high=1000)
    min_area: int = setting(
        64, 'instances of fewer visible pixels are ignored', unit='px', low=1)
    balance: float = setting(
        0.7, 'how strongly instances of rare classes are preferred, 1 evens out classes',
        low=0.0, high=1.0)
    anywhere: float = setting(
        0.1, 'share of clips that show any part of any picture', low=0.0, high=1.0)
    paste: float = setting(
        0.3, 'share of clips with an instance of another clip pasted in', low=0.0, high=1.0)
    augmentation: VideoAugmentationConfig = setting(
        VideoAugmentationConfig(), 'how clips are changed')


@dataclasses.dataclass(frozen=True)
class ClipBatch:
    """
    A batch of training clips.

    Parameters
    ----------
    images
        (B, 3, H, W) uint8.
    targets
        Of the B images, stacked.
    clip
        (B,) int64: which clip an image is of.

    """

    images: torch.Tensor
    targets: InstanceTargets
    clip: torch.Tensor

    def to(self, device: torch.device) -> ClipBatch:
        """Return the batch on a device."""
        return ClipBatch(
            self.images.to(device), self.targets.to(device), self.clip.to(device))


Sample = tuple[list[np.ndarray], list[InstanceTargets]]
Place = tuple[int, str, int]
"""Drive, camera and frame."""
Focus = tuple[float, float]
"""x, y in pixels."""


class ClipDataset(Dataset[Sample]):
    """
    Draws clips at random: each shows an instance, those of rare classes more often.

    Parameters
    ----------
    drives
        Labelled drives.
    seed
        Which clips these are: each is drawn by this and its index alone, of which there is no end.
    config
        How they are drawn.
    mask_stride
        Pixels per cell of the masks to learn.
    size
        Width and height that pictures are brought to first, as the network will see them, px;
        None leaves them as they are.

    Raises
    ------
    BagError
        If no picture shows an instance.

    """

    _count = 2  # pictures of a clip

    def __init__(
        self,
        drives: Sequence[CachedDrive],
        seed: int,
        config: VideoClipConfig,
        mask_stride: int = 2,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._drives, self._seed, self._config = list(drives), seed, config
        self._mask_stride, self._size = mask_stride, size
        self._places, self._instances = self._survey()
        if not len(self._instances):
            names = ', '.join(drive.folder.name for drive in self._drives)
            raise BagError(f'{names}: no picture has a true instance to learn from')
        channel = self._instances[:, 1]
        rarity = np.bincount(channel, minlength=1).clip(min=1.0) ** -config.balance
        weight = rarity[channel]
        self._chance = weight / weight.sum()

    def __getitem__(self, index: int) -> Sample:
        return self._sample(np.random.default_rng((self._seed, index)))

    def _sample(self, random: np.random.Generator) -> Sample:
        place, focus = self._draw(random)
        clip = self._clip(place, self._count, random)
        if random.random() < self._config.paste:
            clip, focus = self._pasted(clip, focus, random)
        size = (self._config.height, self._config.width)
        clip = augment(clip, size, self._config.augmentation, random, focus)
        targets = [_targets(p, self._config.min_area, self._mask_stride) for p in clip]
        return [p.rgb for p in clip], targets

    def _draw(self, random: np.random.Generator) -> tuple[Place, Focus | None]:
        """Return a picture, and the place in it of an instance to show."""
        if random.random() < self._config.anywhere:
            return self._places[random.integers(len(self._places))], None
        place, _, x, y, _ = self._instances[random.choice(len(self._chance), p=self._chance)]
        return self._places[place], (float(x), float(y))

    def _clip(self, place: Place, count: int, random: np.random.Generator) -> list[Picture]:
        """Return pictures around one of a drive, evenly spaced in time, itself the first."""
        drive, camera, frame = self._drives[place[0]], *place[1:]
        gap = int(random.integers(self._config.max_gap + 1)) * random.choice((-1, 1))
        wanted = np.clip(frame + gap * np.arange(count), 0, len(drive) - 1)
        pictures = [self._picture(drive, int(k), camera) for k in wanted]
        return [picture for picture in pictures if picture is not None]

    def _pasted(
        self, clip: list[Picture], focus: Focus | None, random: np.random.Generator
    ) -> tuple[list[Picture], Focus | None]:
        """Return the clip with an instance of another one, and where that is."""
        place, _, x, y, identity = self._instances[
            random.choice(len(self._chance), p=self._chance)]
        donor = self._clip(self._places[place], len(clip), random)
        if len(donor) < len(clip) or donor[0].rgb.shape != clip[0].rgb.shape:
            return clip, focus
        column = int(random.integers(clip[0].rgb.shape[1]))
        return paste(clip, donor, int(identity), column - int(x)), (float(column), float(y))

    def _picture(self, drive: CachedDrive, frame: int, camera: str) -> Picture | None:
        picture = drive.picture(frame, camera)
        return resize_picture(picture, *self._size) if picture and self._size else picture

    def _survey(self) -> tuple[list[Place], np.ndarray]:
        """Return P pictures with truth; (I, 5) place, channel, x, y, id of their instances."""
        places: list[Place] = []
        instances = [np.zeros((0, 5), np.int64)]
        for number, drive in enumerate(self._drives):
            for camera, frame in itertools.product(drive.cameras, range(len(drive))):
                picture = self._picture(drive, frame, camera)
                if picture is None or not has_truth(picture):
                    continue
                found = _targets(picture, self._config.min_area, STRIDE)
                channel, identity = found.channel.numpy(), found.identity.numpy()
                place, at = np.full_like(channel, len(places)), STRIDE * found.peak.numpy().T
                instances.append(np.stack([place, channel, *at, identity], 1))
                places.append((number, camera, frame))
        return places, np.concatenate(instances)


def collate(samples: Sequence[Sample]) -> ClipBatch:
    """Stack clips to a batch."""
    images = np.stack([rgb for clip, _ in samples for rgb in clip])
    lengths = torch.tensor([len(clip) for clip, _ in samples])
    return ClipBatch(
        images=torch.from_numpy(images).permute(0, 3, 1, 2),
        targets=stack_targets([target for _, targets in samples for target in targets]),
        clip=torch.arange(len(samples)).repeat_interleave(lengths),
    )


def _targets(picture: Picture, min_area: int, mask_stride: int = 2) -> InstanceTargets:
    return make_targets(*truth(picture), THING_CLASSES, min_area, mask_stride=mask_stride)
