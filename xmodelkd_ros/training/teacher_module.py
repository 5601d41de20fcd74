"""The image teacher as Lightning trains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.classification import MulticlassConfusionMatrix

from .point_losses import IGNORED, point_loss
from .point_module import intersection_over_union, Optimisation
from .trainer import adamw
from ..labels import SemanticClass
from ..networks.espnetv2 import DEVIATION, EspNetV2, MEAN, MULTIPLE


class TeacherModule(lightning.LightningModule):
    """
    Supervised training of an image teacher; pixels are what points are to the point network.

    Parameters
    ----------
    network
        What is trained.
    classes
        Its output channels.
    weight
        (C,) of the classes in the cross-entropy.
    optimisation
        Learning rate and losses.

    """

    weight: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: EspNetV2,
        classes: Sequence[SemanticClass],
        weight: Tensor,
        optimisation: Optimisation,
    ) -> None:
        super().__init__()
        self.network, self.classes, self.optimisation = network, classes, optimisation
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer('weight', weight)
        self.register_buffer('mean', torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer('deviation', torch.tensor(DEVIATION).view(3, 1, 1))
        self.confusion = MulticlassConfusionMatrix(len(classes), ignore_index=IGNORED)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of a batch; the target is read at the cells of the logits."""
        image, target = batch
        logits = self._logits(image)
        step = image.shape[2] // logits.shape[2]
        how = self.optimisation
        losses = point_loss(
            logits.transpose(0, 1).flatten(1), target[:, ::step, ::step].flatten(), self.weight,
            how.lovasz, how.lovasz_points,
        )
        self.log_dict(losses, prog_bar=True, batch_size=len(image))
        return losses['loss']

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Count true against predicted classes of all pixels."""
        image, target = batch
        logits = functional.interpolate(
            self._logits(image).float(), target.shape[1:], mode='bilinear')
        self.confusion.update(logits.argmax(1), target)

    def on_validation_epoch_end(self) -> None:
        """Log the IoU of each class and their mean over the classes that are there, in percent."""
        iou = 100 * intersection_over_union(self.confusion.compute())
        self.confusion.reset()
        self.log('miou', iou.nanmean(), prog_bar=True)
        names = (f'iou/{row.name}' for row in self.classes)
        self.log_dict(dict(zip(names, iou, strict=True)))

    def configure_optimizers(self) -> Any:
        """AdamW; biases, norms and PReLUs do not decay."""
        how = self.optimisation
        return adamw(self.network, how.rate, how.decay, how.warm_up, self.trainer)

    def _logits(self, image: Tensor) -> Tensor:
        """image: B x 3 x H x W uint8. Output: B x C x h x w, h and w about H / 2 and W / 2."""
        normal = (image.float() / 255 - self.mean) / self.deviation
        size = [MULTIPLE * max(1, round(n / MULTIPLE)) for n in image.shape[2:]]
        if size != list(image.shape[2:]):
            normal = functional.interpolate(normal, size, mode='bilinear', antialias=True)
        return self.network.logits(normal.contiguous(memory_format=torch.channels_last))
