"""The compute device of a predictor: its choice, its number format, and copies to and from it."""

from __future__ import annotations

from collections.abc import Callable
import contextlib

import numpy as np
import torch
from torch import nn, Tensor

from ..errors import DeviceError
from ..networks.convolution import fuse, N
from ..networks.integers import can_multiply_integers, IntegerConv, to_integers

PRECISIONS = ('auto', 'float')
"""Of convolutions: 8-bit integers on CPUs that have instructions for it, or floats everywhere."""


def select_device(name: str) -> torch.device:
    """
    Return the device a user asked for.

    Parameters
    ----------
    name
        'cpu', 'cuda', 'cuda:1', ..., or 'auto': CUDA where it is there, else the CPU.

    Raises
    ------
    DeviceError
        If the device is unknown or not there.

    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f'device = {name!r} is unknown: cpu, cuda, cuda:<n> or auto') from error
    if device.type not in ('cpu', 'cuda'):
        raise DeviceError(f'device = {name!r} is not supported: cpu, cuda, cuda:<n> or auto')
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == 'cuda' and (device.index or 0) >= count:
        raise DeviceError(f'device = {name!r} is not there: {count} CUDA devices are, use cpu')
    return device


def compute_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device multiplies it in hardware, else float32."""
    if device.type == 'cuda':
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    supported = getattr(torch.cpu, '_is_avx512_bf16_supported', lambda: False)
    return torch.bfloat16 if supported() else torch.float32


def place_network(
    network: N, device: torch.device, precision: str = 'float',
    run: Callable[[], object] | None = None,
) -> N:
    """
    Make a network ready for inference on a device.

    Parameters
    ----------
    network
        Float32, on the CPU. It is changed.
    device
        Where it is to be.
    precision
        One of `PRECISIONS`.
    run
        Runs it on random numbers over the whole range of its input; without it there are no
        integers.

    Returns
    -------
    nn.Module
        The network: fused, in `compute_dtype`, channels last.

    Raises
    ------
    DeviceError
        If the precision is another.

    """
    if precision not in PRECISIONS:
        raise DeviceError(f'precision = {precision!r} is unknown: {" or ".join(PRECISIONS)}')
    dtype = compute_dtype(device)
    if run and device.type == 'cpu' and precision == 'auto' and can_multiply_integers():
        to_integers(network, run, dtype)
    else:
        fuse(network)
    network.to(device, dtype)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def arithmetic(network: nn.Module) -> str:
    """Return in what a placed network convolves: int8, bfloat16, float16 or float32."""
    if any(isinstance(module, IntegerConv) for module in network.modules()):
        return 'int8'
    return str(next(network.parameters()).dtype).removeprefix('torch.')


def autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context in which networks run on `device`: autocast to `compute_dtype`."""
    dtype = compute_dtype(device)
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """
    Copy an array to a device without waiting; on the CPU the tensor shares the array's memory.

    Parameters
    ----------
    array
        Any shape; made contiguous where it is not.
    device
        Where the tensor is to live.

    """
    array = np.ascontiguousarray(array)
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    if device.type != 'cuda':
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def download(*tensors: Tensor) -> list[np.ndarray]:
    """
    Copy tensors to the host, waiting for the device once for all of them.

    On the CPU an array shares its tensor's memory.
    """
    copies = [t.detach().to('cpu', non_blocking=t.device.type == 'cuda') for t in tensors]
    for device in {t.device for t in tensors if t.device.type == 'cuda'}:
        torch.cuda.current_stream(device).synchronize()
    return [copy.numpy() for copy in copies]
