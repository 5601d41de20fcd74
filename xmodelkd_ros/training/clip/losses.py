"""
Losses of the clip network, beside those of its frames; our own choice but for the cited parts.

Instances of a clip are matched one to one with clip queries by class and by masks over the whole
clip (as Wang et al., VisTR, CVPR 2021). Which token of each frame a clip query should read is
known from the matching of the frames, so the reading is learned as a choice, and masks are
corrected where the reading is right.
"""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional as F

from .long_clips import clip_targets, ClipTargets
from .query_matching import pair_cost
from ..video.losses import mask_losses, match, place_loss
from ..video.samples import MaskSamples, sample_masks
from ..video.targets import InstanceTargets
from ...config import setting
from ...inference.assignment import assign
from ...networks.clip_output import clip_mask_logits, ClipOutput, FrameTokens, take
from ...networks.video_masks import mask_logits_at, PixelOutput, QueryOutput

LEAST = -6.0
"""Mask logits below it count as this, so that an instance may be missed for some frames."""


@dataclasses.dataclass(frozen=True)
class ClipLossConfig:
    """Weights of the losses of clips."""

    score: float = setting(2.0, 'weight of the quality focal loss of the classes', low=0.0)
    cover: float = setting(1.0, 'weight of the cross-entropy of masks', low=0.0)
    dice: float = setting(2.0, 'weight of the dice loss of masks', low=0.0)
    place: float = setting(0.5, 'weight of centre and size', low=0.0)
    reading: float = setting(1.0, 'weight of the choice of tokens', low=0.0)


def clip_losses(
    clip: ClipOutput,
    pixels: PixelOutput,
    tokens: FrameTokens,
    peaks: QueryOutput,
    targets: InstanceTargets,
    length: int,
    config: ClipLossConfig,
) -> dict[str, torch.Tensor]:
    """
    Return the weighted losses of B clips of L frames each.

    Parameters
    ----------
    clip, pixels, tokens
        Outputs of the network.
    peaks
        The queries of the frames that started at peaks.
    targets
        Of the B L images, stacked.
    length
        L.
    config
        Weights.

    """
    of_frame = match(peaks, pixels, targets)  # B L x N
    chosen = torch.zeros_like(targets.channel)  # clip query of each target
    scores, readings, joined = [], [], []
    for first in range(0, len(targets.channel), length):
        said, cells, truth = clip_part(clip, pixels, targets, first, length)
        instances = clip_targets(truth, clip.reading.shape[1])
        matched = match_clip(said, cells, truth, instances)
        chosen[first:first + length] = instances.spread(matched, targets.channel.shape[1])
        joined.append((said, truth, instances, matched))
    taken = QueryOutput(*(take(value, chosen) for value in clip.queries))
    samples = sample_masks(targets)
    found = mask_logits_at(taken, pixels, samples.index)
    shown = clip.presence.gather(1, chosen) > 0
    shared, union = _areas(found, shown, samples)
    for number, (said, truth, instances, matched) in enumerate(joined):
        here = slice(number * length, (number + 1) * length)
        quality = instances.total(shared[here]) / instances.total(union[here]).clamp(min=1e-6)
        scores.append(_score_loss(said, matched, quality, truth, instances))
        readings.append(_reading_loss(
            said.reading[:, matched], tokens.origin[here], of_frame[here], instances.row))
    right = _read_origin(clip, tokens, chosen) == of_frame
    known = dataclasses.replace(targets, channel=targets.channel.where(right, -1))
    losses = mask_losses(found, samples, known)
    losses |= {'place': place_loss(taken, known), 'score': torch.stack(scores).mean(),
               'reading': torch.stack(readings).mean()}
    return {f'clip_{name}': getattr(config, name) * value for name, value in losses.items()}


def clip_part(
    clip: ClipOutput, pixels: PixelOutput, targets: InstanceTargets, first: int, length: int
) -> tuple[ClipOutput, PixelOutput, InstanceTargets]:
    """Return one clip of a batch: the `length` images from `first` on."""
    here = slice(first, first + length)
    said = ClipOutput(QueryOutput(*(v[here] for v in clip.queries)), clip.reading[here])
    cells = PixelOutput(*(v[here] for v in pixels))
    return said, cells, targets.images(first, first + length)


