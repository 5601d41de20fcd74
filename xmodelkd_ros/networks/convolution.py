"""
The convolutions of both segmenters: with what is added to them, and their place among numbers.

A residual sum is an argument of the convolution before it, and `Entry` and `Exit` mark where
numbers become features and features numbers: so `integers` can put layers of 8 bits in their
place, and the networks need not know.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn, Tensor
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .activation import rectify

N = TypeVar('N', bound=nn.Module)


class ConvNorm(nn.Module):
    """
    Convolution, batch norm, a sum and a ReLU, the last two where they are wanted.

    Parameters
    ----------
    inputs, outputs
        Channels.
    kernel, stride
        Of the convolution.
    relu
        Whether what is below 0 becomes 0.
    momentum
        Of the batch norm.

    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, momentum=momentum)
        self.relu = relu

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """
        Return the features; `add` must not be used any more, its memory may hold them.

        x: B x C_in x H x W. add, output: B x C_out x H / stride x W / stride
        """
        y = self.norm(self.conv(x))
        if add is not None:
            y = y.add_(add)
        return rectify(y) if self.relu else y

    def fuse(self) -> None:
        """Fold the batch norm into the convolution, for inference."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = nn.Identity()


class PlainConv(nn.Conv2d):
    """
    A 1 x 1 convolution with bias, without a batch norm, and a sum where it is wanted.

    Parameters
    ----------
    inputs, outputs
        Channels.
    last
        Whether its output are numbers, for which no `Exit` is needed.

    """

    def __init__(self, inputs: int, outputs: int, last: bool = False) -> None:
        super().__init__(inputs, outputs, 1)
        self.last = last

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """x: B x C_in x H x W. add, output: B x C_out x H x W; `add` is not used any more."""
        y = super().forward(x)
        return y if add is None else y.add_(add)


class Entry(nn.Identity):
    """Where numbers enter the convolutions: x, any shape, floating."""


class Exit(nn.Module):
    """Where features leave the convolutions as numbers."""

    def forward(self, x: Tensor, whole: Tensor) -> Tensor:
        """x: any shape, a part of `whole`, the output of a layer. Output: x as numbers."""
        return x


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """x: B x C x h x w. like: B x D x H x W. Output: B x C x H x W, by the nearest cells."""
    return functional.interpolate(x, like.shape[2:], mode='nearest')


def fuse(network: N) -> N:
    """Fold all batch norms for inference and return the network; it cannot be trained after."""
    for module in network.eval().modules():
        if isinstance(module, ConvNorm):
            module.fuse()
    return network
