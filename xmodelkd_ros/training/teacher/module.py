"""The image teacher as Lightning trains it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..point.losses import point_loss
from ..segmentation_module import Optimisation, SegmentationModule
from ...labels import SemanticClass
from ...networks.espnetv2 import DEVIATION, EspNetV2, MEAN, MULTIPLE


class TeacherModule(SegmentationModule):
    """Supervised training of an image teacher: its pixels are what points are to others."""

    mean: Tensor
    deviation: Tensor
    network: EspNetV2

    def __init__(
        self,
        network: EspNetV2,
        classes: Sequence[SemanticClass],
        weight: Tensor,
        optimisation: Optimisation,
    ) -> None:
        super().__init__(network, classes, weight, optimisation)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer('mean', torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer('deviation', torch.tensor(DEVIATION).view(3, 1, 1))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of a batch over its pixels: cells of the logits lie between them."""
        image, target = batch
        how = self.optimisation
        losses = point_loss(
            self._logits(image).transpose(0, 1).flatten(1), target.flatten(), self.weight,
            how.lovasz, how.lovasz_points,
        )
        self.log_dict(losses, prog_bar=True, batch_size=len(image))
        return losses['loss']

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Count true against predicted classes of all pixels."""
        image, target = batch
        self.confusion.update(self._logits(image).argmax(1), target)

    def _logits(self, image: Tensor) -> Tensor:
        """image: B x 3 x H x W uint8. Output: B x C x H x W."""
        normal = (image.float() / 255 - self.mean) / self.deviation
        size = [MULTIPLE * max(1, round(n / MULTIPLE)) for n in image.shape[2:]]
        if size != list(image.shape[2:]):
            normal = functional.interpolate(normal, size, mode='bilinear', antialias=True)
        logits = self.network.logits(normal.contiguous(memory_format=torch.channels_last))
        return functional.interpolate(logits.float(), image.shape[2:], mode='bilinear')
