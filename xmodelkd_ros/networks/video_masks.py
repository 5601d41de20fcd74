"""What the video segmenter's network says about queries and cells, and the masks of the two."""

from __future__ import annotations

from typing import NamedTuple

import torch


class QueryOutput(NamedTuple):
    """
    What the network says about each query.

    class_logits B x Q x C; embedding B x Q x E, unit length; center and log_size B x Q x 2 (x, y)
    in cells of the heat map; kernel B x Q x (K + 1), the last the bias; peak B x Q x 2, the cell
    of the heat map that the query came from.
    """

    class_logits: torch.Tensor
    embedding: torch.Tensor
    center: torch.Tensor
    log_size: torch.Tensor
    kernel: torch.Tensor
    peak: torch.Tensor


class PixelOutput(NamedTuple):
    """
    What the network says about each cell.

    heat B x C x h x w logits at 1/4 of the input; features B x K x H x W and votes B x 2 x H x W
    on the mask grid, at 1 / `mask_stride`: a vote is where the cell thinks that the middle of its
    instance lies (x, y), in cells of the heat map.
    """

    heat: torch.Tensor
    features: torch.Tensor
    votes: torch.Tensor


def mask_logits(queries: QueryOutput, pixels: PixelOutput) -> torch.Tensor:
    """
    Return the mask logits of the queries.

    logit(cell) = k . f(cell) + b - 3 (sqrt(1 + |(vote(cell) - center) / size|^2) - 1)

    Returns
    -------
    torch.Tensor
        B x Q x H x W float32, on the mask grid.

    """
    x, y = pixels.votes.flatten(2).unbind(1)  # B x P each
    inverse = torch.exp(-2 * queries.log_size)  # B x Q x 2
    center = queries.center
    constant = 1 + (inverse * center**2).sum(-1, keepdim=True)
    square = torch.cat((constant, -2 * inverse * center, inverse), -1)  # of 1, x, y, x^2, y^2
    features = pixels.features.flatten(2)  # B x K x P
    kernel, bias = queries.kernel.to(features.dtype).split((features.shape[1], 1), 2)
    with torch.autocast(x.device.type, enabled=False):  # large numbers that nearly cancel
        distance = square @ torch.stack((torch.ones_like(x), x, y, x * x, y * y), 1)  # B x Q x P
        root = distance.clamp_(min=1).sqrt_()
        logits = torch.sub(torch.baddbmm(bias + 3, kernel, features), root, alpha=3)
    return logits.unflatten(-1, pixels.votes.shape[-2:])


def mask_logits_at(
    queries: QueryOutput, pixels: PixelOutput, index: torch.Tensor
) -> torch.Tensor:
    """
    Return the mask logits of queries in some cells only, each query its own.

    Parameters
    ----------
    queries
        Q of each of B images.
    pixels
        Of the B images.
    index
        (B, Q, P) int64: y * W + x of P cells of the mask grid.

    Returns
    -------
    torch.Tensor
        B x Q x P float32.

    """
    cells = torch.cat((pixels.features, pixels.votes), 1).flatten(2).transpose(1, 2)  # B x HW x C
    first = cells.shape[1] * torch.arange(len(index), device=index.device)[:, None, None]
    rows = cells.flatten(0, 1).index_select(0, (index + first).flatten())  # fast backwards, too
    features, votes = rows.unflatten(0, index.shape).split((pixels.features.shape[1], 2), 3)
    away = (votes - queries.center[:, :, None]) * torch.exp(-queries.log_size[:, :, None])
    product = (features @ queries.kernel[:, :, :-1, None]).squeeze(3) + queries.kernel[:, :, -1:]
    return product - 3 * (torch.sqrt(1 + away.square().sum(3)) - 1)


def select_queries(queries: QueryOutput, first: int, last: int | None = None) -> QueryOutput:
    """Return the queries from index `first` up to `last`."""
    return QueryOutput(*(value[:, first:last] for value in queries))
