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
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDE = 4
"""Input pixels per cell of the finest features and of heat maps."""


class ConvNorm(nn.Module):
    """
    Convolution, batch norm and (optionally) ReLU.

    x: B x C_in x H x W. Output: B x C_out x H/stride x W/stride
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x

    def fuse(self) -> None:
        """Fold the batch norm into the convolution; the module must be in evaluation mode."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class ResidualBlock(nn.Module):
    """
    Two 3 x 3 convolutions beside a shortcut.

    x: B x C_in x H x W. Output: B x C_out x H/stride x W/stride
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvNorm(inputs, outputs, 1, stride, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x), inplace=True)


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
            nn.Conv2d(width, output, 1) for width, output in zip(widths, outputs, strict=True)
        )
        self.smooth = nn.ModuleList((ConvNorm(coarse, coarse), ConvNorm(coarse, coarse)))
        self.narrow = nn.Conv2d(coarse, fine, 1)
        self.refine = ConvNorm(fine, fine)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Return the features at 1/4, 1/8 and 1/16.

        image: B x 3 x H x W, H and W multiples of 32.
        """
        x = self.stem(F.pixel_unshuffle(image, STRIDE))  # B x C x H/4 x W/4
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        c2, c3, c4, c5 = (
            lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)
        )
        p4 = self.smooth[0](c4 + _double(c5))  # B x C x H/16 x W/16
        p3 = self.smooth[1](c3 + _double(p4))  # B x C x H/8 x W/8
        p2 = self.refine(c2 + _double(self.narrow(p3)))  # B x C x H/4 x W/4
        return p2, p3, p4


def _double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2.0, mode='nearest')