@torch.no_grad()
def match_clip(
    clip: ClipOutput, pixels: PixelOutput, targets: InstanceTargets, instances: ClipTargets
) -> torch.Tensor:
    """Return (M,) the query of each instance of one clip, by class and masks over the clip."""
    cost = clip_cost(clip, pixels, targets, instances)
    return torch.from_numpy(assign(cost.cpu().numpy())).to(cost.device)


@torch.no_grad()
def clip_cost(
    clip: ClipOutput, pixels: PixelOutput, targets: InstanceTargets, instances: ClipTargets
) -> torch.Tensor:
    """Return (M, N): what it costs to take each query for each instance of one clip."""
    pixels, finer = coarse_cells(pixels)
    masks = clip_mask_logits(clip, pixels).clamp(min=LEAST)
    truth = instances.masks(targets)[..., ::finer, ::finer]
    return pair_cost(
        clip.queries.class_logits[0], volumes(masks), instances.channel, volumes(truth))


def coarse_cells(pixels: PixelOutput) -> tuple[PixelOutput, int]:
    """Return every n-th cell, as many as the heat map has, and n."""
    finer = pixels.votes.shape[-1] // pixels.heat.shape[-1]
    return pixels._replace(
        features=pixels.features[..., ::finer, ::finer], votes=pixels.votes[..., ::finer, ::finer]
    ), finer


def volumes(masks: torch.Tensor) -> torch.Tensor:
    """Put the frames of each mask in one row. masks: L x N x h x w. Output: N x L h w."""
    return masks.transpose(0, 1).flatten(1)


@torch.no_grad()
def _read_origin(clip: ClipOutput, tokens: FrameTokens, chosen: torch.Tensor) -> torch.Tensor:
    """Return (B L, N): which query of its frame each target's clip query reads."""
    token = take(clip.reading, chosen)[..., :-1].argmax(2)
    return tokens.origin.gather(1, token)


@torch.no_grad()
def _areas(
    found: torch.Tensor, shown: torch.Tensor, samples: MaskSamples
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what found and true masks share, and their union, (B L, N) each."""
    covered = ((found > 0) & shown[..., None]).float()
    shared = samples.area(torch.minimum(covered, samples.share))
    return shared, samples.area(torch.maximum(covered, samples.share))


def _score_loss(
    clip: ClipOutput,
    matched: torch.Tensor,
    quality: torch.Tensor,
    targets: InstanceTargets,
    instances: ClipTargets,
) -> torch.Tensor:
    """Return the quality focal loss of one clip: scores learn the IoU over the clip."""
    logits = clip.queries.class_logits[0]  # N x C
    wanted = torch.zeros_like(logits)
    wanted[matched, instances.channel] = quality
    counted = ~_mostly_ignored(clip, targets)
    counted[matched] = True
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction='none')
    focus = (logits.sigmoid() - wanted).square()
    return (focus * entropy * counted[:, None]).sum() / max(len(matched), 1)


def _mostly_ignored(clip: ClipOutput, targets: InstanceTargets) -> torch.Tensor:
    """Return (N,) bool: queries that read mostly tokens on instances too small to learn from."""
    x, y = clip.queries.peak.detach().round().long().unbind(2)  # L x N
    frame = torch.arange(len(x), device=x.device)[:, None]
    seen = clip.presence.detach().sigmoid()
    return (seen * targets.ignored[frame, y, x]).sum(0) > 0.5 * seen.sum(0)


def _reading_loss(
    reading: torch.Tensor, origin: torch.Tensor, of_frame: torch.Tensor, row: torch.Tensor
) -> torch.Tensor:
    """
    Return the cross-entropy of the tokens that matched clip queries read.

    reading: L x M x (K + 1). origin: L x K. of_frame: L x N, the query of each target of a frame.
    row: L x M, the target of each instance.
    """
    if not row.shape[1]:
        return 0.0 * reading.sum()
    query = of_frame.gather(1, row.clamp(min=0)).masked_fill(row < 0, -1)  # L x M
    same = origin[:, None] == query[..., None]  # L x M x K
    none = ~same.any(2, keepdim=True)
    wanted = torch.cat((same, none), 2).int().argmax(2)
    return F.cross_entropy(reading.flatten(0, 1), wanted.flatten())
