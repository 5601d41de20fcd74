"""
Losses of the video segmenter; all but the cited parts are our own choice.

Queries from peaks are matched one to one with the true instances (Carion et al., DETR, ECCV
2020), so duplicates are unlearned and no NMS is needed. A second group of queries starts at the
true middles, slightly moved: it teaches masks and embeddings before the peaks can be trusted.
Every cell learns its class and the middle of its instance, too (as Cheng et al., Panoptic-DeepLab,
CVPR 2020): dense losses teach a network that starts from nothing far faster than sparse ones.
"""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional as F

from .association import association_loss
from .samples import MaskSamples, sample_masks
from .targets import heat_targets, InstanceTargets
from ...config import setting
from ...inference.assignment import assign
from ...networks.clip_output import take
from ...networks.video_masks import (
    mask_logits,
    mask_logits_at,
    PixelOutput,
    QueryOutput,
    select_queries,
)


@dataclasses.dataclass(frozen=True)
class VideoLossConfig:
    """Weights of the losses."""

    heat: float = setting(1.0, 'weight of the focal loss of the heat map', low=0.0)
    score: float = setting(4.0, 'weight of the quality focal loss of the classes', low=0.0)
    kind: float = setting(1.0, 'weight of the cross-entropy between the classes', low=0.0)
    cover: float = setting(1.0, 'weight of the cross-entropy of masks', low=0.0)
    dice: float = setting(2.0, 'weight of the dice loss of masks', low=0.0)
    vote: float = setting(1.0, 'weight of the votes of cells for a middle', low=0.0)
    semantic: float = setting(1.0, 'weight of the class of each cell', low=0.0)
    place: float = setting(0.5, 'weight of centre and size', low=0.0)
    association: float = setting(0.5, 'weight of the contrastive loss of embeddings', low=0.0)
    temperature: float = setting(0.1, 'temperature of the contrastive loss', low=0.01, high=1.0)


def video_losses(
    queries: QueryOutput,
    pixels: PixelOutput,
    targets: InstanceTargets,
    clip: torch.Tensor,
    semantic: torch.Tensor,
    config: VideoLossConfig,
) -> dict[str, torch.Tensor]:
    """
    Return the weighted losses of a batch.

    Parameters
    ----------
    queries, pixels
        Outputs of the network for B images; the last N queries started at the N true middles.
    targets
        Of the B images, stacked, N at most each.
    clip
        (B,) int64: which clip each image is of; instances of equal identity in one clip are one.
    semantic
        (B, S, h, w) logits of all classes by id, from a layer that only training has.
    config
        Weights.

    Returns
    -------
    dict
        Scalars by the names of the weights; their sum is to be minimised.

    """
    count = queries.peak.shape[1] - targets.channel.shape[1]
    peaks, started = select_queries(queries, 0, count), select_queries(queries, count)
    matched = match(peaks, pixels, targets)
    chosen = QueryOutput(*(take(value, matched) for value in peaks))
    losses = {
        'heat': heat_loss(pixels.heat, targets),
        'vote': vote_loss(pixels.votes, targets),
        'semantic': semantic_loss(semantic, targets.label),
    }
    both = QueryOutput(*(torch.cat(pair, 1) for pair in zip(chosen, started, strict=True)))
    samples = sample_masks(targets)
    logits = mask_logits_at(both, pixels, samples.index.repeat(1, 2, 1))
    own = torch.arange(matched.shape[1], device=matched.device).expand_as(matched)
    for group, index, found, learned in (
        (chosen, matched, logits[:, : matched.shape[1]], peaks),
        (started, own, logits[:, matched.shape[1]:], started),
    ):
        parts = mask_losses(found, samples, targets) | {'place': place_loss(group, targets)}
        parts['kind'] = kind_loss(group, targets)
        parts['score'] = score_loss(learned, index, samples.iou(found), targets)
        for name, value in parts.items():
            losses[name] = losses.get(name, 0.0) + 0.5 * value
    embedding = torch.stack((chosen.embedding, started.embedding), 1)  # B x 2 x N x E
    losses['association'] = association_loss(embedding, targets, clip, config.temperature)
    return {name: getattr(config, name) * value for name, value in losses.items()}


