"""What the video segmenter should say about an image: masks, middles and heat from true ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses

import numpy as np
import torch

from ...labels import channel_table, SemanticClass
from ...networks.video_backbone import STRIDE


@dataclasses.dataclass(frozen=True)
class InstanceTargets:
    """
    The true instances of one image; sizes and places in cells of the heat map (h, w).

    Parameters
    ----------
    channel
        (N,) int64 output channel of the class.
    identity
        (N,) int64 instance id within the drive.
    mask
        (N, H, W) float32: covered part of each cell of the mask grid.
    center, half_size
        (N, 2) float32 x, y of the box around the visible mask, in cells.
    peak
        (N, 2) int64 x, y: the cell of the mask nearest its centroid.
    ignored
        (h, w) bool: cells of instances too small to learn from, and of things without an id.
    label
        (h, w) int64: class id in the middle of each cell.

    """

    channel: torch.Tensor
    identity: torch.Tensor
    mask: torch.Tensor
    center: torch.Tensor
    half_size: torch.Tensor
    peak: torch.Tensor
    ignored: torch.Tensor
    label: torch.Tensor

    def to(self, device: torch.device) -> InstanceTargets:
        """Return the targets on a device."""
        return self._each(lambda value: value.to(device))

    def images(self, first: int, last: int) -> InstanceTargets:
        """Return the targets of images `first` up to `last` of a batch."""
        return self._each(lambda value: value[first:last])

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> InstanceTargets:
        return InstanceTargets(*(change(getattr(self, name)) for name in _FIELDS))


_FIELDS = tuple(field.name for field in dataclasses.fields(InstanceTargets))
_DENSE = ('ignored', 'label')
"""Fields that are not by instance."""


def make_targets(
    label: np.ndarray,
    instance: np.ndarray,
    classes: Sequence[SemanticClass],
    min_area: int,
    most: int = 32,
    mask_stride: int = 2,
) -> InstanceTargets:
    """
    Find the instances of an image.

    Parameters
    ----------
    label
        (H, W) uint8 class ids; H and W multiples of 4.
    instance
        (H, W) uint16 instance ids, 0 none.
    classes
        Row c is the class of output channel c; other classes have no instances.
    min_area
        Instances of fewer visible pixels are ignored.
    most
        So many of the largest instances count, further ones are ignored.
    mask_stride
        Pixels per cell of the mask grid, a divisor of 4.

    """
    channel_of_id = channel_table(classes, -1)
    thing = np.where(channel_of_id[label] >= 0, instance, 0)
    identity, first, area = np.unique(thing, return_index=True, return_counts=True)
    channel = channel_of_id[label.reshape(-1)[first]]
    known = identity > 0
    mask = _shrink(thing, identity[known], mask_stride)
    rank = (-area[known]).argsort(kind='stable').argsort()
    large = (area[known] >= min_area) & (rank < most)
    coarse = _pool(mask, STRIDE // mask_stride)
    ignored = (coarse[~large] > 0).any(0) | _unknown(channel_of_id[label], instance)
    mask = mask[large]
    center, half_size = _boxes(mask) * np.float32(mask_stride / STRIDE)
    return InstanceTargets(
        channel=torch.from_numpy(channel[known][large]),
        identity=torch.from_numpy(identity[known][large].astype(np.int64)),
        mask=torch.from_numpy(mask),
        center=torch.from_numpy(center),
        half_size=torch.from_numpy(half_size),
        peak=torch.from_numpy(_peaks(coarse[large])),
        ignored=torch.from_numpy(ignored),
        label=torch.from_numpy(label[STRIDE // 2::STRIDE, STRIDE // 2::STRIDE].astype(np.int64)),
    )


def stack_targets(targets: Sequence[InstanceTargets]) -> InstanceTargets:
    """
    Stack the targets of B images, padded to the largest number of instances.

    Returns
    -------
    InstanceTargets
        Every field with a leading B; padded instances have channel -1 and empty masks.

    """
    count = max(len(t.channel) for t in targets)
    stacked = {}
    for name in _FIELDS:
        values = [getattr(t, name) for t in targets]
        if name not in _DENSE:
            fill = {'channel': -1, 'half_size': 1}.get(name, 0)
            values = [_pad(value, count, fill) for value in values]
        stacked[name] = torch.stack(values)
    return InstanceTargets(**stacked)


def heat_targets(targets: InstanceTargets, classes: int) -> torch.Tensor:
    """
    Return a Gaussian at the peak of each instance, as wide as the instance is large.

    Its standard deviation is a quarter of the half size, 0.7 cells at least.

    Parameters
    ----------
    targets
        Of B images, stacked.
    classes
        Number of classes.

    Returns
    -------
    torch.Tensor
        (B, classes, h, w) float32, exactly 1 at the peaks.

    """
    batch, height, width = targets.ignored.shape
    deviation = (targets.half_size * 0.25).clamp(min=0.7)
    sides = [torch.arange(n).to(deviation) for n in (width, height)]
    away = [(side - targets.peak[..., a, None]) / deviation[..., a, None]
            for a, side in enumerate(sides)]
    x, y = (torch.exp(-0.5 * steps**2) for steps in away)
    blobs = y[..., None] * x[..., None, :] * (targets.channel >= 0)[..., None, None]
    index = targets.channel.clamp(min=0)[..., None, None].expand_as(blobs)
    heat = blobs.new_zeros(batch, classes, height, width)
    return heat.scatter_reduce(1, index, blobs, 'amax')


def _pad(value: torch.Tensor, count: int, fill: int) -> torch.Tensor:
    padded = value.new_full((count, *value.shape[1:]), fill)
    padded[: len(value)] = value
    return padded


def _shrink(instance: np.ndarray, identity: np.ndarray, stride: int) -> np.ndarray:
    """Return (N, H, W) float32: the part of each cell that each instance covers."""
    height, width = instance.shape
    cells: np.ndarray = instance.reshape(height // stride, stride, width // stride, stride)
    cells = cells.transpose(1, 3, 0, 2).reshape(stride * stride, height // stride, -1)
    covered = np.zeros((len(identity), *cells.shape[1:]), np.uint8)
    for layer in cells:
        covered += layer == identity[:, None, None]
    return covered / np.float32(stride**2)


def _unknown(channel: np.ndarray, instance: np.ndarray) -> np.ndarray:
    """Return (h, w) bool: cells of things that nobody told apart."""
    height, width = (n // STRIDE for n in instance.shape)
    unknown = (channel >= 0) & (instance == 0)
    return unknown.reshape(height, STRIDE, width, STRIDE).any((1, 3))


def _pool(mask: np.ndarray, size: int) -> np.ndarray:
    """Return the means of blocks of cells: a sum of slices, far faster than a mean of axes."""
    slices = (mask[:, y::size, x::size] for y, x in np.ndindex(size, size))
    return np.asarray(sum(slices) / np.float32(size**2))


def _boxes(mask: np.ndarray) -> np.ndarray:
    """Return (2, N, 2) float32: center and half size, x and y, in cells of the mask."""
    limits = []
    for covered in (mask.max(1, initial=0) > 0.25, mask.max(2, initial=0) > 0.25):
        size = covered.shape[1]
        low = covered.argmax(1)
        high = size - covered[:, ::-1].argmax(1)
        limits.append((low, np.maximum(high, low + 1)))
    low, high = (np.stack([axis[i] for axis in limits], 1) for i in (0, 1))
    return np.stack([low + high, high - low]).astype(np.float32) / 2


def _peaks(mask: np.ndarray) -> np.ndarray:
    """Return (N, 2) int64 x, y: the well covered cell nearest the centroid."""
    count, height, width = mask.shape
    if count == 0:
        return np.zeros((0, 2), np.int64)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    total = mask.sum((1, 2))
    middle_x = mask.sum(1) @ x / total
    middle_y = mask.sum(2) @ y / total
    along = (x - middle_x[:, None])**2, (y - middle_y[:, None])**2
    distance = along[1][:, :, None] + along[0][:, None, :]
    poor = mask < 0.75 * mask.max((1, 2), keepdims=True)
    index = np.where(poor, np.inf, distance).reshape(count, -1).argmin(1)
    return np.stack((index % width, index // width), 1)
