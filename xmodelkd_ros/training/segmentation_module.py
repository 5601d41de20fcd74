"""What the trainings of point networks and of image teachers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import nn, Tensor
from torch.utils.data import Dataset
from torchmetrics.classification import MulticlassConfusionMatrix

from .point.losses import IGNORED
from .run_config import rank_of, RunConfig
from .steps import check_loader, Collate, Draws, step_loader, Varied
from .trainer import adamw, fit, seed_step
from ..config import setting, to_mapping
from ..labels import SemanticClass


@dataclasses.dataclass(frozen=True)
class SegmentationTrainingConfig:
    """What a training of a point network and one of an image teacher both have."""

    run: RunConfig = setting(RunConfig(), 'The run.')
    batch: int = setting(2, 'Sweeps or pictures in a step, on each device.', low=1)
    validate_every: int = setting(4, 'Validate on every n-th of them.', low=1)
    rate: float = setting(4e-3, 'Peak learning rate.', low=0)
    decay: float = setting(0.02, 'Weight decay.', low=0)
    warm_up: int = setting(50, 'Steps of the warm-up.', low=1)
    lovasz: float = setting(1.0, 'Share of the Lovasz-softmax.', low=0)


class SegmentationModule(lightning.LightningModule):
    """
    What point networks and image teachers share: classes, validation by IoU, and the optimiser.

    Parameters
    ----------
    network
        What is trained.
    classes
        Its output channels.
    weight
        (C,) of the classes in the cross-entropy.
    config
        Learning rate and losses.

    """

    weight: Tensor

    def __init__(
        self,
        network: nn.Module,
        classes: Sequence[SemanticClass],
        weight: Tensor,
        config: SegmentationTrainingConfig,
    ) -> None:
        super().__init__()
        self.network, self.classes, self.config = network, classes, config
        self.register_buffer('weight', weight)
        self.confusion = MulticlassConfusionMatrix(len(classes), ignore_index=IGNORED)

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        """Draw what a step draws at random by its number alone, so that a resumed run does too."""
        seed_step(self, self.config.run.seed)

    def on_validation_epoch_end(self) -> None:
        """Log the IoU of each class and their mean over the classes that are there, in percent."""
        log_iou(self, self.confusion, 'miou', self.classes)

    def configure_optimizers(self) -> Any:
        """AdamW; biases, norms and PReLUs do not decay."""
        how = self.config
        return adamw(self.network, how.rate, how.decay, how.warm_up, self.trainer)

    def summary(self) -> dict[str, Any]:
        """Return for the checkpoint how many steps there were, and the last mIoU in percent."""
        score = self.trainer.callback_metrics.get('miou')
        return {
            'steps': self.global_step,
            'validation_miou': None if score is None else round(float(score), 2),
        }


def fit_segmentation(
    module: SegmentationModule, samples: Varied, held: Dataset[Any], out: Path,
    export: Callable[[], None], resume: bool, collate: Collate | None = None,
) -> None:
    """
    Train a module by samples, varied anew each time, and validate it by those held out.

    Parameters
    ----------
    module
        What is trained, and how.
    samples, held
        What it learns from, and what it is checked by.
    out
        Folder for the log and the checkpoints.
    export
        Writes the module's present weights.
    resume
        Go on from where the last run in `out` stopped.
    collate
        Joins samples.

    """
    config, run = module.config, module.config.run
    steps = max(1, len(samples) // (config.batch * rank_of(run)[1]))
    training = step_loader(module, Draws(samples, run.seed), steps, config.batch, run, collate)
    fit(module, training, check_loader(held, run, collate), run, out, 'miou', export,
        to_mapping(config), resume)


def log_iou(
    module: lightning.LightningModule, confusion: MulticlassConfusionMatrix, name: str,
    classes: Sequence[SemanticClass] = (),
) -> None:
    """Log and reset: the mean IoU in percent by a name, and the IoU of each class if given."""
    iou = 100 * intersection_over_union(confusion.compute())
    confusion.reset()
    module.log(name, iou.nanmean(), prog_bar=True)
    if classes:
        names = (f'iou/{row.name}' for row in classes)
        module.log_dict(dict(zip(names, iou, strict=True)))


def intersection_over_union(counts: Tensor) -> Tensor:
    """Return (C,) IoU, NaN for a class that the truth does not hold; counts: true x predicted."""
    hits, true = counts.diagonal().float(), counts.sum(1)
    union = true + counts.sum(0) - hits
    return torch.where(true > 0, hits / union.clamp(min=1), torch.nan)