def semantic_loss(semantic: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """
    Return the mean cross-entropy of the cells whose class is known, 0 where none is.

    semantic: B x S x h x w logits by class id. label: B x h x w int64, 0 for unknown.
    """
    total = F.cross_entropy(semantic, label, ignore_index=0, reduction='sum')
    return total / (label > 0).sum().clamp(min=1)


@torch.no_grad()
def match(
    queries: QueryOutput, pixels: PixelOutput, targets: InstanceTargets
) -> torch.Tensor:
    """
    Match true instances with queries, one to one, at the least cost of class, mask and place.

    Returns
    -------
    torch.Tensor
        (B, N) int64: the query of each true instance; 0 for padding. N must not exceed Q.

    """
    finer = targets.mask.shape[-1] // targets.ignored.shape[-1]
    coarse = pixels._replace(
        features=pixels.features[..., ::finer, ::finer], votes=pixels.votes[..., ::finer, ::finer]
    )
    covered = mask_logits(queries, coarse).sigmoid().flatten(2)  # B x Q x P
    mask = targets.mask[..., ::finer, ::finer].flatten(2)  # B x N x P
    shared = mask @ covered.transpose(1, 2)  # B x N x Q
    total = mask.sum(2)[..., None] + covered.sum(2)[:, None]
    score = queries.class_logits.sigmoid().transpose(1, 2)  # B x C x Q
    channel = targets.channel.clamp(min=0)[..., None].expand(-1, -1, score.shape[2])
    away = queries.peak[:, None] + 0.5 - targets.center[:, :, None]
    away = (away / targets.half_size[:, :, None]).norm(dim=3).clamp(max=4)
    cost = 0.5 * away - 4 * shared / (total + 1) - score.gather(1, channel)
    matched = torch.zeros_like(targets.channel)
    for image, number in enumerate((targets.channel >= 0).sum(1).tolist()):
        rows = assign(cost[image, :number].cpu().numpy())
        matched[image, :number] = torch.from_numpy(rows).to(matched.device)
    return matched


def heat_loss(heat: torch.Tensor, targets: InstanceTargets) -> torch.Tensor:
    """
    Return the penalty-reduced focal loss (Law and Deng, CornerNet, ECCV 2018).

    heat: B x C x h x w logits.
    """
    wanted = heat_targets(targets, heat.shape[1])
    probability = heat.sigmoid()
    is_peak = wanted == 1
    missed = -F.logsigmoid(heat) * (1 - probability) ** 2 * is_peak
    counted = ~is_peak & ~targets.ignored[:, None]
    false = -F.logsigmoid(-heat) * probability**2 * (1 - wanted) ** 4 * counted
    return (missed + false).sum() / is_peak.sum().clamp(min=1)


def mask_losses(
    logits: torch.Tensor, samples: MaskSamples, targets: InstanceTargets
) -> dict[str, torch.Tensor]:
    """Return cover, a cross-entropy in areas of the instance, and dice. logits: B x N x P."""
    weight, share, area = size_weight(targets), samples.share, samples.area(samples.share)
    entropy = F.binary_cross_entropy_with_logits(logits, share, reduction='none')
    covered = logits.sigmoid()
    shared, total = samples.area(covered * share), samples.area(covered) + area
    return {
        'cover': _mean(samples.area(entropy) / (area + 4), weight),
        'dice': _mean(1 - (2 * shared + 1) / (total + 1), weight),
    }


def size_weight(targets: InstanceTargets) -> torch.Tensor:
    """Return (B, N): instances in a few cells count less, down to 0.5; padding counts 0."""
    weight = (targets.half_size.prod(2) / 4).clamp(0.5, 1)
    return weight * (targets.channel >= 0)


def vote_loss(votes: torch.Tensor, targets: InstanceTargets) -> torch.Tensor:
    """Return the error of the votes over all instances, in sizes. votes: B x 2 x h x w."""
    if not targets.channel.shape[1]:
        return 0 * votes.sum()
    share, owner = targets.mask.flatten(2).max(1)  # B x P
    center, half_size = (take(v, owner) for v in (targets.center, targets.half_size))
    away = (votes.flatten(2).transpose(1, 2) - center) / half_size
    return _mean(away.abs().sum(2), share > 0.5)


def place_loss(queries: QueryOutput, targets: InstanceTargets) -> torch.Tensor:
    """Return the error of centre and size, both in sizes. queries: B x N."""
    away = (queries.center - targets.center) / targets.half_size
    growth = queries.log_size - targets.half_size.log()
    error = torch.cat((away, growth), 2)
    error = F.smooth_l1_loss(error, torch.zeros_like(error), reduction='none').sum(2)
    return _mean(error, size_weight(targets))


def kind_loss(queries: QueryOutput, targets: InstanceTargets) -> torch.Tensor:
    """Return the cross-entropy between classes, given that it is an instance. queries: B x N."""
    channel = targets.channel.clamp(min=0)
    entropy = F.cross_entropy(queries.class_logits.transpose(1, 2), channel, reduction='none')
    return _mean(entropy, targets.channel >= 0)


def score_loss(
    queries: QueryOutput, matched: torch.Tensor, quality: torch.Tensor, targets: InstanceTargets
) -> torch.Tensor:
    """
    Return the quality focal loss (Li et al., NeurIPS 2020): scores learn the IoU of their mask.

    Parameters
    ----------
    queries
        Q of each of B images; those that nothing was matched with learn the score 0, unless they
        started on an instance that is ignored.
    matched, quality
        (B, N): query of each true instance, and the IoU of its mask.
    targets
        Of the B images.

    """
    logits = queries.class_logits  # B x Q x C
    x, y = queries.peak.unbind(2)
    image = torch.arange(len(x), device=x.device)[:, None]
    counted = ~targets.ignored[image, y, x]
    image = image.expand_as(matched)
    wanted = torch.zeros_like(logits)
    known = targets.channel >= 0
    wanted[image[known], matched[known], targets.channel[known]] = quality[known]
    counted[image[known], matched[known]] = True
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction='none')
    focus = (logits.sigmoid() - wanted).square()
    return (focus * entropy * counted[..., None]).sum() / known.sum().clamp(min=1)


def _mean(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (value * weight).sum() / weight.sum().clamp(min=1)
