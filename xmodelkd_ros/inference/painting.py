"""
Instances painted on points: which points of a track's mask are really the track's.

Our own rule, against masks that bleed onto what lies behind them. A point takes a track's id if
the mask covers its pixel (geometry's pairing has already dropped what is occluded), if its label
suits the class of the track, and if it is in the track's largest group of points that follow one
another in depth without a gap.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

import numpy as np

from ..config import setting
from ..geometry.pairing import Pairing, sample_nearest
from ..labels import ALL_CLASSES, ID_BY_NAME
from ..records import PointLabels, Tracks

_ALIKE = (('car', 'truck', 'bus'), ('person', 'rider', 'bicycle'))


@dataclasses.dataclass(frozen=True)
class PaintingConfig:
    """How instances are painted on points."""

    depth_gap: float = setting(
        1.0, 'a larger gap in depth separates a track from what is behind it', unit='m', low=0.0)
    depth_gap_growth: float = setting(
        0.03, 'how much the gap grows with each metre of depth', unit='m/m', low=0.0, high=1.0)


def _suiting() -> np.ndarray:
    """Return (C, C) bool: whether a point of label [column] can be of a track of class [row]."""
    suits = np.eye(len(ALL_CLASSES), dtype=bool)
    suits[:, 0] = True
    for names in _ALIKE:
        ids = [ID_BY_NAME[name] for name in names]
        suits[np.ix_(ids, ids)] = True
    return suits


SUITS = _suiting()
"""(C, C) bool by class of the track and label of the point; an unlabelled point suits all."""


def paint(
    views: Iterable[tuple[Tracks, Pairing]], labels: PointLabels, config: PaintingConfig
) -> np.ndarray:
    """
    Return the track id of each point.

    Parameters
    ----------
    views
        Tracks and pairing of each camera; a point that two cameras see takes the id of the
        first that gives it one.
    labels
        Labels of the N points of the cloud.
    config
        The depth gate.

    Returns
    -------
    np.ndarray
        (N,) uint16, 0 none.

    """
    instance = np.zeros(len(labels.label), np.uint16)
    for tracks, pairing in views:
        painted = sample_nearest(tracks.id_map, pairing)
        rows = np.flatnonzero(painted)
        rows = rows[_suits(painted[rows], tracks, labels.label[pairing.index[rows]])]
        rows = rows[largest_groups(painted[rows], pairing.depth[rows], config)]
        rows = rows[instance[pairing.index[rows]] == 0]
        instance[pairing.index[rows]] = painted[rows]
    return instance


def _suits(track_id: np.ndarray, tracks: Tracks, label: np.ndarray) -> np.ndarray:
    """Return (M,) bool: whether each point's label suits the class of the track it is under."""
    class_of_track = np.zeros(int(track_id.max(initial=0)) + 1, np.uint16)
    known = tracks.track_id < len(class_of_track)
    class_of_track[tracks.track_id[known]] = tracks.class_id[known]
    return SUITS[class_of_track[track_id], label]


def largest_groups(
    track_id: np.ndarray, depth: np.ndarray, config: PaintingConfig
) -> np.ndarray:
    """
    Return which points are in the largest group of their track; the nearer of equal ones.

    Parameters
    ----------
    track_id
        (M,) uint16.
    depth
        (M,) float32, m. Points of a track whose depths differ by less than the gap, directly
        or through others in between, are of one group.
    config
        The gap and its growth with depth.

    Returns
    -------
    np.ndarray
        (M,) bool.

    """
    if len(track_id) == 0:
        return np.zeros(0, bool)
    order = np.lexsort((depth, track_id))
    track, sorted_depth = track_id[order], depth[order]
    allowed = config.depth_gap + config.depth_gap_growth * sorted_depth[:-1]
    starts = np.ones(len(order), bool)
    starts[1:] = (track[1:] != track[:-1]) | (np.diff(sorted_depth) > allowed)
    group = np.cumsum(starts) - 1
    size, track_of_group = np.bincount(group), track[starts]
    by_size = np.lexsort((np.arange(len(size)), -size, track_of_group))
    first = np.ones(len(size), bool)
    first[1:] = track_of_group[by_size][1:] != track_of_group[by_size][:-1]
    kept = np.zeros(len(size), bool)
    kept[by_size[first]] = True
    inside = np.zeros(len(order), bool)
    inside[order] = kept[group]
    return inside
