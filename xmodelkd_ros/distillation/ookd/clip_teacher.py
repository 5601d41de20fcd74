"""The offline teacher at work on training clips: its queries, and which instances they are."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .queries import filter_by_truth, QueryFilterConfig
from ...inference.devices import autocast
from ...networks.checkpoint import load_checkpoint, load_config, load_weights
from ...networks.clip_network import ClipNetwork, ClipNetworkConfig
from ...networks.clip_output import ClipOutput
from ...networks.convolution import fuse
from ...networks.video_masks import PixelOutput
from ...training.clip.long_clips import clip_targets
from ...training.clip.losses import clip_cost, clip_part
from ...training.video.targets import InstanceTargets


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

    """

    def __init__(self, path: str, config: QueryFilterConfig) -> None:
        checkpoint = load_checkpoint(path, 'clip')
        self.network = ClipNetwork(load_config(ClipNetworkConfig, checkpoint.network, path))
        load_weights(self.network, checkpoint, path)
        fuse(self.network.frame)
        self.network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._config = config

    @torch.no_grad()
    def __call__(
        self, images: torch.Tensor, targets: InstanceTargets, length: int
    ) -> Lesson:
        """
        Return what the teacher says of clips.

        Parameters
        ----------
        images
            B L x 3 x H x W, normalised.
        targets
            Of the images.
        length
            L.

        """
        self.network.to(images.device)
        with autocast(images.device):
            _, pixels, _, clip = self.network(images, length)
        query = torch.cat([
            filter_clip(*clip_part(clip, pixels, targets, first, length), self._config)
            for first in range(0, len(images), length)
        ])
        return Lesson(clip, pixels, query)


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
