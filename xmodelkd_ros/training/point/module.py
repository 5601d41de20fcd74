"""The point network as Lightning trains it."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from .augmentation import PointAugmentation
from .dataset import PointBatch
from .losses import point_loss
from ..segmentation_module import SegmentationModule, SegmentationTrainingConfig
from ..steps import is_repeated
from ...config import setting
from ...networks.point_network import PointNetworkConfig


@dataclasses.dataclass(frozen=True)
class PointTrainingConfig(SegmentationTrainingConfig):
    """Everything about a training of the point segmenter."""

    lidar: str = setting('hdl64e', 'Sensor profile that the network is for, or its YAML file.')
    network: PointNetworkConfig = setting(PointNetworkConfig(), 'The network.')
    augmentation: PointAugmentation = setting(PointAugmentation(), 'The augmentation.')
    sector: int = setting(0, 'Columns of a training sample, 0 for all.', unit='px', low=0)
    points: int = setting(20000, 'Points drawn from a training sample, 0 for all.', low=0)
    lovasz_points: int = setting(12000, 'Points the Lovasz-softmax sees in a step.', low=1)


class PointModule(SegmentationModule):
    """Supervised training of a point network."""

    config: PointTrainingConfig

    def training_step(self, batch: PointBatch, index: int) -> Tensor:
        """Return the loss of a batch."""
        logits = self.network(batch.image, batch.cell, batch.features)
        how = self.config
        losses = point_loss(logits, batch.target, self.weight, how.lovasz, how.lovasz_points)
        self.log_dict(losses, prog_bar=True, batch_size=len(batch.image))
        return losses['loss']

    def validation_step(self, batch: PointBatch, index: int) -> None:
        """Count true against predicted classes."""
        if is_repeated(self, index):
            return
        logits = self.network(batch.image, batch.cell, batch.features)
        self.confusion.update(logits.argmax(0), batch.target)
