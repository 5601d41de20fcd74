"""
The range view of a sweep: one row per beam, one column per azimuth, the nearest return on top.

A unit whose beams leave the sensor at different heights (an HDL-64E fires its upper block 0.2 m
and its lower block 0.12 m above the origin) shows a point of beam b at z = rho tan(e_b) + h_b, so
a point belongs to the beam whose line it lies nearest to. No `ring` field is needed.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn, Tensor
from torch.nn import functional

from ..config import setting
from ..errors import ConfigurationError

IMAGE_CHANNELS = 10
IMAGE_RANGE = -2.0, 3.0
"""What the numbers of an image are within, but where points are far above or below the sensor."""
POINT_FEATURES = 8
_EMPTY = torch.iinfo(torch.int64).max
_SLOPE_STEP = 2e-4


@dataclasses.dataclass(frozen=True)
class RangeViewConfig:
    """Sensor profile and size of the range view, stored with the weights."""

    sensor: str = setting('', 'Name of the sensor profile.')
    elevations_deg: tuple[float, ...] = setting(
        (2.0, 0.0, -2.0), 'Elevation of each beam, highest first.', unit='deg', low=-90, high=90
    )
    heights_m: tuple[float, ...] = setting(
        (), 'Height of each beam above the sensor origin; none means 0.', unit='m', low=-2, high=2
    )
    columns: int = setting(2048, 'Columns of a full turn.', low=64, high=8192)
    margin: int = setting(32, 'Columns repeated on each side of the seam.', low=2, high=1024)
    min_range_m: float = setting(0.9, 'Nearest return the network sees.', unit='m', low=0)
    max_range_m: float = setting(120.0, 'Farthest return the network sees.', unit='m', low=1)

    def __post_init__(self) -> None:
        beams = len(self.elevations_deg)
        if len(self.heights_m) not in (0, beams):
            raise ConfigurationError('heights_m', self.heights_m, f'none, or one of {beams} beams')
        if (self.columns + 2 * self.margin) % 8:
            raise ConfigurationError('columns', self.columns, 'with both margins a multiple of 8')


@dataclasses.dataclass(frozen=True)
class RangeView:
    """
    A sweep as the network takes it; N points, P = rows * columns pixels.

    Parameters
    ----------
    image
        (IMAGE_CHANNELS, rows, columns + 2 margin) float32.
    cell
        (N,) int64: the point's place in `image`, rows by columns with margins, flattened.
    features
        (POINT_FEATURES, N) float32: the point's own planes, whether intensity is known, and the
        offsets in range, height and intensity from what its pixel shows; scaled.
    winner
        (P,) int64: the point that a pixel shows, `len(cell)` where it shows none.
    pixel
        (N,) int64 into `winner`.
    inside
        (N,) bool: the point is within the sensor's profile.

    """

    image: Tensor
    cell: Tensor
    features: Tensor
    winner: Tensor
    pixel: Tensor
    inside: Tensor


class RangeProjection(nn.Module):
    """
    Project sweeps into the range view of a sensor profile.

    Parameters
    ----------
    config
        The profile.

    """

    slopes: Tensor
    tolerance: Tensor
    tables: Tensor
    offset_scale: Tensor

    def __init__(self, config: RangeViewConfig) -> None:
        super().__init__()
        self.config = config
        slopes = torch.tensor([math.tan(math.radians(e)) for e in config.elevations_deg])
        heights = torch.tensor(config.heights_m or (0.0,) * len(slopes))
        self.heights: list[float] = sorted(set(heights.tolist()))
        self.lowest = float(slopes.min()) - _SLOPE_STEP
        self.bins = math.ceil((float(slopes.max()) - self.lowest) / _SLOPE_STEP) + 1
        grid = self.lowest + _SLOPE_STEP * (torch.arange(self.bins) + 0.5)
        self.register_buffer('slopes', slopes, persistent=False)
        self.register_buffer('tolerance', _spacing(slopes), persistent=False)
        tables = [_nearest_row(grid, slopes, heights == h) for h in heights.unique()]
        self.register_buffer('tables', torch.stack(tables), persistent=False)
        scale = torch.tensor([[20.0], [8.0], [2.0]])
        self.register_buffer('offset_scale', scale, persistent=False)

    @property
    def rows(self) -> int:
        """Return the number of rows of the range view."""
        return len(self.config.elevations_deg)

    def forward(self, points: Tensor, intensity: Tensor | None = None) -> RangeView:
        """
        Project one sweep.

        Parameters
        ----------
        points
            (N, 3) float32, finite, lidar frame, m.
        intensity
            (N,) float32 in 0..1, or None.

        """
        x, y, z = points.t().contiguous()
        rho = torch.hypot(x, y).clamp_(min=1e-3)
        distance = torch.hypot(rho, z)
        row, inside = self._rows(rho, z, distance)
        column = self._columns(x, y)
        pixel = row * self.config.columns + column
        winner = self._winners(pixel, distance, inside)
        planes = _point_planes(distance, z, intensity)
        shown = functional.pad(planes, (0, 1)).index_select(1, winner)
        cell = row * self.width + column + self.config.margin
        image = self._image(shown, winner < len(points), intensity is not None)
        offset = (planes - shown.index_select(1, pixel))[1:] * self.offset_scale
        flag = torch.full_like(planes[:1], float(intensity is not None))
        features = torch.cat([planes, flag, offset.clamp_(-2, 2)])
        return RangeView(image, cell, features, winner, pixel, inside)

    @property
    def width(self) -> int:
        """Columns of the image with its margins."""
        return self.config.columns + 2 * self.config.margin

    def _rows(self, rho: Tensor, z: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        best, row = torch.full_like(rho, torch.inf), torch.zeros_like(rho, dtype=torch.int64)
        for height, table in zip(self.heights, self.tables, strict=True):
            slope = (z - height) / rho
            bins = ((slope - self.lowest) / _SLOPE_STEP).clamp_(0, self.bins - 1).to(torch.int64)
            candidate = table.index_select(0, bins)
            miss = (slope - self.slopes.index_select(0, candidate)).abs_()
            row = torch.where(miss < best, candidate, row)
            best = torch.minimum(best, miss)
        near, far = self.config.min_range_m, self.config.max_range_m
        inside = best <= self.tolerance.index_select(0, row)
        return row, inside & (distance >= near) & (distance <= far)

    def _columns(self, x: Tensor, y: Tensor) -> Tensor:
        """Columns run clockwise seen from above, the rear at both ends."""
        columns = self.config.columns
        turn = torch.atan2(y, x).mul_(-0.5 / math.pi).add_(0.5).mul_(columns)
        return turn.to(torch.int64).clamp_(0, columns - 1)

    def _winners(self, pixel: Tensor, distance: Tensor, inside: Tensor) -> Tensor:
        """Nearest point of each pixel; positive floats order as their bits do."""
        count = len(pixel)
        index = torch.arange(count, device=pixel.device)
        key = (distance.view(torch.int32).to(torch.int64) << 32) | index
        key = torch.where(inside, key, _EMPTY)
        pixels = torch.full(
            (self.rows * self.config.columns,), _EMPTY, dtype=torch.int64, device=pixel.device
        )
        pixels.scatter_reduce_(0, pixel, key, 'amin')
        return torch.where(pixels == _EMPTY, count, pixels & 0xFFFFFFFF)

    def _image(self, shown: Tensor, occupied: Tensor, known: bool) -> Tensor:
        """
        Add what is known, and the steps to the lower neighbour and to the second to the right.

        The second, as a sweep may have half as many columns as the image.
        """
        columns, margin = self.config.columns, self.config.margin
        image = shown.new_empty(IMAGE_CHANNELS, self.rows, self.width)
        inner = image[..., margin: margin + columns]
        inner[:4] = shown.view(4, self.rows, columns)
        inner[5] = occupied.view(self.rows, columns)
        inner[4] = inner[5] * float(known)
        _wrap(image[:6], margin)
        inner[6:8] = _steps(inner, image[..., margin + 2: margin + 2 + columns])
        inner[8:, :-1] = _steps(inner[:, :-1], inner[:, 1:])
        inner[8:, -1] = 0
        _wrap(image[6:], margin)
        return image


def _wrap(image: Tensor, margin: int) -> None:
    """Fill the margins with the columns from the other side of the seam."""
    image[..., :margin] = image[..., -2 * margin: -margin]
    image[..., -margin:] = image[..., margin: 2 * margin]


def _steps(shown: Tensor, neighbour: Tensor) -> Tensor:
    """Relative step in range and step in height to a neighbour; 0 where either is empty."""
    both = shown[5] * neighbour[5]
    along = (neighbour[1] - shown[1]) / shown[1].clamp(min=0.01)
    up = neighbour[2] - shown[2]
    return torch.stack([along, up]).mul_(8).clamp_(-2, 2).mul_(both)


def _spacing(slopes: Tensor) -> Tensor:
    """Distance from each beam to its farther neighbour: how far a point may lie from a beam."""
    if len(slopes) == 1:
        return torch.full_like(slopes, 0.01)
    gaps = slopes.diff().abs()
    return torch.maximum(torch.cat([gaps[:1], gaps]), torch.cat([gaps, gaps[-1:]]))


def _nearest_row(grid: Tensor, slopes: Tensor, member: Tensor) -> Tensor:
    """Row of the member beam nearest to each grid value."""
    miss = (grid[:, None] - slopes[None]).abs()
    return miss.masked_fill(~member[None], torch.inf).argmin(1)


def _point_planes(distance: Tensor, z: Tensor, intensity: Tensor | None) -> Tensor:
    """Log range, range, height and intensity, scaled; (4, N)."""
    strength = torch.zeros_like(distance) if intensity is None else intensity
    log = distance.clamp(min=0.1).log_().sub_(2.5)
    return torch.stack([log, distance / 40, z / 2, strength])
