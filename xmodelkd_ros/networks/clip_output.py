"""What passes between the frames of a clip, the temporal transformer, and what uses it."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .video_masks import mask_logits, PixelOutput, QueryOutput

ABSENT = -12.0
"""Mask logit where an instance is said not to be seen."""


class FrameTokens(NamedTuple):
    """
    What the clip sees of T frames: their K best queries.

    hidden T x K x D before the heads; queries T x K; origin T x K, which query of the frame it is.
    """

    hidden: torch.Tensor
    queries: QueryOutput
    origin: torch.Tensor


class ClipOutput(NamedTuple):
    """
    What the network says about N instances of each of B clips of L frames.

    queries B L x N, for `mask_logits` with the cells of the frames; class and embedding are the
    same in all frames of a clip. reading B L x N x (K + 1): logits of which token of the frame
    the instance is, the last for none of them.
    """

    queries: QueryOutput
    reading: torch.Tensor

    @property
    def presence(self) -> torch.Tensor:
        """B L x N logits of whether the instance is seen in the frame."""
        return self.reading[..., :-1].logsumexp(-1) - self.reading[..., -1]


def clip_mask_logits(clip: ClipOutput, pixels: PixelOutput) -> torch.Tensor:
    """Return B L x N x H x W mask logits, `ABSENT` in frames where an instance is not seen."""
    logits = mask_logits(clip.queries, pixels)
    return logits.masked_fill((clip.presence <= 0)[..., None, None], ABSENT)


def take(value: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return value[b, index[b]]. value: B x M x ... index: B x N. Output: B x N x ..."""
    return value[torch.arange(len(index), device=index.device)[:, None], index]


@torch.no_grad()
def strides(tokens: QueryOutput, start: torch.Tensor, length: int) -> torch.Tensor:
    """
    Return how implausible it is that an instance at one token moves to another: log(1 + s^2).

    s is the distance of the two in their sizes, by the number of frames from one to the other,
    plus one.

    Parameters
    ----------
    tokens
        B x L K.
    start
        B x N, which of them.
    length
        L.

    Returns
    -------
    torch.Tensor
        B L x N x K.

    """
    count = tokens.center.shape[1] // length
    size = tokens.log_size.exp().mean(2)  # B x L K
    away = (take(tokens.center, start)[:, :, None] - tokens.center[:, None]).norm(dim=3)
    away = away / (take(size, start)[:, :, None] + size[:, None])  # B x N x L K
    frame = torch.arange(length, device=start.device).repeat_interleave(count)
    gap = (frame[start][..., None] - frame).abs()
    stride = (away / (1 + gap)).square().log1p()
    return stride.unflatten(2, (length, count)).transpose(1, 2).flatten(0, 1)
