"""
Query filtering and association (QFA): which query of the teacher teaches which of the student.

The published system 'filters irrelevant queries to exact instances'; how is not known to us, so
this is our reconstruction. Filter: of the teacher's queries those stay that stand for an
instance, by a bipartite matching with the truth. Without truth the teacher's tracks are taken for
it, where their score and the agreement of their masks over time can be believed. Associate: in
each frame a query of the teacher is paired with the student's query of the same instance; what
has no partner on the other side is dropped.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ...config import setting
from ...inference.assignment import associate


@dataclasses.dataclass(frozen=True)
class QueryFilterConfig:
    """Which queries stand for an instance."""

    max_cost: float = setting(5.5, 'a pair of a higher cost, of 8 at most, is none', low=0.0)
    min_score: float = setting(
        0.4, 'without truth: least mean score of a track of the teacher', low=0.0, high=1.0)
    min_agreement: float = setting(
        0.5, 'without truth: least agreement of its masks over time', low=0.0, high=1.0)


def filter_by_truth(cost: torch.Tensor, max_cost: float) -> torch.Tensor:
    """
    Return the query of each instance, at the least total cost; -1 for an instance without one.

    Parameters
    ----------
    cost
        (N, Q) of each pair.
    max_cost
        What an instance without a query costs.

    Returns
    -------
    torch.Tensor
        (N,) int64, no query twice.

    """
    return torch.from_numpy(associate(cost.cpu().numpy(), max_cost)).to(cost.device)


def filter_by_agreement(
    score: np.ndarray, agreement: np.ndarray, config: QueryFilterConfig
) -> np.ndarray:
    """
    Return which tracks of the teacher can be believed without truth, (K,) bool.

    Parameters
    ----------
    score, agreement
        (K,) in 0..1: means over the track.
    config
        What is believed.

    """
    return (score >= config.min_score) & (agreement >= config.min_agreement)


@torch.no_grad()
def mask_agreement(masks: torch.Tensor) -> torch.Tensor:
    """
    Return how alike the masks of each query are from frame to frame, 0..1.

    The mean over neighbouring frames, in both of which the query is seen, of the IoU of its masks
    moved onto one another (by their centroids): motion costs nothing, a change of shape does.

    Parameters
    ----------
    masks
        (L, Q, h, w) bool.

    Returns
    -------
    torch.Tensor
        (Q,) float32; 0 for a query never seen in neighbouring frames.

    """
    area = masks.sum((2, 3))  # L x Q
    height, width = masks.shape[2:]
    rows, columns = (torch.arange(n, device=masks.device) for n in (height, width))
    y = (masks.sum(3) * rows).sum(2).div(area.clamp(min=1)).round().long()
    x = (masks.sum(2) * columns).sum(2).div(area.clamp(min=1)).round().long()
    down = (rows + y[..., None] + (height + 1) // 2) % height  # L x Q x h
    across = (columns + x[..., None] + (width + 1) // 2) % width
    index = down[..., None] * width + across[..., None, :]
    moved = masks.flatten(2).gather(2, index.flatten(2))  # centroid in the middle
    shared = (moved[1:] & moved[:-1]).sum(2).float()
    union = (moved[1:] | moved[:-1]).sum(2).clamp(min=1)
    seen = (area[1:] > 0) & (area[:-1] > 0)
    return (shared / union * seen).sum(0) / seen.sum(0).clamp(min=1)


def associate_queries(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """
    Pair the queries of teacher and student that stand for the same instance in the same frame.

    Parameters
    ----------
    teacher
        (L, N) int64: the teacher's query of each instance in each frame, -1 for none.
    student
        (L, N) int64: the student's.

    Returns
    -------
    torch.Tensor
        (K, 3) int64: frame, query of the teacher, query of the student.

    """
    frame, instance = torch.nonzero((teacher >= 0) & (student >= 0), as_tuple=True)
    return torch.stack((frame, teacher[frame, instance], student[frame, instance]), 1)


def rank_pairs(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """
    Pair queries by their rank alone: plain distillation, with neither filter nor association.

    Parameters
    ----------
    teacher
        (L, N) scores.
    student
        (L, Q) scores.

    Returns
    -------
    torch.Tensor
        (K, 3) int64, as of `associate_queries`.

    """
    count = min(teacher.shape[1], student.shape[1])
    ranked = [
        scores.argsort(dim=1, descending=True, stable=True)[:, :count]
        for scores in (teacher, student)
    ]
    frame = torch.arange(len(teacher), device=teacher.device)[:, None].expand(-1, count)
    return torch.stack((frame, *ranked), 2).flatten(0, 1)
