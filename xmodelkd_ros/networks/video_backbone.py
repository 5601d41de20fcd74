"""
Image backbone and feature pyramid of the video segmenter: plain 3 x 3 convolutions.

A residual network (He et al., CVPR 2016) with a top-down pyramid (Lin et al., CVPR 2017). Widths
are multiples of 32 and there is nothing but dense convolutions, because that is what CPUs with
bf16 matrix units and GPUs are fastest at: depthwise convolutions have fewer operations and take
longer. The first one sees 4 x 4 pixels as one cell of 48 channels, since elementwise work at full
and half resolution would cost more than all the rest. Batch norm folds into the convolutions for
inference.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from .convolution import ConvNorm, enlarge, Entry, PlainConv

STRIDE = 4
"""Input pixels per cell of the finest features and of heat maps."""


class ResidualBlock(nn.Module):
    """
    Two 3 x 3 convolutions beside a shortcut.

    x: B x C_in x H x W. Output: B x C_out x H/stride x W/stride
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvNorm(inputs, outputs, 1, stride, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x), self.shortcut(x))


class Pyramid(nn.Module):
    """
    Backbone and top-down pyramid.

    Parameters
    ----------
    widths
        Channels at 1/4, 1/8, 1/16 and 1/32 of the input.
    blocks
        Residual blocks at each of them.
    fine, coarse
        Channels of the outputs at 1/4, and at 1/8 and 1/16.

    """

    def __init__(
        self, widths: Sequence[int], blocks: Sequence[int], fine: int, coarse: int
    ) -> None:
        super().__init__()
        self.entry = Entry()
        self.stem = ConvNorm(3 * STRIDE**2, widths[0])
        self.stages = nn.ModuleList()
        inputs = widths[0]
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            strides = [1 if level == 0 else 2] + [1] * (count - 1)
            sizes = [inputs] + [width] * (count - 1)
            self.stages.append(
                nn.Sequential(
                    *(ResidualBlock(c, width, s) for c, s in zip(sizes, strides, strict=True))
                )
            )
            inputs = width
        outputs = (fine, coarse, coarse, coarse)
        self.laterals = nn.ModuleList(
            PlainConv(width, output) for width, output in zip(widths, outputs, strict=True)
        )
        self.smooth = nn.ModuleList((ConvNorm(coarse, coarse), ConvNorm(coarse, coarse)))
        self.narrow = PlainConv(coarse, fine)
        self.refine = ConvNorm(fine, fine)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Return the features at 1/4, 1/8 and 1/16.

        image: B x 3 x H x W, H and W multiples of 32.
        """
        x = self.stem(F.pixel_unshuffle(self.entry(image), STRIDE))  # B x C x H/4 x W/4
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        to_p2, to_p3, to_p4, to_p5 = self.laterals
        c2, c3, c4, c5 = features
        p4 = self.smooth[0](to_p4(c4, enlarge(to_p5(c5), c4)))  # B x C x H/16 x W/16
        p3 = self.smooth[1](to_p3(c3, enlarge(p4, c3)))  # B x C x H/8 x W/8
        p2 = self.refine(to_p2(c2, enlarge(self.narrow(p3), c2)))  # B x C x H/4 x W/4
        return p2, p3, p4
