"""The image teacher as Lightning trains it."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from ..point.losses import point_loss
from ..run_config import RunConfig
from ..segmentation_module import SegmentationModule, SegmentationTrainingConfig
from ..steps import is_repeated
from ..video.augmentation import VideoAugmentationConfig
from ...config import setting
from ...labels import SemanticClass
from ...networks.espnetv2 import DEVIATION, EspNetV2, EspNetV2Config, MEAN, MULTIPLE


@dataclasses.dataclass(frozen=True)
class TeacherTrainingConfig(SegmentationTrainingConfig):
    """Everything about a training of an image teacher."""

    start: str = setting('', 'Weights to start from, .pth or .safetensors; none for random.')
    network: EspNetV2Config = setting(EspNetV2Config(), 'The network, if it starts at random.')
    augmentation: VideoAugmentationConfig = setting(
        VideoAugmentationConfig(shake=0.0), 'The augmentation.')
    run: RunConfig = setting(RunConfig(epochs=4), 'The run.')
    batch: int = setting(8, 'Pictures in a step, on each device.', low=1)
    width: int = setting(448, 'Width of training pictures.', unit='px', low=64, high=4096)
    height: int = setting(192, 'Height of training pictures.', unit='px', low=64, high=4096)
    rate: float = setting(2e-3, 'Peak learning rate.', low=0)
    decay: float = setting(0.01, 'Weight decay.', low=0)
    warm_up: int = setting(20, 'Steps of the warm-up.', low=1)
    lovasz_pixels: int = setting(12000, 'Pixels the Lovasz-softmax sees in a step.', low=1)


class TeacherModule(SegmentationModule):
    """Supervised training of an image teacher: its pixels are what points are to others."""

    mean: Tensor
    deviation: Tensor
    network: EspNetV2
    config: TeacherTrainingConfig

    def __init__(
        self,
        network: EspNetV2,
        classes: Sequence[SemanticClass],
        weight: Tensor,
        config: TeacherTrainingConfig,
    ) -> None:
        super().__init__(network, classes, weight, config)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer('mean', torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer('deviation', torch.tensor(DEVIATION).view(3, 1, 1))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of a batch over its pixels: cells of the logits lie between them."""
        image, target = batch
        losses = point_loss(
            self._logits(image).transpose(0, 1).flatten(1), target.flatten(), self.weight,
            self.config.lovasz, self.config.lovasz_pixels,
        )
        self.log_dict(losses, prog_bar=True, batch_size=len(image))
        return losses['loss']

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Count true against predicted classes of all pixels."""
        if is_repeated(self, index):
            return
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
