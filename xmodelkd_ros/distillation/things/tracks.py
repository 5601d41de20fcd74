"""Things of many sweeps become tracks: identity over time in the frame that does not move."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from .grouping import Things
from ...config import setting
from ...geometry.transforms import transform_points
from ...inference.assignment import associate
from ...inference.painting import SUITS
from ...labels import ALL_CLASSES


@dataclasses.dataclass(frozen=True)
class ThingTrackConfig:
    """How things are followed from sweep to sweep."""

    gate: float = setting(
        1.5, 'farthest from where it is expected that a thing is found', unit='m', low=0.1)
    speed: float = setting(
        20.0, 'fastest that a thing seen once may be', unit='m/s', low=0.0, high=100.0)
    response: float = setting(
        0.3, 'how fast the velocity follows what is seen, 1 at once', low=0.0, high=1.0)
    max_gap: float = setting(
        1.0, 'a thing unseen for longer is another one when it returns', unit='s', low=0.0)
    min_sights: int = setting(4, 'tracks of fewer sights are not trusted', low=1, high=1000)


@dataclasses.dataclass(frozen=True)
class ThingTracks:
    """
    The tracks of a drive.

    Parameters
    ----------
    track_id
        Of each sweep, (K,) uint16 track of each thing, 1 and up.
    class_id
        (T + 1,) uint16 class by track id: that of most of its points over time.
    sights
        (T + 1,) int64 number of sweeps by track id.

    """

    track_id: tuple[np.ndarray, ...]
    class_id: np.ndarray
    sights: np.ndarray


_SIZE_WEIGHT, _SIZE_RATIO = 0.5, 3.0
"""Of the logarithm of how much more points a thing has than its track: its cost, and the most."""

_CORNERS = np.array([(x, y, False) for x in (False, True) for y in (False, True)])


def track_things(
    sweeps: Sequence[Things],
    stamps: Sequence[int],
    poses: Sequence[np.ndarray] | np.ndarray,
    segments: Sequence[int] | np.ndarray,
    config: ThingTrackConfig = ThingTrackConfig(),
) -> ThingTracks:
    """
    Follow things by their place alone: constant velocity, one optimal assignment per sweep.

    Parameters
    ----------
    sweeps
        Things of each sweep.
    stamps
        Of the sweeps, ns, increasing.
    poses
        (4, 4) fixed_from_lidar of each sweep.
    segments
        Part of the drive that each sweep is of: nothing is followed from one to another.
    config
        How things are followed.

    """
    tracker = _Tracker(config)
    ids = []
    for things, stamp, pose, part in zip(sweeps, stamps, poses, segments, strict=True):
        tracker.enter(part)
        ids.append(tracker.update(things, _outlines(things, pose), stamp * 1e-9))
    return ThingTracks(
        tuple(ids), tracker.votes.argmax(1).astype(np.uint16), tracker.sights.copy())


def _outlines(things: Things, pose: np.ndarray) -> np.ndarray:
    """Return (K, 3, 2) low corner, middle and high corner in the fixed frame from above, m."""
    low, high = things.low[:, None], things.high[:, None]
    corners = np.where(_CORNERS, high, low)  # (K, 4, 3)
    moved = transform_points(pose, corners.reshape(-1, 3).astype(np.float64))
    moved = moved[:, :2].reshape(-1, len(_CORNERS), 2)
    low, high = moved.min(1), moved.max(1)
    return np.stack([low, 0.5 * (low + high), high], 1)


class _Tracker:
    """Row t is the state of track t; row 0 is nobody. Times are in s, places in m."""

    def __init__(self, config: ThingTrackConfig) -> None:
        self._config, self._part = config, 0
        self._place: np.ndarray = np.zeros((1, 3, 2))
        self._velocity: np.ndarray = np.zeros((1, 2))
        self._seen: np.ndarray = np.full(1, -np.inf)
        self._size: np.ndarray = np.ones(1)
        self.votes: np.ndarray = np.zeros((1, len(ALL_CLASSES)), np.int64)
        self.sights: np.ndarray = np.zeros(1, np.int64)

    def enter(self, part: int) -> None:
        """Forget where things are if this is another part of the drive."""
        if part != self._part:
            self._seen[:], self._part = -np.inf, part

    def update(self, things: Things, place: np.ndarray, now: float) -> np.ndarray:
        """Return (K,) uint16 track ids of the things of the next sweep."""
        living = np.flatnonzero(now - self._seen <= self._config.max_gap)
        column = associate(self._cost(things, place, now, living), 1 + _SIZE_WEIGHT * _SIZE_RATIO)
        track = np.where(column >= 0, living[column] if len(living) else 0, 0)
        self._move(track[track > 0], place[track > 0], now)
        born = np.flatnonzero(track == 0)
        track[born] = len(self._seen) + np.arange(len(born))
        self._grow(place[born], now)
        self._size[track] = things.votes.sum(1)
        self.votes[track] += things.votes
        self.sights[track] += 1
        return track.astype(np.uint16)

    def _cost(
        self, things: Things, place: np.ndarray, now: float, living: np.ndarray
    ) -> np.ndarray:
        """Return (K, living): distance in gates and how sizes differ; infinite for other kinds."""
        elapsed = now - self._seen[living]
        expected = self._place[living] + (self._velocity[living] * elapsed[:, None])[:, None]
        distance = np.linalg.norm(_shift(place[:, None] - expected[None]), axis=-1)
        once = self.sights[living] == 1
        gate = self._config.gate + np.where(once, self._config.speed, 0.0) * elapsed
        alike = SUITS[things.votes.argmax(1)][:, self.votes[living].argmax(1)]
        size = np.log(things.votes.sum(1)[:, None] / self._size[living])
        possible = alike & (distance < gate) & (np.abs(size) < _SIZE_RATIO)
        return np.where(possible, distance / gate + _SIZE_WEIGHT * np.abs(size), np.inf)

    def _move(self, track: np.ndarray, place: np.ndarray, now: float) -> None:
        elapsed = np.maximum(now - self._seen[track], 1e-3)[:, None]
        expected = self._place[track] + (self._velocity[track] * elapsed)[:, None]
        share = np.where(self.sights[track] == 1, 1.0, self._config.response)[:, None]
        self._velocity[track] += share * _shift(place - expected) / elapsed
        self._place[track], self._seen[track] = place, now

    def _grow(self, place: np.ndarray, now: float) -> None:
        count = len(place)
        self._place = np.concatenate((self._place, place))
        self._velocity = np.concatenate((self._velocity, np.zeros((count, 2))))
        self._seen = np.concatenate((self._seen, np.full(count, now)))
        self._size = np.concatenate((self._size, np.ones(count)))
        self.votes = np.concatenate((self.votes, np.zeros((count, self.votes.shape[1]), int)))
        self.sights = np.concatenate((self.sights, np.zeros(count, np.int64)))


def _shift(difference: np.ndarray) -> np.ndarray:
    """
    Return (..., 2) by how much outlines (..., 3, 2) have moved: as the edge that moved least.

    Where something comes before a thing or goes away, one of its edges stays where it was.
    """
    least = np.abs(difference).argmin(-2, keepdims=True)
    return np.take_along_axis(difference, least, -2)[..., 0, :]
