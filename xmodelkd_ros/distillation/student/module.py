"""The distillation as Lightning trains it: a student alone, or with its fusion encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import nn, Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from .batches import DistillationBatch
from .config import DistillConfig
from .losses import (
    alignment,
    contrast,
    logit_distance,
    negatives,
    trusted_cross_entropy,
    unit_distance,
)
from ...labels import SemanticClass
from ...networks.fusion import FusionEncoder
from ...networks.point_network import PointNetwork
from ...training.point.losses import draw_points, IGNORED, lovasz_softmax
from ...training.segmentation_module import log_iou
from ...training.steps import is_repeated
from ...training.trainer import adamw, log_losses, progress, seed_step

EMBEDDING = 32


class Student(nn.Module):
    """
    What a distillation trains.

    Parameters
    ----------
    config
        Sizes and mode.
    classes
        Number of output channels.
    view_features
        Width of the teacher's features, 0 where there is no teacher.

    """

    def __init__(self, config: DistillConfig, classes: int, view_features: int) -> None:
        super().__init__()
        head = config.network.head
        self.network = PointNetwork(config.network, classes)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.mode == 'l2':
            self.aim = nn.Linear(head, view_features)
        if config.mode == 'xmodelkd':
            width = config.fusion.width
            self.fusion = FusionEncoder(config.fusion, head, view_features, classes)
            self.aim = nn.Linear(head, width)
            self.embed_point = nn.Linear(head, EMBEDDING)
            self.embed_view = nn.Linear(width, EMBEDDING)

    def channels(self, batch: DistillationBatch) -> dict[str, Tensor]:
        """Return the (M,) best class by name: 'student', and 'fused' where there are views."""
        network = self.network
        hidden = network.hidden(network.cells(batch.image), batch.cell, batch.features)
        logits = network.score(hidden)
        found = {'student': logits.argmax(0)}
        if hasattr(self, 'fusion'):
            fused = self.fusion(hidden, batch.views)
            found['fused'] = self.fusion.score(fused, logits).argmax(0)
        return found


class DistillationModule(lightning.LightningModule):
    """
    Training of a student by true labels, by a teacher's guesses, and by its features.

    Parameters
    ----------
    config
        Mode, losses and schedule.
    classes
        Row c is output channel c.
    weight
        (C,) of the classes in the cross-entropy.
    view_features
        Width of the teacher's features.

    """

    weight: Tensor

    def __init__(
        self,
        config: DistillConfig,
        classes: Sequence[SemanticClass],
        weight: Tensor,
        view_features: int,
    ) -> None:
        super().__init__()
        self.config, self.classes = config, tuple(classes)
        self.student = Student(config, len(self.classes), view_features)
        self.register_buffer('weight', weight)
        self.confusion: Any = nn.ModuleDict({
            name: MulticlassConfusionMatrix(len(self.classes), ignore_index=IGNORED)
            for name in ('student', *(['fused'] if config.mode == 'xmodelkd' else []))
        })

    def on_train_batch_start(self, batch: DistillationBatch, index: int) -> None:
        """Draw what a step draws at random by its number alone, so that a resumed run does too."""
        seed_step(self, self.config.run.seed)

    def training_step(self, batch: DistillationBatch, index: int) -> Tensor:
        """Return the loss of a batch."""
        student = self.student
        hidden = student.network.hidden(
            student.network.cells(batch.image), batch.cell, batch.features)
        logits = student.network.score(hidden)
        with_guesses = self.config.losses.guess if self.config.mode == 'xmodelkd' else 0.0
        terms = {'labels': self._labels(logits, batch, with_guesses)}
        if self.config.mode == 'l2':
            near = unit_distance(
                student.aim(hidden).index_select(0, batch.views.point), batch.views.feature)
            terms['distance'] = self.config.losses.distance * near
        if self.config.mode == 'xmodelkd':
            terms |= self._fused_terms(hidden, logits, batch)
        return log_losses(self, terms)

    def _labels(self, logits: Tensor, batch: DistillationBatch, guess: float) -> Tensor:
        """Return cross-entropy and Lovasz-softmax over what is true or guessed."""
        how = self.config.losses
        true = batch.target != IGNORED
        target = torch.where(true, batch.target, batch.guess)
        share = torch.where(true, torch.ones_like(batch.trust), guess * batch.trust)
        cross = trusted_cross_entropy(logits, target, share, self.weight)
        drawn = draw_points(len(target), how.lovasz_points, target.device)
        believed = torch.where(share > 0.5 * max(guess, 1e-6), target, IGNORED)[drawn]
        jaccard = lovasz_softmax(logits.index_select(1, drawn).float().softmax(0), believed)
        return cross + how.lovasz * jaccard

    def _fused_terms(
        self, hidden: Tensor, logits: Tensor, batch: DistillationBatch
    ) -> dict[str, Tensor]:
        """Return what the fusion encoder learns, and what the student learns from it."""
        how, student, fusion = self.config.losses, self.student, self.student.fusion
        point = batch.views.point
        grown = min(progress(self.trainer) / max(how.ramp, 1e-6), 1.0)
        seen = fusion.see(batch.views)
        # what the encoder asks of the points must not cost the student, which has no pictures
        unified = fusion.fuse(hidden.detach(), seen, batch.views)
        fused = fusion.score(unified, logits)
        looked = torch.zeros_like(batch.trust).index_fill(0, point, 1.0)
        rows = looked.nonzero()[:, 0]
        looked = looked * self.weight[fused.argmax(0)]  # or frequent classes drown the rare
        across, between = self._contrasts(hidden, seen, batch)
        return {
            'fused': self._labels(fused, batch, how.fused_guess),
            'logits': grown * how.logits * logit_distance(logits, fused, looked, how.softness),
            'features': grown * how.features * alignment(
                student.aim(hidden.index_select(0, rows)), unified.feature[rows]),
            'contrast': how.contrast * across,
            'views': how.views * between,
        }

    def _contrasts(
        self, hidden: Tensor, seen: Tensor, batch: DistillationBatch
    ) -> tuple[Tensor, Tensor]:
        """Return the contrast of points and their pixels, and of the views of a point."""
        how, point = self.config.losses, batch.views.point
        row = torch.randperm(len(point), device=point.device)[:how.pairs]
        again = (row + 1).clamp(max=max(len(point) - 1, 0))
        twice = point[again] == point[row]  # rows of a point lie side by side
        twice &= again != row
        points = self.student.embed_point(hidden.index_select(0, point[row]))
        views = self.student.embed_view(seen.index_select(0, row))
        later = self.student.embed_view(seen.index_select(0, again[twice]))
        apart = self._apart(point[row], batch)
        return contrast(points, views, apart, how.temperature), contrast(
            views[twice], later, apart[twice][:, twice], how.temperature)

    def _apart(self, point: Tensor, batch: DistillationBatch) -> Tensor:
        kind = torch.where(batch.target != IGNORED, batch.target, batch.guess)[point]
        return negatives(
            batch.xyz[point], batch.sweep[point], kind, self.config.losses.radius_m)

    def validation_step(self, batch: DistillationBatch, index: int) -> None:
        """Count true against predicted classes, of the LiDAR alone and with the cameras."""
        if is_repeated(self, index):
            return
        for name, channel in self.student.channels(batch).items():
            self.confusion[name].update(channel, batch.target)

    def on_validation_epoch_end(self) -> None:
        """Log the IoU of each class and their mean over the classes that are there, in percent."""
        log_iou(self, self.confusion['student'], 'miou', self.classes)
        if 'fused' in self.confusion:
            log_iou(self, self.confusion['fused'], 'miou_fused')

    def configure_optimizers(self) -> Any:
        """AdamW; biases and norms do not decay."""
        how = self.config
        return adamw(self.student, how.rate, how.decay, how.warm_up, self.trainer)
