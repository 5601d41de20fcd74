"""
The Lightning module that trains the online video segmenter with an offline teacher.

The student is the network that `train video` trains, at the same cost. Beside the losses of its
labels it learns from the queries of the clip network (`queries.py` says which from which).
"""

from __future__ import annotations

import torch

from .clip_teacher import ClipTeacher, Lesson
from .config import OokdTrainingConfig
from .losses import class_loss, cover_loss, dice_loss, embedding_loss
from .queries import associate_queries, filter_by_truth, rank_pairs
from ...errors import ConfigurationError
from ...networks.clip_output import take
from ...networks.video_masks import mask_logits, PixelOutput, QueryOutput, select_queries
from ...training.clip.losses import coarse_cells
from ...training.clip.query_matching import pair_cost
from ...training.trainer import log_losses
from ...training.video.clips import ClipBatch
from ...training.video.module import VideoTrainingModule
from ...training.video.targets import InstanceTargets


class OokdTrainingModule(VideoTrainingModule):
    """
    Trains the student; validation is that of `VideoTrainingModule`.

    Parameters
    ----------
    config
        How it is trained.

    """

    config: OokdTrainingConfig

    def __init__(self, config: OokdTrainingConfig) -> None:
        super().__init__(config)
        self._teach = None
        if config.mode != 'alone' and config.distil.wanted:
            self._teach = ClipTeacher(config.teacher, config.queries)
            theirs = self._teach.network.config.frame.embedding
            if config.network.embedding != theirs:
                raise ConfigurationError(
                    'network.embedding', config.network.embedding, f'{theirs}, as the teacher has')

    def training_step(self, batch: ClipBatch, index: int) -> torch.Tensor:
        """Return the loss of a batch of clips of one length."""
        images = self._normalise(batch.images)
        lesson = None
        if self._teach is not None:
            lesson = self._teach(images, batch.targets, self.config.clips.frames)
        starts = self._starts(batch)
        queries, pixels = self.network(images, starts)
        losses = self._frame_losses(queries, pixels, batch)
        if lesson is not None:
            peaks = select_queries(queries, 0, queries.peak.shape[1] - starts.shape[1])
            with torch.autocast(self.device.type, enabled=False):
                losses |= self._distil(peaks, pixels, lesson, batch.targets)
        return log_losses(self, losses)

    def _distil(
        self, student: QueryOutput, pixels: PixelOutput, lesson: Lesson, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """Return the weighted losses between paired queries of student and teacher."""
        teacher, weights = lesson.clip.queries, self.config.distil
        pixels, _ = coarse_cells(pixels)
        if self.config.mode == 'plain':
            pairs = rank_pairs(teacher.class_logits.amax(2), student.class_logits.amax(2))
        else:
            own = match_frames(student, pixels, targets, self.config.queries.max_cost)
            pairs = associate_queries(lesson.query, own)
        frame, theirs, mine = pairs.unbind(1)
        clip = frame.div(self.config.clips.frames, rounding_mode='floor')
        pupils, owner = torch.stack((clip, theirs), 1).unique(dim=0, return_inverse=True)
        first = pupils[:, 0] * self.config.clips.frames
        masks = pair_masks(student, pixels, frame, mine)
        wanted = pair_masks(teacher, coarse_cells(lesson.pixels)[0], frame, theirs)
        losses = {
            'embedding': embedding_loss(
                student.embedding[frame, mine], teacher.embedding[first, pupils[:, 1]], owner,
                pupils[:, 0], weights.contrast),
            'classes': class_loss(
                student.class_logits[frame, mine], teacher.class_logits[frame, theirs],
                weights.softness),
            'cover': cover_loss(masks, wanted),
            'dice': dice_loss(masks, wanted),
        }
        return {f'distil_{name}': getattr(weights, name) * v for name, v in losses.items()}


@torch.no_grad()
def match_frames(
    queries: QueryOutput, pixels: PixelOutput, targets: InstanceTargets, max_cost: float
) -> torch.Tensor:
    """
    Return the query of each target of each frame by class, mask BCE and dice, -1 for none.

    Parameters
    ----------
    queries, pixels
        Of B frames; the masks on the grid of the heat map.
    targets
        Of the B frames.
    max_cost
        A pair that costs more is none.

    Returns
    -------
    torch.Tensor
        (B, N) int64.

    """
    logits = mask_logits(queries, pixels).flatten(2)
    finer = targets.mask.shape[-1] // pixels.heat.shape[-1]
    mask = targets.mask[..., ::finer, ::finer].flatten(2)
    matched = torch.full_like(targets.channel, -1)
    for frame, count in enumerate((targets.channel >= 0).sum(1).tolist()):
        cost = pair_cost(
            queries.class_logits[frame], logits[frame], targets.channel[frame, :count],
            mask[frame, :count],
        )
        matched[frame, :count] = filter_by_truth(cost, max_cost)
    return matched


def pair_masks(
    queries: QueryOutput, pixels: PixelOutput, frame: torch.Tensor, query: torch.Tensor
) -> torch.Tensor:
    """
    Return the mask logits of some queries.

    Parameters
    ----------
    queries, pixels
        Of B frames.
    frame, query
        (P,) int64; `frame` rises.

    Returns
    -------
    torch.Tensor
        (P, cells).

    """
    count = torch.bincount(frame, minlength=len(queries.peak))
    column = torch.arange(len(frame), device=frame.device) - (count.cumsum(0) - count)[frame]
    index = query.new_zeros(len(count), int(count.max()) if len(frame) else 0)
    index[frame, column] = query
    chosen = QueryOutput(*(take(value, index) for value in queries))
    return mask_logits(chosen, pixels).flatten(2)[frame, column]
