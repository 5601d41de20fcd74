"""The offline teacher at work on training clips: its queries, and which instances they are."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from .queries import filter_by_agreement, filter_by_truth, id_maps, QueryFilterConfig
from ...inference.devices import autocast
from ...labels import THING_CLASSES
from ...networks.checkpoint import load_checkpoint, load_config, load_weights
from ...networks.clip_network import ClipNetwork, ClipNetworkConfig
from ...networks.clip_output import clip_mask_logits, ClipOutput
from ...networks.video_backbone import STRIDE
from ...networks.video_masks import PixelOutput
from ...training.clip.long_clips import clip_targets
from ...training.clip.losses import clip_cost, clip_part
from ...training.video.targets import InstanceTargets, make_targets, stack_targets

UNCERTAIN = 0.1
"""Queries from this score on that are not believed leave their cells out of the losses."""


class Lesson(NamedTuple):
    """
    What the teacher says of B clips of L frames.

    clip, pixels: its output. query B L x N: the clip query of each target of each frame, -1 none.
    """

    clip: ClipOutput
    pixels: PixelOutput
    query: torch.Tensor


class ClipTeacher:
    """
    A trained clip network that teaches.

    Parameters
    ----------
    path
        A checkpoint of the kind 'clip'.
    config
        Which of its queries are believed.
    min_area
        Its masks of fewer pixels are ignored, where there is no truth.

    """

    def __init__(self, path: str, config: QueryFilterConfig, min_area: int) -> None:
        checkpoint = load_checkpoint(path, 'clip')
        self.network = ClipNetwork(load_config(ClipNetworkConfig, checkpoint.network, path))
        load_weights(self.network, checkpoint, path)
        self.network.frame.fuse()
        self.network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._config, self._min_area = config, min_area

    @torch.no_grad()
    def __call__(
        self, images: torch.Tensor, targets: InstanceTargets, length: int
    ) -> tuple[Lesson, InstanceTargets]:
        """
        Look at clips.

        Parameters
        ----------
        images
            B L x 3 x H x W, normalised.
        targets
            Of the images; those of clips that are ignored all over are found by the teacher.
        length
            L.

        Returns
        -------
        tuple
            What the teacher says, and the targets, with its own where there were none.

        """
        self.network.to(images.device)
        with autocast(images.device):
            _, pixels, _, clip = self.network(images, length)
        clips, queries = [], []
        for first in range(0, len(images), length):
            said, cells, truth = clip_part(clip, pixels, targets, first, length)
            if truth.ignored.all():
                truth, query = invent_targets(said, cells, self._config, self._min_area)
            else:
                query = filter_clip(said, cells, truth, self._config)
            clips.append(truth)
            queries.append(query)
        joined = stack_targets([part for truth in clips for part in truth.unstacked()])
        count = joined.channel.shape[1]
        padded = [F.pad(q, (0, count - q.shape[1]), value=-1) for q in queries]
        return Lesson(clip, pixels, torch.cat(padded)), joined


def filter_clip(
    clip: ClipOutput, pixels: PixelOutput, truth: InstanceTargets, config: QueryFilterConfig
) -> torch.Tensor:
    """
    Return the query of each target of a clip with truth.

    Parameters
    ----------
    clip, pixels
        What the teacher says of one clip.
    truth
        The targets of its L frames.
    config
        Which queries are kept.

    Returns
    -------
    torch.Tensor
        (L, N) int64, -1 where an instance has no query, or it is not seen in the frame.

    """
    instances = clip_targets(truth, clip.reading.shape[1])
    query = filter_by_truth(clip_cost(clip, pixels, truth, instances), config.max_cost)
    query = instances.spread(query + 1, truth.channel.shape[1]) - 1
    seen = clip.presence.gather(1, query.clamp(min=0)) > 0
    return query.masked_fill(~seen, -1)


def invent_targets(
    clip: ClipOutput, pixels: PixelOutput, config: QueryFilterConfig, min_area: int
) -> tuple[InstanceTargets, torch.Tensor]:
    """
    Return targets for a clip without truth from the queries that can be believed.

    Parameters
    ----------
    clip, pixels
        What the teacher says of one clip.
    config
        Which queries are believed.
    min_area
        Masks of fewer pixels are ignored, as are those of queries that are doubted.

    Returns
    -------
    tuple
        The targets of the L frames, and the (L, N) query of each.

    """
    score, channel = clip.queries.class_logits[0].sigmoid().max(1)
    masks = clip_mask_logits(clip, pixels) > 0  # L x N x H x W
    believed = filter_by_agreement(score, masks, config)
    doubted = (score >= UNCERTAIN).index_fill(0, believed, False)
    finer = masks.shape[-1] // pixels.heat.shape[-1]
    targets = painted_targets(
        id_maps(masks[:, believed], score[believed]), channel[believed].cpu().numpy(),
        STRIDE // finer, min_area,
    )
    stacked = stack_targets(targets).to(masks.device)
    unsure = F.max_pool2d(masks[:, doubted].any(1).float(), finer) > 0
    stacked = dataclasses.replace(stacked, ignored=stacked.ignored | unsure)
    names = F.pad(believed, (1, 0), value=-1)  # identity 0 is padding
    return stacked, names[stacked.identity]


def painted_targets(
    maps: np.ndarray, channel: np.ndarray, stride: int, min_area: int
) -> list[InstanceTargets]:
    """
    Return targets of painted masks.

    Parameters
    ----------
    maps
        (L, H, W) uint16: 1 + row of the instance of each cell, 0 for none.
    channel
        (K,) of each instance.
    stride
        Pixels per cell.
    min_area
        Instances of fewer pixels are ignored.

    """
    class_ids = np.array([c.id for c in THING_CLASSES], np.uint8)
    class_of_id = np.concatenate((np.zeros(1, np.uint8), class_ids[channel]))
    pixels = maps.repeat(stride, 1).repeat(stride, 2)
    return [
        make_targets(
            class_of_id[instance], instance, THING_CLASSES, min_area, mask_stride=stride)
        for instance in pixels
    ]
