"""
Tracks held by their points: a track keeps its id while its mask blinks.

Our own rule. Where a track that had points has none now, points of a suiting label are looked for
in the box of its last ones, moved on at its velocity in the frame that does not move. As long as
there are some the track stays on them, for a bounded time after its last mask.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from .boxes import FEWEST_POINTS
from .painting import SUITS
from ..config import setting
from ..geometry.pairing import Pairing
from ..geometry.transforms import transform_points
from ..labels import IS_THING
from ..records import PointLabels, Tracks


@dataclasses.dataclass(frozen=True)
class HoldingConfig:
    """How tracks without a mask are held by their points."""

    duration: float = setting(
        1.0, 'how long a track stays on its points without a mask, 0 for not at all', unit='s',
        low=0.0, high=60.0)
    margin: float = setting(
        0.3, 'how far outside its last box a point of a track may be', unit='m', low=0.0,
        high=10.0)


class TrackPoints:
    """
    Remembers where the points of tracks are.

    Parameters
    ----------
    config
        How long, and how far around.

    """

    def __init__(self, config: HoldingConfig = HoldingConfig()) -> None:
        self._config = config
        self._is_fixed = False  # Whether places are in the fixed frame, not the lidar's.
        self.reset()

    def reset(self) -> None:
        """Forget all tracks, as after a jump in time."""
        self._memory: np.ndarray = np.empty(0, _ROW)

    @property
    def ids(self) -> np.ndarray:
        """Return the ids of the tracks that are remembered, uint16."""
        return self._memory['id']

    def hold(
        self,
        points: np.ndarray,
        labels: PointLabels,
        instance: np.ndarray,
        tracks: Sequence[Tracks],
        stamp: int,
        fixed_from_lidar: np.ndarray | None,
    ) -> Tracks:
        """
        Give the points of tracks whose masks are missing their ids back, and remember all.

        Parameters
        ----------
        points
            (N, 3) float32, lidar frame, m.
        labels
            Of the points.
        instance
            (N,) uint16 painted track ids; points that are found again are added to it.
        tracks
            Tracks of all cameras.
        stamp
            Of the sweep, ns; one before the last resets the memory first.
        fixed_from_lidar
            (4, 4), or None where that is not known; losing or finding it resets the memory first.

        Returns
        -------
        Tracks
            Those that were held, without masks: boxes are 0 and the map of ids is empty.

        """
        is_fixed = fixed_from_lidar is not None
        if is_fixed != self._is_fixed or (self._memory['stamp'] > stamp).any():
            self.reset()
        self._is_fixed = is_fixed
        pose = np.eye(4) if fixed_from_lidar is None else fixed_from_lidar
        painted = np.flatnonzero(instance != 0)
        places = np.ascontiguousarray(transform_points(pose, points.take(painted, 0)).T)
        self._remember(places, instance[painted], tracks, stamp)
        held = self._find(points, labels, instance, stamp, pose)
        old = stamp - self._memory['masked'] > self._config.duration * 1e9
        self._memory = self._memory[~old]
        return Tracks(
            held['id'].copy(), held['class_id'].copy(), held['score'].copy(),
            np.zeros((len(held), 4), np.float32), np.zeros((0, 0), np.uint16))

    def _remember(
        self, places: np.ndarray, ids: np.ndarray, tracks: Sequence[Tracks], stamp: int
    ) -> None:
        """Note where the painted points of each track are: places (3, M), ids (M,)."""
        found, count, low, high = _extents(ids, places)
        known = {
            int(one): (class_id, score) for t in tracks
            for one, class_id, score in zip(t.track_id, t.class_id, t.score, strict=True)
        }
        enough = (count >= FEWEST_POINTS) & np.isfinite(low).all(1) & np.isfinite(high).all(1)
        rows = self._rows(found[enough])
        self._move(rows, low[enough], high[enough], stamp)
        self._memory['masked'][rows] = stamp
        told = [known[one] for one in found[enough].tolist()]
        self._memory['class_id'][rows] = [class_id for class_id, _ in told]
        self._memory['score'][rows] = [score for _, score in told]

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        """Return the row of each id in memory; new ones get new rows."""
        fresh = np.setdiff1d(ids, self._memory['id'], assume_unique=True)
        if len(fresh):
            born = np.zeros(len(fresh), _ROW)
            born['id'] = fresh
            memory = np.concatenate((self._memory, born))
            self._memory = memory[np.argsort(memory['id'])]
        return np.searchsorted(self._memory['id'], ids)

    def _move(self, rows: np.ndarray, low: np.ndarray, high: np.ndarray, stamp: int) -> None:
        """Set where tracks are now; their velocity follows by halves."""
        memory = self._memory[rows]
        elapsed = (stamp - memory['stamp'])[:, None] * 1e-9
        middle = 0.5 * (memory['low'] + memory['high'])
        measured = (0.5 * (low + high) - middle) / np.maximum(elapsed, 1e-3)
        known = (memory['stamp'] > 0)[:, None]
        memory['velocity'] = np.where(known, 0.5 * (memory['velocity'] + measured), 0)
        memory['low'], memory['high'], memory['stamp'] = low, high, stamp
        self._memory[rows] = memory

    def _find(
        self,
        points: np.ndarray,
        labels: PointLabels,
        instance: np.ndarray,
        stamp: int,
        pose: np.ndarray,
    ) -> np.ndarray:
        """Give free points to the tracks that have none; return their rows of the memory."""
        recent = stamp - self._memory['masked'] <= self._config.duration * 1e9
        rows = np.flatnonzero(recent & (self._memory['stamp'] < stamp))
        if not len(rows):
            return self._memory[rows]
        free = np.flatnonzero(IS_THING.take(labels.label) & (instance == 0))
        places = np.ascontiguousarray(transform_points(pose, points.take(free, 0)).T)
        label, owner = labels.label[free], np.zeros(len(free), np.uint16)
        tracks = self._memory[rows]
        moved = tracks['velocity'] * ((stamp - tracks['stamp']) * 1e-9)[:, None]
        low = tracks['low'] + moved - self._config.margin
        high = tracks['high'] + moved + self._config.margin
        for n, track in enumerate(tracks):
            near = _inside(places, low[n], high[n])
            own = near[SUITS[track['class_id']][label[near]] & (owner[near] == 0)]
            if len(own) >= FEWEST_POINTS:
                owner[own] = track['id']
        instance[free] = owner
        held = np.flatnonzero(owner)
        ids, _, low, high = _extents(owner[held], places.take(held, 1))
        rows = rows[np.searchsorted(tracks['id'], ids)]
        self._move(rows, low, high, stamp)
        return self._memory[rows]


def _extents(
    ids: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """
    Return the ids (T,) of places (3, M) in order, how many of each, and their corners (T, 3).

    `ids` (M,) uint16 are all above 0.
    """
    order = np.argsort(ids, kind='stable')
    ids, places = ids[order], places.take(order, 1)
    first = np.flatnonzero(np.diff(ids, prepend=0))
    low, high = (way.reduceat(places, first, 1).T for way in (np.minimum, np.maximum))
    return ids[first], np.diff(first, append=len(ids)), low, high


def _inside(places: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the columns of places (3, M) between two corners."""
    near = np.flatnonzero((places[0] >= low[0]) & (places[0] <= high[0]))
    for axis in (1, 2):
        place = places[axis, near]
        near = near[(place >= low[axis]) & (place <= high[axis])]
    return near


