"""Several looks at a picture, by other networks, at other scales or mirrored, made one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

_LEAST = 1e-8


def average_maps(maps: Sequence[Tensor]) -> Tensor:
    """Return the mean of maps, B x C x h x w of any sizes, at the largest size."""
    first, *rest = _same_size(maps)
    return sum(rest, first) / len(maps)


def average_logits(logits: Sequence[Tensor]) -> Tensor:
    """
    Return the logarithm of the mean probability, at the largest size; a single one as it is.

    Parameters
    ----------
    logits
        Each B x C x h x w, of any sizes.

    """
    if len(logits) == 1:
        return logits[0]
    return average_maps([x.softmax(1) for x in logits]).clamp(min=_LEAST).log()


def _same_size(maps: Sequence[Tensor]) -> list[Tensor]:
    """Return maps, B x C x h x w of any sizes, all at the size of the largest."""
    size = max((x.shape[2:] for x in maps), key=lambda shape: shape[0] * shape[1])
    return [
        x if x.shape[2:] == size else functional.interpolate(x, size, mode='bilinear')
        for x in maps
    ]
