"""
Convolutions in 8-bit integers, for CPUs: twice as many products in an instruction as in bfloat16.

Weights have a scale for each output channel, the features of a layer have one scale and one zero.
These come from the weights alone, so any checkpoint will do and no data is needed (data-free
quantization: Nagel et al., ICCV 2019): random numbers go through the network, and batch norms
bring them to the means and deviations that they have learned. Real features have longer tails;
`MARGIN` is room for them, and what is beyond it is held at the end of the range. The input has
none: its random numbers are to reach as far as it does.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import NamedTuple

import torch
from torch import nn, Tensor

from .convolution import ConvNorm, Entry, Exit, fuse, N, PlainConv

MARGIN = 2.5
"""How far features may go, in multiples of the farthest that random numbers went."""


class Grid(NamedTuple):
    """The numbers that uint8 stands for: scale * (q - zero)."""

    scale: float
    zero: int


class IntegerConv(nn.Module):
    """
    A convolution of 8-bit features, with the sum and the ReLU after it in the same pass.

    Parameters
    ----------
    conv
        With its batch norm folded in, float32.
    relu
        Whether what is below 0 becomes 0.
    source, add, target
        Grids of the input, of what is added, and of the output; without the last the output are
        numbers.
    dtype
        Of these numbers.

    """

    def __init__(
        self, conv: nn.Conv2d, relu: bool, source: Grid, add: Grid, target: Grid | None,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        scale = conv.weight.abs().amax((1, 2, 3)).clamp(min=1e-12) / 127  # C_out
        weight = (conv.weight / scale[:, None, None, None]).round().to(torch.int8)
        self._shape = conv.stride, conv.padding, conv.dilation, conv.groups
        zeros = torch.zeros(len(scale), dtype=torch.int32)
        packed = torch.ops.onednn.qconv_prepack(weight, scale, *source, *self._shape)
        self._weights = packed, scale, zeros
        # Detached it is no parameter, and stays float32.
        self._bias = None if conv.bias is None else conv.bias.detach()
        self._source, self._add = source, add
        self._target = (*(target or Grid(1.0, 0)), torch.uint8 if target else dtype)
        self._relu = 'relu' if relu else 'none'

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """x: B x C_in x H x W uint8. add, output: B x C_out x h x w; `add` holds the output."""
        run = torch.ops.onednn.qconv2d_pointwise
        if add is None:
            return run(
                x, *self._source, *self._weights, self._bias, *self._shape, *self._target,
                self._relu, [], '')
        add = add.contiguous(memory_format=torch.channels_last)
        return run.binary(
            x, *self._source, *self._weights, add, self._bias, *self._shape, *self._target,
            *self._add, 'sum', 1.0, self._relu, [], '')


class IntegerEntry(nn.Module):
    """Numbers to uint8. x: any shape, floating. Output: the same shape."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """Numbers beyond the grid are held at its ends; uint8 is on the grid already."""
        if x.dtype == torch.uint8:
            return x
        x = torch.add(self.grid.zero, x, alpha=1 / self.grid.scale)
        return x.round_().clamp_(0, 255).to(torch.uint8)


class IntegerExit(nn.Module):
    """Features to numbers."""

    def __init__(self, grid: Grid, dtype: torch.dtype) -> None:
        super().__init__()
        self.grid, self.dtype = grid, dtype

    def forward(self, x: Tensor, whole: Tensor) -> Tensor:
        """x: any shape, uint8. Output: the same shape, of `dtype`: what `x` stands for."""
        return ((x.float() - self.grid.zero) * self.grid.scale).to(self.dtype)


def to_integers(network: N, run: Callable[[], object], dtype: torch.dtype) -> N:
    """
    Fuse a network and put integer layers in the place of its convolutions.

    Parameters
    ----------
    network
        Float32, on the CPU; its convolutions are `ConvNorm` and `PlainConv`. It is changed.
    run
        Runs it on random numbers over the whole range of its input.
    dtype
        Of the numbers that leave its convolutions.

    Returns
    -------
    nn.Module
        The network; what is no convolution is still float32.

    """
    grids = _observe(network, run)
    fuse(network)
    for name, layer_grids in grids.items():
        parent, _, child = name.rpartition('.')
        layer = _integer_layer(network.get_submodule(name), layer_grids, dtype)
        setattr(network.get_submodule(parent), child, layer)
    return network


def _integer_layer(
    layer: nn.Module, grids: tuple[Grid, Grid, Grid], dtype: torch.dtype
) -> nn.Module:
    """Return what stands for a layer; grids of its first and last input and of its output."""
    source, last, target = grids
    if isinstance(layer, ConvNorm):
        return IntegerConv(layer.conv, layer.relu, source, last, target, dtype)
    if isinstance(layer, PlainConv):
        return IntegerConv(layer, False, source, last, None if layer.last else target, dtype)
    return IntegerEntry(target) if isinstance(layer, Entry) else IntegerExit(last, dtype)


@torch.no_grad()
def _observe(
    network: nn.Module, run: Callable[[], object]
) -> dict[str, tuple[Grid, Grid, Grid]]:
    """Return by layer the grids of its first and last input and of its output."""
    grids: dict[str, tuple[Grid, Grid, Grid]] = {}

    def observe(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if isinstance(layer, Entry):
            output = output / MARGIN  # which its grid brings back
        grids[name] = _grid(inputs[0]), _grid(inputs[-1]), _grid(output)
        return output

    layers = (ConvNorm, PlainConv, Entry, Exit)
    hooks = [
        module.register_forward_hook(functools.partial(observe, name))
        for name, module in network.named_modules() if isinstance(module, layers)]
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 0.0
    run()
    for hook in hooks:
        hook.remove()
    return grids


def _grid(x: Tensor) -> Grid:
    low, high = (MARGIN * float(end) for end in x.aminmax())
    scale = max(max(high, 0.0) - min(low, 0.0), 1e-6) / 255
    return Grid(scale, round(-min(low, 0.0) / scale))


@functools.cache
def can_multiply_integers() -> bool:
    """Tell whether this CPU and this torch have the instructions for it, and they are right."""
    if not getattr(torch.cpu, '_is_vnni_supported', lambda: False)():
        return False
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(16, 16, 3, padding=1).requires_grad_(False)
    conv.weight.copy_(torch.randint(-127, 128, conv.weight.shape, generator=generator) / 127)
    grid = Grid(1 / 64, 128)
    x, add = torch.randint(0, 256, (2, 1, 16, 8, 8), generator=generator, dtype=torch.uint8)
    meant = conv((x - 128.0) / 64) + (add - 128.0) / 64
    try:
        layer = IntegerConv(conv, False, grid, grid, Grid(1 / 4, 128), torch.float32)
        found = (layer(x, add.clone()) - 128.0) / 4
    except (AttributeError, RuntimeError, TypeError):
        return False  # the operators belong to a torch of another version
    return bool(((found - meant).abs() <= 1 / 4).all())
