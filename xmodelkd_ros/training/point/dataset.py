"""Labelled sweeps as the point network's input."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .augmentation import augment, front, PointAugmentation
from .losses import IGNORED
from ..cache import CachedDrive
from ...errors import BagError
from ...labels import channel_table, SemanticClass, TRUE_POINTS
from ...networks.point_projection import RangeProjection, RangeViewConfig


@dataclasses.dataclass(frozen=True)
class PointBatch:
    """
    Some sweeps together; B sweeps, M points in all.

    Parameters
    ----------
    image
        (B, C, H, W) float32.
    cell
        (M,) int64 into the flattened (B, H, W).
    features
        (F, M) float32.
    target
        (M,) int64 class indices, or `IGNORED`.

    """

    image: Tensor
    cell: Tensor
    features: Tensor
    target: Tensor

    def to(self, device: torch.device, non_blocking: bool = True) -> PointBatch:
        """Return the batch on another device."""
        fields = (getattr(self, field.name) for field in dataclasses.fields(self))
        return PointBatch(*(tensor.to(device, non_blocking=non_blocking) for tensor in fields))

    def pin_memory(self) -> PointBatch:
        """Return the batch in page-locked memory."""
        return PointBatch(*(getattr(self, f.name).pin_memory() for f in dataclasses.fields(self)))


def collate(samples: Sequence[PointBatch]) -> PointBatch:
    """Join samples of one sweep each."""
    height, width = samples[0].image.shape[2:]
    cells = height * width
    return PointBatch(
        torch.cat([s.image for s in samples]),
        torch.cat([s.cell + index * cells for index, s in enumerate(samples)]),
        torch.cat([s.features for s in samples], 1),
        torch.cat([s.target for s in samples]),
    )


class PointDataset(Dataset[PointBatch]):
    """
    The sweeps of labelled drives.

    Parameters
    ----------
    drives
        From the cache, all labelled.
    view
        The range view.
    classes
        Row c is target c.
    augmentation
        How sweeps are varied; None gives them as they are.
    sector
        Columns of the random sector that a sample holds, 0 for the whole turn.
    points
        Points drawn from a sweep, 0 for all.
    every
        Take every n-th sweep only.

    """

    def __init__(
        self,
        drives: Sequence[CachedDrive],
        view: RangeViewConfig,
        classes: Sequence[SemanticClass],
        augmentation: PointAugmentation | None = None,
        sector: int = 0,
        points: int = 0,
        every: int = 1,
    ) -> None:
        places = [(drive, index) for drive in drives for index in range(len(drive))]
        self.places = places[::every]
        self.projection = RangeProjection(view)
        self.augmentation, self.sector, self.points = augmentation, sector, points
        self.target_of_id = channel_table(classes, IGNORED)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> PointBatch:
        return self.sample(index, np.random.default_rng(index))

    def sample(self, index: int, rng: np.random.Generator) -> PointBatch:
        """Return a sweep, varied by a source of randomness."""
        points, intensity, target = self._load(index)
        if self.sector:
            points, kept = front(points, self.sector / self.projection.config.columns, rng)
            target, intensity = target[kept], None if intensity is None else intensity[kept]
        if self.augmentation is not None:
            columns = self.projection.config.columns
            points, intensity, kept = augment(points, intensity, self.augmentation, columns, rng)
            target = target[kept]
        return self._sample(points, intensity, target, rng)

    def counts(self, classes: int) -> Tensor:
        """Return (C,) how many points each class has."""
        totals = np.zeros(classes, np.int64)
        for index in range(len(self)):
            target = self._load(index)[2]
            totals += np.bincount(target[target >= 0], minlength=classes)
        return torch.from_numpy(totals)

    def _load(self, index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        drive, place = self.places[index]
        cloud = drive.cloud(place)
        if cloud.label is None:
            raise BagError(f'{drive.folder} has no point labels, as those of {TRUE_POINTS}')
        finite = np.isfinite(cloud.points).all(1)
        intensity = None if cloud.intensity is None else cloud.intensity[finite]
        return cloud.points[finite], intensity, self.target_of_id[cloud.label[finite]]

    def _sample(
        self,
        points: np.ndarray,
        intensity: np.ndarray | None,
        target: np.ndarray,
        rng: np.random.Generator,
    ) -> PointBatch:
        strength = None if intensity is None else torch.from_numpy(intensity)
        view = self.projection(torch.from_numpy(points), strength)
        image, cell, chosen = view.image, view.cell, view.inside
        if self.sector:
            width, start = self.projection.width, (self.projection.width - self.sector) // 2
            column = cell % width - start
            chosen = chosen & (column >= 0) & (column < self.sector)
            image = image[..., start: start + self.sector]
            cell = cell // width * self.sector + column
        index = chosen.nonzero()[:, 0]
        if self.points and len(index) > self.points:
            drawn = rng.choice(len(index), self.points, replace=False)
            index = index[torch.from_numpy(np.sort(drawn))]
        return PointBatch(
            image[None].contiguous(), cell[index], view.features[:, index],
            torch.from_numpy(target)[index],
        )
