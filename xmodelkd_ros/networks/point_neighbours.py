"""Labels for points outside the sensor's profile: those of their nearest shown neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from .point_projection import RangeView

ROW_REACH = 2
COLUMN_REACH = 4


def nearest_shown(
    points: Tensor, view: RangeView, rows: int, columns: int, query: Tensor
) -> Tensor:
    """
    Return the shown point nearest to each query point, in a window around its pixel.

    Parameters
    ----------
    points
        (N, 3) float32, the sweep.
    view
        Its range view, of `rows` by `columns` pixels.
    rows, columns
        Size of the range view without margins.
    query
        (K,) int64: which points ask.

    Returns
    -------
    Tensor
        (K,) int64 index into `points`; the query itself where the window shows nothing.

    """
    device = points.device
    pixel = view.pixel.index_select(0, query)
    up = torch.arange(-ROW_REACH, ROW_REACH + 1, device=device)
    along = torch.arange(-COLUMN_REACH, COLUMN_REACH + 1, device=device)
    row = (pixel[:, None] // columns + up).clamp_(0, rows - 1)
    column = (pixel[:, None] % columns + along) % columns
    window = (row[:, :, None] * columns + column[:, None]).flatten(1)
    candidate = view.winner[window]
    padded = torch.cat([points, points.new_full((1, 3), torch.inf)])
    offset = padded[candidate] - points.index_select(0, query)[:, None]
    distance, place = offset.square().sum(2).min(1)
    found = candidate.gather(1, place[:, None])[:, 0]
    return torch.where(distance.isfinite(), found, query)
