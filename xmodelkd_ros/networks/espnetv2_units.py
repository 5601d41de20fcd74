"""The units that ESPNetv2 is made of (Mehta et al., CVPR 2019)."""

from __future__ import annotations

import math

import torch
from torch import nn, Tensor
from torch.nn import functional

BRANCHES = 4
"""Dilated convolutions of an EESP unit, and groups of its other two."""

_POOLS = (2.0, 1.5, 1.0, 0.5, 0.1)
_SMALLEST_POOL = 5


def _convolve(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    padding = kernel // 2 * dilation
    return nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False)


def norm_act(channels: int) -> nn.Sequential:
    """Return batch norm and PReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))


def _conv_norm(channels: int, out: int, kernel: int, groups: int = 1) -> nn.Sequential:
    convolution = _convolve(channels, out, kernel, groups=groups)
    return nn.Sequential(convolution, nn.BatchNorm2d(out))


def conv_norm_act(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution without bias, batch norm and PReLU."""
    convolution = _convolve(channels, out, kernel, stride, groups)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.PReLU(out))


class Eesp(nn.Module):
    """
    Extremely efficient spatial pyramid of depth-wise dilated convolutions (section 3.1).

    x: B x C_in x H x W. Output: B x C_out x H / stride x W / stride
    """

    def __init__(
        self, channels: int, out: int, dilations: tuple[int, ...], stride: int = 1
    ) -> None:
        super().__init__()
        inner, self.stride = out // BRANCHES, stride
        self.project = conv_norm_act(channels, inner, 1, groups=BRANCHES)
        self.branches = nn.ModuleList(
            _convolve(inner, inner, 3, stride, inner, dilation) for dilation in dilations
        )
        self.fused = norm_act(out)
        self.expand = _conv_norm(out, out, 1, groups=BRANCHES)
        self.act = nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        projected = self.project(x)
        found = [self.branches[0](projected)]
        for branch in self.branches[1:]:  # type: ignore[index]
            found.append(found[-1] + branch(projected))
        expanded = self.expand(self.fused(torch.cat(found, 1)))
        return expanded if self.stride > 1 else self.act(expanded + x)


class Down(nn.Module):
    """
    Strided EESP beside average pooling, reinforced by the picture itself (section 3.2).

    x: B x C_in x H x W. picture: B x 3 x k H x k W. Output: B x C_out x H / 2 x W / 2
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.eesp = Eesp(channels, out - channels, (1, 2, 3, 4), 2)
        self.reinforce = nn.Sequential(conv_norm_act(3, 3, 3), _conv_norm(3, out, 1))
        self.act = nn.PReLU(out)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        pooled = halve(x)
        while picture.shape[2] > pooled.shape[2]:
            picture = halve(picture)
        found = torch.cat([pooled, self.eesp(x)], 1)
        return self.act(found + self.reinforce(picture))


class Skip(nn.Module):
    """
    Bring the encoder's features to the decoder's width, weighted by their global mean.

    x: B x C_in x H x W. Output: B x C_out x H x W
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(channels, out, 1, bias=False)
        self.mix = conv_norm_act(channels, out, 3, groups=math.gcd(channels, out))

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.weigh(x.mean((2, 3), keepdim=True)))
        return self.mix(x) * weight


class Pyramid(nn.Module):
    """
    Depth-wise convolutions at five sizes of the features, merged channel by channel.

    x: B x C_in x H x W. Output: B x C_out x H x W; without norm it is the classifier.
    """

    def __init__(self, channels: int, inner: int, out: int, norm: bool = True) -> None:
        super().__init__()
        self.project = conv_norm_act(channels, inner, 1)
        self.stages = nn.ModuleList(_convolve(inner, inner, 3, groups=inner) for _ in _POOLS)
        self.fused = norm_act(len(_POOLS) * inner)
        self.merge = conv_norm_act(len(_POOLS) * inner, inner, 3, groups=inner)
        self.out = nn.Conv2d(inner, out, 1, bias=not norm)
        self.norm: nn.Module = norm_act(out) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x)
        pairs = zip(_POOLS, self.stages, strict=True)
        found = self.fused(torch.cat([_at_size(x, pool, stage) for pool, stage in pairs], 1))
        return self.norm(self.out(self.merge(_interleave(found, len(_POOLS)))))


def halve(x: Tensor) -> Tensor:
    """x: B x C x H x W. Output: B x C x H / 2 x W / 2, averaged."""
    return functional.avg_pool2d(x, 3, 2, 1)


def resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Resize as the published weights were trained: corner cells stay in the corners."""
    return functional.interpolate(x, size, mode='bilinear', align_corners=True)


def _at_size(x: Tensor, scale: float, stage: nn.Module) -> Tensor:
    """x: B x C x H x W. Output: the same shape, `stage` applied at `scale` times its size."""
    if scale == 1:
        return stage(x)
    size = (x.shape[2], x.shape[3])
    height, width = (max(_SMALLEST_POOL, math.ceil(n * scale)) for n in size)
    if scale < 1:
        return resize(stage(functional.adaptive_avg_pool2d(x, (height, width))), size)
    return functional.adaptive_avg_pool2d(stage(resize(x, (height, width))), size)


def _interleave(x: Tensor, groups: int) -> Tensor:
    """x: B x groups * C x H x W. Output: the same, channel c of each group side by side."""
    batch, channels, height, width = x.shape
    grouped = x.view(batch, groups, channels // groups, height, width)
    return grouped.transpose(1, 2).reshape(batch, channels, height, width)
