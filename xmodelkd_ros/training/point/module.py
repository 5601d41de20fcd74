"""The point network as Lightning trains it."""

from __future__ import annotations

from torch import Tensor

from .dataset import PointBatch
from .losses import point_loss
from ..segmentation_module import SegmentationModule


class PointModule(SegmentationModule):
    """Supervised training of a point network."""

    def training_step(self, batch: PointBatch, index: int) -> Tensor:
        """Return the loss of a batch."""
        logits = self.network(batch.image, batch.cell, batch.features)
        how = self.optimisation
        losses = point_loss(logits, batch.target, self.weight, how.lovasz, how.lovasz_points)
        self.log_dict(losses, prog_bar=True, batch_size=len(batch.image))
        return losses['loss']

    def validation_step(self, batch: PointBatch, index: int) -> None:
        """Count true against predicted classes."""
        logits = self.network(batch.image, batch.cell, batch.features)
        self.confusion.update(logits.argmax(0), batch.target)
