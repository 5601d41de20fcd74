"""Labelled pictures of drives as training samples of an image teacher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..cache import CachedDrive
from ..point.losses import IGNORED
from ..video.augmentation import augment, VideoAugmentationConfig
from ...errors import BagError
from ...labels import channel_table, SemanticClass
from ...records import Picture


class PictureDataset(Dataset[tuple[Tensor, Tensor]]):
    """
    The labelled pictures of all cameras of drives.

    Each item is an image (3, H, W) uint8 and its target (H, W) int64, a row of `classes` or
    `IGNORED`.

    Parameters
    ----------
    drives
        From the cache.
    classes
        Row c is target c.
    size
        (H, W) of augmented pictures.
    augmentation
        How pictures are varied; None gives them as they are.
    every
        Take every n-th frame only.

    Raises
    ------
    BagError
        If there are no pictures, or the first one has no labels.

    """

    def __init__(
        self,
        drives: Sequence[CachedDrive],
        classes: Sequence[SemanticClass],
        size: tuple[int, int] = (0, 0),
        augmentation: VideoAugmentationConfig | None = None,
        every: int = 1,
    ) -> None:
        self.places = [
            (drive, camera, frame)
            for drive in drives
            for frame in range(0, len(drive), every)
            for camera in drive.cameras
            if drive.picture(frame, camera) is not None
        ]
        if not self.places:
            raise BagError(', '.join(drive.folder.name for drive in drives) + ': no pictures')
        self.picture(0)
        self.size, self.augmentation = size, augmentation
        self._target_of_id = channel_table(classes, IGNORED)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.sample(index, np.random.default_rng(index))

    def sample(self, index: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return a picture and its target, varied by a source of randomness."""
        picture = self.picture(index)
        if self.augmentation is not None:
            picture = augment([picture], self.size, self.augmentation, random)[0]
        return torch.from_numpy(picture.rgb).permute(2, 0, 1), self._target(picture)

    def counts(self, classes: int, most: int = 200) -> Tensor:
        """Return (C,) how many pixels each class has in at most about `most` of the pictures."""
        totals = torch.zeros(classes, dtype=torch.int64)
        for index in range(0, len(self), max(1, len(self) // most)):
            target = self._target(self.picture(index))
            totals += torch.bincount(target[target != IGNORED], minlength=classes)
        return totals

    def picture(self, index: int) -> Picture:
        """Return a picture as it was taken; BagError if it has no labels."""
        drive, camera, frame = self.places[index]
        picture = drive.picture(frame, camera)
        if picture is None or picture.label is None:
            raise BagError(f'{drive.folder} has no true labels of pictures of {camera}')
        return picture

    def _target(self, picture: Picture) -> Tensor:
        return torch.from_numpy(self._target_of_id[picture.label])
