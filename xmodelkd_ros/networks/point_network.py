"""
The point segmenter's network: a residual U-Net on the folded range view and a per-point head.

Neighbouring columns are folded into channels, so that the body works on a quarter of the width
without losing a return; the head unfolds them, gathers each point's cell and fuses it with the
point's own geometry, so that points which share a pixel are told apart and no neighbour search is
needed. Range-view networks: RangeNet++ (Milioto et al. 2019), CENet (Cheng et al. 2022), FRNet
(Xu et al. 2023), from which the fusion of cells and points is taken.
"""

from __future__ import annotations

import dataclasses
import os

import torch
from torch import nn, Tensor

from .activation import rectify
from .checkpoint import Checkpoint, load_config, load_weights
from .convolution import ConvNorm, enlarge, Entry, PlainConv
from .point_projection import IMAGE_CHANNELS, POINT_FEATURES
from ..config import setting
from ..errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class PointNetworkConfig:
    """Size of the point network."""

    fold: int = setting(4, 'Columns folded into channels.', choices=(1, 2, 4, 8))
    channels: tuple[int, ...] = setting(
        (32, 64, 128, 128), 'Channels at each scale.', low=8, high=1024
    )
    blocks: tuple[int, ...] = setting(
        (1, 2, 3, 2), 'Residual blocks of the encoder at each scale.', low=1, high=16
    )
    head: int = setting(32, 'Features of a cell and hidden width of the head.', low=4, high=256)

    def __post_init__(self) -> None:
        if len(self.blocks) != len(self.channels):
            raise ConfigurationError('blocks', self.blocks, f'{len(self.channels)} numbers')


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> ConvNorm:
    return ConvNorm(inputs, outputs, kernel, stride, momentum=0.03)  # batches are small


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: B x C x H x W. Output: the same shape."""
        return self.second(self.first(x), x)


class Down(nn.Sequential):
    """Halve rows and columns, then residual blocks."""

    def __init__(self, channels: int, out: int, blocks: int) -> None:
        stem = (_conv(channels, out, 3, 2), nn.Identity())  # the second for the names of weights
        super().__init__(*stem, *(Residual(out) for _ in range(blocks)))


class Up(nn.Module):
    """Add a deeper scale, widened to this one's size, and mix."""

    def __init__(self, deep: int, channels: int) -> None:
        super().__init__()
        self.reduce = _conv(deep, channels, 1)
        self.mix = _conv(channels, channels)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """deep: B x D x H / 2 x W / 2. skip: B x C x H x W. Output: B x C x H x W."""
        # Reduced after it is enlarged, so that the sum is the convolution's; 1 x 1: the same.
        return self.mix(self.reduce(enlarge(deep, skip), skip))


class PointNetwork(nn.Module):
    """
    Label the points of a range view.

    Parameters
    ----------
    config
        Size of the network.
    classes
        Number of output channels.

    """

    def __init__(self, config: PointNetworkConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        scales, fold, head = config.channels, config.fold, config.head
        self.entry = Entry()
        self.stem = _conv(fold * IMAGE_CHANNELS, scales[0])
        self.first = nn.Sequential(*(Residual(scales[0]) for _ in range(config.blocks[0])))
        steps = zip(scales[:-1], scales[1:], config.blocks[1:], strict=True)
        self.down = nn.ModuleList(Down(c, out, blocks) for c, out, blocks in steps)
        pairs = zip(scales[:0:-1], scales[-2::-1], strict=True)
        self.up = nn.ModuleList(Up(deep, c) for deep, c in pairs)
        self.unfold = PlainConv(scales[0], fold * head, last=True)
        self.look = nn.Linear(head, head, bias=False)
        self.own = nn.Linear(POINT_FEATURES, head)
        self.classify = nn.Linear(head, classes)

    def forward(self, image: Tensor, cell: Tensor, features: Tensor) -> Tensor:
        """
        Return the logits of points, classes first: the fast layout for what follows.

        Parameters
        ----------
        image
            (B, IMAGE_CHANNELS, H, W); W is a multiple of `fold`.
        cell
            (M,) int64 into the flattened (B, H, W), in any order.
        features
            (POINT_FEATURES, M).

        Returns
        -------
        Tensor
            (classes, M).

        """
        return self.label(self.cells(image), cell, features)

    def cells(self, image: Tensor) -> Tensor:
        """image: B x C x H x W. Output: (B * H * W) x head, features of a cell."""
        return self.unfolded(self.body(image))

    def body(self, image: Tensor) -> Tensor:
        """image: B x C x H x W. Output: B x channels[0] x H x W / fold, before the head."""
        batch, _, height, width = image.shape
        last = image.permute(0, 2, 3, 1).to(self.dtype).contiguous()
        folded = last.view(batch, height, width // self.config.fold, -1).permute(0, 3, 1, 2)
        x = self.stem(self.entry(folded))
        scales = [self.first(x)]
        for down in self.down:
            scales.append(down(scales[-1]))
        x = scales.pop()
        for up in self.up:
            x = up(x, scales.pop())
        return x

    def unfolded(self, folded: Tensor) -> Tensor:
        """folded: B x channels[0] x H x W / fold. Output: (B * H * W) x head."""
        return self.unfold(folded).permute(0, 2, 3, 1).reshape(-1, self.config.head)

    def label(self, cells: Tensor, cell: Tensor, features: Tensor) -> Tensor:
        """cells: (B * H * W) x head. cell: M. features: F x M. Output: classes x M."""
        return self.score(self.hidden(cells, cell, features))

    def hidden(self, cells: Tensor, cell: Tensor, features: Tensor) -> Tensor:
        """cells: (B * H * W) x head. cell: M. features: F x M. Output: M x head, of points."""
        seen = cells.index_select(0, cell)
        own = self.own(features.t().to(seen.dtype))
        return rectify(own.add_(self.look(seen)))

    def score(self, hidden: Tensor) -> Tensor:
        """hidden: M x head. Output: classes x M, logits."""
        return torch.addmm(self.classify.bias[:, None], self.classify.weight, hidden.t())

    @property
    def dtype(self) -> torch.dtype:
        """Return the number format of the weights."""
        return self.classify.weight.dtype


def open_point_network(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> PointNetwork:
    """
    Return the network of a checkpoint of kind 'point', float32, on the CPU.

    Parameters
    ----------
    checkpoint
        What was loaded.
    path
        Its file, for the error message.

    Raises
    ------
    CheckpointError
        If the configuration or the weights do not fit.

    """
    config = load_config(PointNetworkConfig, checkpoint.network, path)
    network = PointNetwork(config, len(checkpoint.classes))
    load_weights(network, checkpoint, path)
    return network
