"""
Things in sweeps: vehicles and people as groups of labelled points that stand apart.

Our reconstruction of the first step of '3D teaches 2D': the labels of a point segmenter say what
is a thing, and the ground between things, which has another label, says where one ends.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...config import setting
from ...errors import needed
from ...geometry.boxes import points_in_boxes
from ...inference.boxes import fit_box, GAP, GAP_GROWTH
from ...inference.painting import SUITS
from ...labels import ALL_CLASSES, ID_BY_NAME, IS_THING, THING_CLASSES
from ...records import PointLabels

CELL = 0.1
"""Points are thinned to one for each cell of this size before they are linked, m."""

MARGIN = 0.2
"""A thing's box is so much longer, wider and higher than its points, m."""
TOP = 0.6
"""What is nearer to the highest beams than this may go on above them, deg."""

_GROUND = [ID_BY_NAME[name] for name in ('road', 'sidewalk', 'terrain')]
_THING_IDS = np.array([row.id for row in THING_CLASSES])


@dataclasses.dataclass(frozen=True)
class ThingConfig:
    """How labelled points become things."""

    gap: float = setting(
        GAP, 'points this near to one another, seen from above, are of one thing', unit='m',
        low=0.05, high=5.0)
    gap_growth: float = setting(
        GAP_GROWTH, 'how much the gap grows with each metre of range', unit='m/m', low=0.0,
        high=0.1)
    farthest: float = setting(
        60.0, 'things beyond this range are left out', unit='m', low=1.0, high=300.0)
    min_points: int = setting(8, 'a thing of fewer points is left out', low=3, high=1000)
    min_confidence: float = setting(
        0.4, 'points labelled with less confidence are left out', low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True)
class Things:
    """
    The K things of a sweep.

    Parameters
    ----------
    index
        (M,) int32 rows of the cloud that are of a thing, increasing.
    thing
        (M,) int16 which thing each is of, 0 to K - 1.
    votes
        (K, C) int64 points of each thing class id in each thing.
    low, high
        (K, 3) float32 corners of the box along the axes of the lidar frame, m.
    cut
        (K,) bool: reaches the highest beam, so that it may go on above.

    """

    index: np.ndarray
    thing: np.ndarray
    votes: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.votes)

    def plausible(self) -> np.ndarray:
        """Return (K,) bool: whether each is as large as a thing of its kind may be."""
        extent = self.high - self.low
        length, height = np.hypot(extent[:, 0], extent[:, 1]), extent[:, 2]
        person = SUITS[ID_BY_NAME['person']][self.votes.argmax(1)]
        shortest, longest = np.where(person, 0.2, 1.0), np.where(person, 3.0, 25.0)
        return (length >= shortest) & (length <= longest) & (height >= 0.5) & (height <= 5.0)


def find_things(
    points: np.ndarray, labels: PointLabels, config: ThingConfig = ThingConfig()
) -> Things:
    """
    Group the points of things.

    Points of like classes (vehicles; people and bicycles) are of one thing if a chain of points
    links them whose steps, seen from above, are shorter than the gap at their range. Steps are
    measured between the first points of cells of 0.1 m.

    Parameters
    ----------
    points
        (N, 3) float32, lidar frame, m; rows may be NaN or infinite.
    labels
        Label and confidence of each point.
    config
        What links points, and which things count.

    """
    with np.errstate(invalid='ignore'):
        reach = np.linalg.norm(points[:, :2], axis=1)
        wanted = IS_THING[labels.label] & (reach < config.farthest)
    wanted &= (labels.confidence >= config.min_confidence) & np.isfinite(points).all(1)
    index = np.flatnonzero(wanted)
    kind = SUITS[_THING_IDS][:, labels.label[index]].argmax(0)
    group = _linked(points[index, :2], reach[index], kind, config)
    index, group = _enough(index, group, labels.label, config.min_points)
    index, group = _claim(points, labels.label, index, group)
    index, group = _enough(index, group, labels.label, config.min_points)
    return _summarise(index, group, points, labels.label)


def _linked(
    place: np.ndarray, reach: np.ndarray, kind: np.ndarray, config: ThingConfig
) -> np.ndarray:
    """Return (M,) the group of each point: place (M, 2) m, range (M,) m, kind (M,)."""
    with needed('group the points of things'):
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
        from scipy.spatial import cKDTree
    cells = np.column_stack((np.floor(place / CELL), kind)).astype(np.int64)
    _, first, cell = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    place, kind = place[first], kind[first]
    gap = config.gap + config.gap_growth * reach[first]
    pairs = cKDTree(place).query_pairs(float(gap.max(initial=0)), output_type='ndarray')
    one, other = pairs.T
    near = np.linalg.norm(place[one] - place[other], axis=1) <= np.minimum(gap[one], gap[other])
    near &= kind[one] == kind[other]
    links = coo_array((near[near], (one[near], other[near])), (len(first), len(first)))
    return connected_components(links, directed=False)[1][cell.reshape(-1)]


def _enough(
    index: np.ndarray, group: np.ndarray, label: np.ndarray, fewest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the groups with at least `fewest` points labelled as things, numbered from 0."""
    enough = np.bincount(group, IS_THING[label[index]]) >= fewest
    kept = enough[group]
    return index[kept], (np.cumsum(enough) - 1)[group[kept]]


def _claim(
    points: np.ndarray, label: np.ndarray, index: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Let each group have all that stands inside its box, the largest groups first.

    So panes, loads and parts with a stray label go to the vehicle that they are part of.
    """
    if not len(group):
        return index, group
    size = np.bincount(group)
    rank = np.argsort(-size, kind='stable')
    boxes = [fit_box(points[index[group == one]]) for one in rank]
    box = np.array(boxes, np.float32).reshape(-1, 7)
    standing = np.flatnonzero(~np.isin(label, _GROUND) & np.isfinite(points).all(1))
    inside = points_in_boxes(points[standing], box[:, :3], box[:, 3:6] + MARGIN, box[:, 6])
    claimed = inside.any(0)
    return standing[claimed], rank[inside.argmax(0)[claimed]]


def _summarise(
    index: np.ndarray, thing: np.ndarray, points: np.ndarray, label: np.ndarray
) -> Things:
    count = int(thing.max(initial=-1)) + 1
    votes = np.zeros((count, len(ALL_CLASSES)), np.int64)
    np.add.at(votes, (thing, label[index]), 1)
    votes[:, ~IS_THING[:len(ALL_CLASSES)]] = 0
    low, high = np.full((count, 3), np.inf, np.float32), np.full((count, 3), -np.inf, np.float32)
    np.minimum.at(low, thing, points[index])
    np.maximum.at(high, thing, points[index])
    cut = _reach_top(index, thing, points, count)
    return Things(index.astype(np.int32), thing.astype(np.int16), votes, low, high, cut)


def _reach_top(
    index: np.ndarray, thing: np.ndarray, points: np.ndarray, count: int
) -> np.ndarray:
    """Return (K,) bool: whether a point of the thing is among those of the highest beams."""
    finite = np.isfinite(points).all(1)
    rise = np.arctan2(points[:, 2], np.linalg.norm(points[:, :2], axis=1))
    top = np.quantile(rise[finite], 0.999) if finite.any() else 0.0
    highest = np.full(count, -np.inf)
    np.maximum.at(highest, thing, rise[index])
    return highest > top - np.radians(TOP)
