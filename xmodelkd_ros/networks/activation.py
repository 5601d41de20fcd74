"""The activation of both segmenters, sooner on a CPU than that of torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def rectify(x: Tensor) -> Tensor:
    """
    Set what is below 0 to 0, in place, and return it: a ReLU.

    A bfloat16 is below 0 where its bits, read as an integer, are; a CPU clamps integers five
    times as fast. Gradients need the plain way.
    """
    if x.dtype != torch.bfloat16 or x.device.type != 'cpu' or torch.is_grad_enabled():
        return functional.relu(x, inplace=True)
    x.view(torch.int16).clamp_(min=0)
    return x
