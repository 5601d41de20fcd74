"""The query decoder of the video segmenter: attention layers and position encoding."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """
    Multi-head attention of queries over tokens.

    Parameters
    ----------
    width
        Channels of queries and tokens.
    heads
        Number of heads; divides `width`.

    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # B x heads x N x D

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """query: B x Q x D. key, value: B x N x D. mask: Q x N, true where seen. B x Q x D."""
        attended = F.scaled_dot_product_attention(
            self._split(self.query(query)),
            self._split(self.key(key)),
            self._split(self.value(value)),
            attn_mask=mask,
        )
        return self.output(attended.transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """
    Self-attention among queries, attention over image tokens, and a feed-forward network.

    Parameters
    ----------
    width
        Channels.
    heads
        Attention heads.

    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.among = Attention(width, heads)
        self.over = Attention(width, heads)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(inplace=True), nn.Linear(2 * width, width)
        )

    def forward(
        self,
        query: torch.Tensor,
        position: torch.Tensor,
        tokens: torch.Tensor,
        keys: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """
        Return the updated queries.

        query, position: B x Q x D. tokens, keys: B x N x D. mask: Q x Q. Output: B x Q x D
        """
        x = self.norms[0](query)
        query = query + self.among(x + position, x + position, x, mask)
        query = query + self.over(self.norms[1](query) + position, keys, tokens)
        return query + self.feed_forward(self.norms[2](query))


def position_encoding(points: torch.Tensor, width: int) -> torch.Tensor:
    """
    Sines and cosines of image positions (Vaswani et al., NeurIPS 2017), first y, then x.

    Parameters
    ----------
    points
        (..., 2) x, y in input pixels, float32.
    width
        Channels of the encoding, a multiple of 4.

    Returns
    -------
    torch.Tensor
        (..., width); wavelengths from 8 to 2048 pixels.

    """
    count = width // 4
    steps = torch.arange(count, device=points.device, dtype=torch.float32)
    wavelength = 8.0 * 256.0 ** (steps / max(count - 1, 1))
    angle = 2 * math.pi * points.float().flip(-1)[..., None] / wavelength  # ... x 2 x count
    return torch.cat((angle.sin(), angle.cos()), -1).flatten(-2)  # ... x width


def perceptron(width: int, outputs: int) -> nn.Sequential:
    """Return two linear layers with a ReLU between."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, outputs))


def gather_cells(feature: torch.Tensor, peaks: torch.Tensor, width: int) -> torch.Tensor:
    """
    Return the features of a map at the peaks.

    feature: B x C x h x w. peaks: B x Q x 2 (x, y) cells of a map that is `width` wide.
    Output: B x Q x C
    """
    cell = peaks.div(width // feature.shape[-1], rounding_mode='floor')
    index = cell[..., 1] * feature.shape[-1] + cell[..., 0]  # B x Q
    index = index[:, None].expand(-1, feature.shape[1], -1)
    return feature.flatten(2).gather(2, index).transpose(1, 2)
