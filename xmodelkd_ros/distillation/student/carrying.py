"""
Labels carried along the poses of a drive, to points that no camera sees in their own sweep.

Every row of a view is a vote of the teacher: its probabilities. A point's own votes are averaged
over its views. The averages of points at rest are gathered by voxels of the drive's static map,
at one or several sizes, and each sweep reads back what the finest voxel with votes says where its
points are. Points that move neither vote there nor read there; they keep their own votes. The map
goes along with a long drive, so that memory holds a few stretches of keyframes, not the drive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
import dataclasses
import itertools

import numpy as np

from ..records import CLASS_COUNT, DistillationFrame, FrameSource
from ...geometry.transforms import transform_points

_BITS, _HEIGHT_BITS = 20, 12
"""
Of a voxel's number along x and y, and along z: 2^20 voxels of 0.1 m are 105 km, 2^12 are 410 m.

They leave room for 2048 segments.
"""

STRETCH = 250
"""Keyframes of which votes are kept together; they are carried to the next stretch and back."""

_APART = 64
"""Maps of single frames that are held before they are merged."""


@dataclasses.dataclass(frozen=True)
class VoteMap:
    """
    Votes by voxel.

    Parameters
    ----------
    key
        (K,) int64, ascending, see `voxel_keys`.
    votes
        (K, 16) float32 sums over points of their probabilities for the ids 1 to 16.

    """

    key: np.ndarray
    votes: np.ndarray

    def look_up(self, key: np.ndarray) -> np.ndarray:
        """Return the votes (N, 16) of voxels by key (N,), zeros of those without."""
        if len(self.key) == 0:
            return np.zeros((len(key), CLASS_COUNT), np.float32)
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where((self.key[place] == key)[:, None], self.votes[place], np.float32(0))


def own_labels(frame: DistillationFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return label (N,) uint16 and confidence (N,) float32 by the votes of the own views."""
    return labels_from_votes(frame.probability)


VoteMaps = dict[float, VoteMap]
"""By the size of the voxels, m."""


def vote_maps(
    drive: FrameSource, voxels: Sequence[float], look: Callable[[], None] = lambda: None
) -> Iterator[VoteMaps]:
    """
    Yield for each frame of a drive the votes of all points at rest around it.

    Frames without a pose have no part in them; `look` is called for each frame once.
    """
    stretches = [
        range(first, min(first + STRETCH, len(drive))) for first in range(0, len(drive), STRETCH)]
    votes = (_votes_of(drive, frames, voxels, look) for frames in stretches)
    near = deque(itertools.islice(votes, 1), maxlen=3)
    for frames in stretches:
        near.extend(itertools.islice(votes, 1))
        around = {size: _merged([maps[size] for maps in near]) for size in voxels}
        yield from itertools.repeat(around, len(frames))


def _votes_of(
    drive: FrameSource, frames: range, voxels: Sequence[float], look: Callable[[], None]
) -> VoteMaps:
    parts: dict[float, list[VoteMap]] = {size: [] for size in voxels}
    for index in frames:
        _add_votes(parts, drive.frame(index))
        look()
    return {size: _merged(found) for size, found in parts.items()}


def _add_votes(parts: dict[float, list[VoteMap]], frame: DistillationFrame) -> None:
    if frame.fixed_from_lidar is None:
        return
    votes = frame.probability
    at_rest = votes.any(1) & _is_static(frame)
    for size, found in parts.items():
        key = voxel_keys(frame, size)[at_rest]
        found.append(_gathered(key, votes[at_rest]))
        if len(found) == _APART:  # a long drive's would fill the memory
            found[:] = [_merged(found)]


def read_votes(frame: DistillationFrame, maps: VoteMaps) -> np.ndarray:
    """Return the votes (N, 16) float32 for a frame's points; zeros where there are none."""
    own = frame.probability
    if frame.fixed_from_lidar is None:
        return own
    votes, static = np.zeros_like(own), _is_static(frame)
    missing = static.copy()
    for size, votes_by_voxel in maps.items():
        rows = np.flatnonzero(missing)
        votes[rows] = votes_by_voxel.look_up(voxel_keys(frame, size)[rows])
        missing[rows] = ~votes[rows].any(1)
    votes[~static] = own[~static]
    return votes


def labels_from_votes(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return label and confidence of votes.

    Parameters
    ----------
    votes
        (N, 16) float32 for the ids 1 to 16: probabilities or sums of them.

    Returns
    -------
    label : np.ndarray
        (N,) uint16, 0 without votes.
    confidence : np.ndarray
        (N,) float32 share of the votes that the label has, 0 without.

    """
    best, total = votes.argmax(1), votes.sum(1)
    share = votes[np.arange(len(votes)), best] / np.maximum(total, np.float32(1e-12))
    return np.where(total > 0, best + 1, 0).astype(np.uint16), share


def voxel_keys(frame: DistillationFrame, size: float) -> np.ndarray:
    """
    Return (N,) int64 keys that points in one voxel of a segment's fixed frame share.

    Points that are not finite, or farther than the keys reach, share keys of no meaning.
    """
    assert frame.fixed_from_lidar is not None
    points = transform_points(frame.fixed_from_lidar, frame.points_at_stamp.astype(np.float64))
    with np.errstate(invalid='ignore'):
        cell = np.floor(np.nan_to_num(points, posinf=0, neginf=0) / size).astype(np.int64)
    bits = np.array([_BITS, _BITS, _HEIGHT_BITS])
    x, y, z = (cell & ((1 << bits) - 1)).T
    return ((np.int64(frame.segment) << _BITS | x) << _BITS | y) << _HEIGHT_BITS | z


def _is_static(frame: DistillationFrame) -> np.ndarray:
    """Return (N,) bool: finite and not found to move."""
    finite = np.isfinite(frame.cloud.points).all(1)
    return finite if frame.moving is None else finite & ~frame.moving


def _gathered(key: np.ndarray, votes: np.ndarray) -> VoteMap:
    """Sum votes by key."""
    if len(key) == 0:
        return VoteMap(key, votes)
    order = np.argsort(key, kind='stable')
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=key[0] - 1))
    return VoteMap(key[first], np.add.reduceat(votes[order], first))


def _merged(parts: Sequence[VoteMap]) -> VoteMap:
    if not parts:
        return VoteMap(np.zeros(0, np.int64), np.zeros((0, CLASS_COUNT), np.float32))
    return _gathered(
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.votes for part in parts]))
