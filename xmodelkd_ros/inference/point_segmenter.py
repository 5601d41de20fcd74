"""The point segmenter as the rest of the package sees it: a sweep in, labels out."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .devices import arithmetic, download, place_network, select_device, upload
from ..labels import SemanticClass
from ..networks.checkpoint import Checkpoint, load_checkpoint, load_config
from ..networks.point_neighbours import nearest_shown
from ..networks.point_network import open_point_network
from ..networks.point_projection import (
    IMAGE_CHANNELS,
    IMAGE_RANGE,
    RangeProjection,
    RangeView,
    RangeViewConfig,
)
from ..records import PointLabels

FARTHEST = 1e4
"""Coordinates are held within this, m, so that a wild return cannot overflow."""
BUCKET = 8192
"""The number of points the network sees is a multiple of this."""


class PointSegmenter:
    """
    Label every point of a sweep.

    Parameters
    ----------
    checkpoint
        A file written by `networks.checkpoint.save_checkpoint`, kind 'point'.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    precision
        'auto' for 8-bit integers where the CPU has instructions for them, or 'float'.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.
    DeviceError
        If the device is not there.

    """

    KIND = 'point'

    def __init__(
        self, checkpoint: str | os.PathLike[str], device: str = 'cpu', precision: str = 'auto'
    ) -> None:
        self.device = select_device(device)
        self._precision = precision
        loaded = load_checkpoint(checkpoint, self.KIND)
        self.sha256 = loaded.sha256
        self._build(loaded, checkpoint)

    def _build(self, loaded: Checkpoint, path: str | os.PathLike[str]) -> None:
        self.classes: tuple[SemanticClass, ...] = loaded.classes
        view = load_config(RangeViewConfig, loaded.preprocessing, path)
        self.projection = RangeProjection(view).to(self.device)
        network = open_point_network(loaded, path)
        self.network = place_network(
            network, self.device, self._precision, lambda: network.cells(self._example()))
        ids = [[float(row.id)] for row in self.classes]
        self._ids = torch.tensor(ids, device=self.device)  # C x 1

    @property
    def arithmetic(self) -> str:
        """Return in what the network convolves: int8, bfloat16, float16 or float32."""
        return arithmetic(self.network)

    def _example(self) -> Tensor:
        """Return 1 x C x H x W random numbers: all that range views are."""
        size = 1, IMAGE_CHANNELS, self.projection.rows, self.projection.width
        view = torch.rand(size, generator=torch.Generator().manual_seed(0))
        low, high = IMAGE_RANGE
        return view * (high - low) + low

    def __call__(self, points: np.ndarray, intensity: np.ndarray | None = None) -> PointLabels:
        """
        Label one sweep.

        Parameters
        ----------
        points
            (N, 3) float32, lidar frame, m; rows may be NaN or infinite, or 0, 0, 0, as some
            drivers write what did not come back.
        intensity
            (N,) float32 in 0..1, or None.

        Returns
        -------
        PointLabels
            One row per point, in input order; label 0 and confidence 0 where a point is not
            finite or 0, 0, 0.

        """
        if len(points) == 0:
            return PointLabels(np.zeros(0, np.uint16), np.zeros(0, np.float32))
        with torch.inference_mode():
            given = upload(np.asarray(points, np.float32), self.device)
            strength = None
            if intensity is not None:
                strength = upload(np.asarray(intensity, np.float32), self.device)
            label, confidence = download(*self._label(given, strength))
        return PointLabels(label.astype(np.uint16), confidence)

    def _scores(self, view: RangeView) -> Tensor:
        """Return C x M logits."""
        return self.network(view.image[None], view.cell, view.features)

    def _label(self, given: Tensor, strength: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return (N,) class ids and (N,) confidences, float32 both."""
        planes = torch.stack(given.unbind(1))
        measured = (planes * 0).sum(0) == 0  # As 0 times infinity is NaN; six times faster.
        measured &= planes.any(0)
        points = self._padded(planes.nan_to_num(0.0, FARTHEST, -FARTHEST)).t()
        points.clamp_(-FARTHEST, FARTHEST)
        if strength is not None:
            strength = self._padded(strength.nan_to_num(0.0, 1.0, 0.0)).clamp_(0.0, 1.0)
        view = self.projection(points, strength)
        probability = self._scores(view).float().softmax(0)
        confidence = probability.amax(0)
        label = probability.eq_(confidence).mul_(self._ids).amax(0)
        borrower, lender = self._loans(points, view, measured)
        for values in (label, confidence):
            values.index_copy_(0, borrower, values.index_select(0, lender))
        count = len(given)
        return label[:count].mul_(measured), confidence[:count].mul_(measured)

    @staticmethod
    def _padded(values: Tensor) -> Tensor:
        """(..., N). Output: (..., M), M a multiple of `BUCKET`: each new size costs time."""
        return functional.pad(values, (0, -values.shape[-1] % BUCKET))

    def _loans(
        self, points: Tensor, view: RangeView, measured: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Return which `measured` points are outside the profile, and whose labels they take.

        On a GPU every point is asked, as counting the few would make the host wait; a point
        inside the profile then borrows from itself.
        """
        size = self.projection.rows, self.projection.config.columns
        if self.device.type != 'cuda':
            outside = (measured & ~view.inside[:len(measured)]).nonzero()[:, 0]
            return outside, nearest_shown(points, view, *size, outside)
        everyone = torch.arange(len(points), device=self.device)
        nearest = nearest_shown(points, view, *size, everyone)
        return everyone, torch.where(view.inside, everyone, nearest)
