"""
The video segmenter's network: one image in, one set of instance queries out, no NMS.

The published online model is known by its abstract alone, so this is our reconstruction, shaped
by two needs: it is trained from scratch, and it runs on two CPU cores beside a LiDAR network.

- **Queries from activation peaks.** A heat map per thing class marks the middle of each visible
  instance (Zhou et al., 'Objects as Points', 2019); the local maxima of the strongest class give
  the queries (activation-guided queries: He et al., FastInst, CVPR 2023). A query starts where
  its instance is, so it learns far faster than a free one. Self-attention among the queries and a
  one-to-one matching loss settle which of two peaks on one instance speaks for it.
- **Masks from a kernel and a place.** A query predicts a kernel over the mask features (Tian et
  al., CondInst, ECCV 2020), a centre and a size. Every pixel votes for the middle of its instance
  (Neven et al., CVPR 2019); a vote far from the query's centre, measured in its size, lowers the
  logit. So masks are local from the first step on, and two cars side by side come apart.
- **Masks finer than features.** The last layer's channels become cells (Shi et al., CVPR 2016):
  bicycles and distant persons are lost in masks at 1/4 of the input, and that costs little.
- **Association embedding.** A unit vector per query, alike for one instance at different times;
  the tracker compares nothing else of the appearance.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

from .convolution import ConvNorm, Exit, PlainConv
from .video_backbone import Pyramid, STRIDE
from .video_decoder import DecoderLayer, gather_cells, perceptron, position_encoding
from .video_masks import PixelOutput, QueryOutput
from ..config import setting


@dataclasses.dataclass(frozen=True)
class VideoNetworkConfig:
    """Shape of the network; part of a checkpoint."""

    classes: int = setting(6, 'Number of thing classes.', low=1, high=64)
    queries: int = setting(40, 'Queries per image.', low=1, high=300)
    widths: tuple[int, ...] = setting(
        (64, 96, 128, 160), 'Channels at 1/4, 1/8, 1/16 and 1/32.', low=32, high=512
    )
    blocks: tuple[int, ...] = setting((1, 2, 2, 1), 'Residual blocks at each.', low=1, high=12)
    fine: int = setting(64, 'Channels of the pyramid at 1/4.', low=8, high=256)
    coarse: int = setting(96, 'Channels of the pyramid at 1/8 and 1/16.', low=8, high=512)
    layers: int = setting(1, 'Decoder layers.', low=1, high=8)
    heads: int = setting(4, 'Attention heads.', low=1, high=16)
    kernel: int = setting(32, 'Channels of the mask features.', low=4, high=128)
    mask_stride: int = setting(2, 'Input pixels per cell of masks.', choices=(1, 2, 4))
    embedding: int = setting(64, 'Length of the association embedding.', low=8, high=256)


class VideoNetwork(nn.Module):
    """
    Query-based instance segmentation of single images with an association embedding.

    Parameters
    ----------
    config
        Shape of the network.

    """

    def __init__(self, config: VideoNetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.coarse
        self.pyramid = Pyramid(config.widths, config.blocks, config.fine, config.coarse)
        self.pixel_trunk = ConvNorm(config.fine, config.fine)
        self.finer = STRIDE // config.mask_stride
        outputs = config.classes + (config.kernel + 2) * self.finer**2
        self.pixel_head = PlainConv(config.fine, outputs, last=True)
        self.exits = nn.ModuleList(Exit() for _ in ('trunk', 'p2', 'p3'))
        self.coarse_exit = Exit()
        self.content = nn.Linear(2 * config.fine + config.coarse + config.classes, width)
        self.tokens = nn.Linear(config.coarse, width)
        self.decoder = nn.ModuleList(
            DecoderLayer(width, config.heads) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.class_head = nn.Linear(width, config.classes)
        self.place_head = perceptron(width, 4)
        self.kernel_head = perceptron(width, config.kernel + 1)
        self.embedding_head = perceptron(width, config.embedding)
        self._start_rare()

    def _start_rare(self) -> None:
        """Begin with heat and classes near 2 %, so that the empty image costs little."""
        nn.init.constant_(self.pixel_head.bias[: self.config.classes], -4.0)  # type: ignore[index]
        nn.init.constant_(self.class_head.bias, -3.0)

    def forward(
        self, images: torch.Tensor, extra_peaks: torch.Tensor | None = None
    ) -> tuple[QueryOutput, PixelOutput]:
        """
        Find the instances of each image.

        Parameters
        ----------
        images
            B x 3 x H x W, normalised; H and W multiples of 32.
        extra_peaks
            B x M x 2 int64 (x, y) cells for M further queries that only see one another, used in
            training to start queries at true instances (as Li et al., DN-DETR, CVPR 2022).

        Returns
        -------
        tuple
            Queries (first those from peaks, then the extra ones) and cells.

        """
        query, peaks, pixels = self.look(images, extra_peaks)
        return self.describe(query, peaks), pixels

    def look(
        self, images: torch.Tensor, extra_peaks: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, PixelOutput]:
        """
        Return the queries before their heads, B x Q x D, their peaks, and the cells.

        images, extra_peaks: as for `forward`.
        """
        p2, p3, p4 = self.pyramid(images)
        trunk = self.pixel_trunk(p2)
        pixels = self._pixels(trunk)
        peaks = self.find_peaks(pixels.heat)
        mask = None
        if extra_peaks is not None:
            mask = _separate(peaks.shape[1], extra_peaks.shape[1], peaks.device)
            peaks = torch.cat((peaks, extra_peaks), 1)
        width = pixels.heat.shape[-1]
        seen = [
            leave(gather_cells(feature, peaks, width), feature)
            for leave, feature in zip(self.exits, (trunk, p2, p3), strict=True)]
        heat = gather_cells(pixels.heat, peaks, width).to(seen[0].dtype)
        query = self.content(torch.cat((*seen, heat), 2))  # B x Q x D
        return self._decode(query, peaks, self.coarse_exit(p4, p4), mask), peaks, pixels

    def _pixels(self, trunk: torch.Tensor) -> PixelOutput:
        """trunk: B x F x h x w."""
        classes, kernel = self.config.classes, self.config.kernel
        heat, finer = self.pixel_head(trunk).tensor_split((classes,), 1)
        features, offset = F.pixel_shuffle(finer, self.finer).split((kernel, 2), 1)
        votes = offset.float() + _cell_centers(offset) / self.finer
        return PixelOutput(heat.float(), features, votes)

    @torch.no_grad()
    def find_peaks(self, heat: torch.Tensor) -> torch.Tensor:
        """Return the strongest local maxima. heat: B x C x h x w. Output: B x Q x 2 (x, y)."""
        strength = heat.amax(1)  # B x h x w
        is_peak = F.max_pool2d(strength, 3, 1, 1) == strength
        strength = strength.masked_fill(~is_peak, -1e4).flatten(1)
        index = strength.topk(min(self.config.queries, strength.shape[1])).indices
        width = heat.shape[-1]
        return torch.stack((index % width, index.div(width, rounding_mode='floor')), -1)

    def _decode(
        self,
        query: torch.Tensor,
        peaks: torch.Tensor,
        p4: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """query: B x Q x D. peaks: B x Q x 2. p4: B x D x H/16 x W/16. Output: B x Q x D."""
        width = query.shape[-1]
        grid = 16.0 * _cell_centers(p4).flatten(1).T  # N x 2
        tokens = self.tokens(p4.flatten(2).transpose(1, 2))  # B x N x D
        keys = tokens + position_encoding(grid, width).to(tokens.dtype)
        position = position_encoding((peaks + 0.5) * STRIDE, width).to(query.dtype)
        query = query + position
        for layer in self.decoder:
            query = layer(query, position, tokens, keys, mask)
        return self.norm(query)

    def describe(self, query: torch.Tensor, peaks: torch.Tensor) -> QueryOutput:
        """Return what the heads say. query: B x Q x D. peaks: B x Q x 2."""
        shift, log_size = self.place_head(query).float().split(2, -1)
        log_size = log_size.clamp(-1.0, 5.0)
        return QueryOutput(
            class_logits=self.class_head(query).float(),
            embedding=F.normalize(self.embedding_head(query).float(), dim=-1),
            center=peaks + 0.5 + shift * log_size.exp(),
            log_size=log_size,
            kernel=self.kernel_head(query).float(),
            peak=peaks,
        )


def _cell_centers(like: torch.Tensor) -> torch.Tensor:
    """Return 2 x h x w float32: x and y of the cell centres, in cells."""
    height, width = like.shape[-2:]
    y = torch.arange(height, device=like.device, dtype=torch.float32) + 0.5
    x = torch.arange(width, device=like.device, dtype=torch.float32) + 0.5
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))


def _separate(first: int, second: int, device: torch.device) -> torch.Tensor:
    """Return the attention mask that keeps two groups of queries apart."""
    group = torch.arange(first + second, device=device) < first
    return group[:, None] == group[None]
