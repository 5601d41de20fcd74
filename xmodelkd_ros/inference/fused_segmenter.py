"""The fused model: a sweep and the pictures of it in, labels out; one file holds all of it."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from .image_features import ImageFeatures
from .point_segmenter import PointSegmenter
from ..errors import CheckpointError
from ..networks.checkpoint import (
    Checkpoint,
    checkpoint_kind,
    checkpoint_part,
    load_config,
    load_weights,
)
from ..networks.espnetv2 import EspNetV2, EspNetV2Config
from ..networks.fusion import FusionConfig, FusionEncoder, SAID, Views
from ..networks.point_projection import RangeView
from ..records import Frame, PointLabels


class FusedSegmenter(PointSegmenter):
    """
    Label every point of a sweep by the LiDAR and the cameras.

    A point that no picture shows, and a sweep without pictures, is labelled by the LiDAR. The
    LiDAR's part sees points as they were measured, pictures show them moved to the sweep's stamp:
    so the student was taught.

    Parameters
    ----------
    checkpoint
        Of kind 'fused', with the image networks in it.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    precision
        Of the LiDAR's part, as a `PointSegmenter` takes it.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used, or lacks its image networks.
    DeviceError
        If the device is not there.

    """

    KIND = 'fused'

    def _build(self, loaded: Checkpoint, path: str | os.PathLike[str]) -> None:
        points = checkpoint_part(loaded, 'network.', loaded.network['point'])
        super()._build(points, path)
        self._fusion = _fusion(loaded, path).to(self.device).eval()
        self._look = _image_features(loaded, path).to(self.device).eval()
        self._unseen = _no_views(self._fusion.view_features, self.device)
        self._views = self._unseen

    def label_frame(self, frame: Frame) -> PointLabels:
        """Label a sweep by the LiDAR, and by what its pictures show where it was at its stamp."""
        cloud, views = frame.cloud, list(frame.views.values())
        if views and len(cloud.points):
            with torch.inference_mode():
                self._views = self._look(frame.points_at_stamp, views, cloud.stamp)
        try:
            return self(cloud.points, cloud.intensity)
        finally:
            self._views = self._unseen

    def _scores(self, view: RangeView) -> Tensor:
        """Return C x M logits of the fusion encoder."""
        cells = self.network.cells(view.image[None])
        hidden = self.network.hidden(cells, view.cell, view.features)
        fused = self._fusion(hidden.float(), self._views)
        return self._fusion.score(fused, self.network.score(hidden).float())


def load_point_segmenter(
    checkpoint: str | os.PathLike[str], device: str = 'cpu', precision: str = 'auto'
) -> PointSegmenter:
    """
    Load a checkpoint of kind 'point', or one of kind 'fused', which sees the pictures too.

    Raises
    ------
    CheckpointError
        If it cannot be used.
    DeviceError
        If the device is not there.

    """
    if checkpoint_kind(checkpoint) == 'fused':
        return FusedSegmenter(checkpoint, device, precision)
    return PointSegmenter(checkpoint, device, precision)


def _fusion(whole: Checkpoint, path: str | os.PathLike[str]) -> FusionEncoder:
    sizes = whole.network
    config = load_config(FusionConfig, sizes['fusion'], path)
    head = sizes['point']['head']
    fusion = FusionEncoder(config, head, sizes['view_features'], len(whole.classes))
    load_weights(fusion, checkpoint_part(whole, 'fusion.', {}), path)
    return fusion


def _image_features(whole: Checkpoint, path: str | os.PathLike[str]) -> ImageFeatures:
    sizes = whole.network.get('image')
    if sizes is None or 'networks' not in sizes:
        raise CheckpointError(
            f'{path}: it has no image networks, distil with an ESPNetv2 `teacher` to put them in')
    networks = [
        EspNetV2(load_config(EspNetV2Config, values, path), len(sizes['ids']))
        for values in sizes['networks']
    ]
    mixing = torch.zeros(whole.network['view_features'], networks[0].feature_size)
    image = ImageFeatures(networks, sizes['ids'], mixing, sizes['scales'], sizes['flip'])
    load_weights(image, checkpoint_part(whole, 'image.', {}), path)
    return image


def _no_views(features: int, device: torch.device) -> Views:
    none = torch.zeros(0, device=device)
    return Views(
        none.long(), none.new_zeros(0, features), none.new_zeros(0, SAID), none, none)