def boxes_in_picture(
    track_id: np.ndarray, instance: np.ndarray, pairing: Pairing
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return where a picture shows the points of tracks.

    Parameters
    ----------
    track_id
        (T,) uint16.
    instance
        (N,) uint16 track ids of the points of the cloud.
    pairing
        The points that the picture shows.

    Returns
    -------
    seen : np.ndarray
        (S,) uint16 those that it shows.
    boxes : np.ndarray
        (S, 4) float32: x0, y0, x1, y1 in pixels.

    """
    rows = np.flatnonzero(np.isin(instance[pairing.index], track_id))
    of_point, pixels = instance[pairing.index[rows]], pairing.pixels[rows]
    groups = [(one, pixels[of_point == one]) for one in track_id]
    shown = [(one, np.concatenate((p.min(0), p.max(0) + 1))) for one, p in groups if len(p)]
    return (np.array([one for one, _ in shown], np.uint16),
            np.array([box for _, box in shown], np.float32).reshape(-1, 4))


_ROW = np.dtype([
    ('id', np.uint16), ('class_id', np.uint16), ('score', np.float32),
    ('low', np.float64, 3), ('high', np.float64, 3), ('velocity', np.float64, 3),
    ('stamp', np.int64), ('masked', np.int64),
])
"""A remembered track: box of its last points, m, and velocity, m/s, in the fixed frame; when it
last had points, and a mask, ns."""
