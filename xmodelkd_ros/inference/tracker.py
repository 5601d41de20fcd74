"""
Identity over time: detections of one camera become tracks with lasting ids.

The published online model associates queries over time; its rules are not known to us, so these
are ours. A track remembers its appearance at three time scales (a bounded memory bank), so it is
found again after an occlusion. Detections and tracks are paired by one optimal assignment that
weighs appearance, overlap of boxes and class, within what motion allows since the last sight.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import itertools

import numpy as np

from .assignment import associate
from .image_boxes import bounding_boxes, near, overlaps
from .instance_masks import paint_instances, resolve_overlaps
from .track_ids import next_id
from .track_memory import memory_type, MOMENTA, VELOCITY_GAIN
from ..config import setting
from ..records import Detections, Tracks


@dataclasses.dataclass(frozen=True)
class TrackerConfig:
    """When tracks are born, kept and forgotten."""

    low_score: float = setting(
        0.2, 'detections below this score are ignored', low=0.0, high=1.0)
    birth_score: float = setting(
        0.3, 'detections from this score on may start a track', low=0.0, high=1.0)
    sure_score: float = setting(
        0.6, 'detections from this score on start a confirmed track', low=0.0, high=1.0)
    confirm_hits: int = setting(
        2, 'sights in a row that confirm a track of a lower score', low=1, high=100)
    min_affinity: float = setting(
        0.7, 'similarity plus weighted overlap that a pair needs', low=-1.0, high=2.0)
    overlap_weight: float = setting(
        1.0, 'weight of the overlap of boxes beside the similarity', low=0.0, high=10.0)
    overlap_memory: float = setting(
        0.5, 'time in which the overlap with the last sight loses its weight', unit='s',
        low=0.01, high=10.0)
    class_penalty: float = setting(
        0.2, 'what a differing class takes from the affinity', low=0.0, high=2.0)
    drift: float = setting(
        0.4, 'how fast the place of an unseen track gets uncertain, in image widths',
        unit='1/s', low=0.0, high=10.0)
    min_visible: float = setting(
        0.6, 'part of its mask that a detection must keep beside better ones', low=0.0, high=1.0)
    max_age: float = setting(
        4.0, 'time after which an unseen track is forgotten', unit='s', low=0.0, high=60.0)
    max_tracks: int = setting(
        128, 'tracks in memory; beyond it the longest unseen are forgotten', low=1, high=4096)


class Tracker:
    """
    Tracks the instances of one camera.

    Parameters
    ----------
    config
        When tracks are born, kept and forgotten.
    new_id
        Gives an id that no living track has; None counts up from 1, and from 65535 on anew.

    """

    def __init__(
        self,
        config: TrackerConfig = TrackerConfig(),
        new_id: Callable[[], int] | None = None,
    ) -> None:
        self._config = config
        count = itertools.count(1)
        self._new_id = new_id or (lambda: next_id(count, self.ids))
        self.reset()

    def reset(self) -> None:
        """Forget all tracks, as after a jump in time; ids go on."""
        self._memory: np.ndarray = np.empty(0, memory_type(0))
        self._stamp: int | None = None

    @property
    def ids(self) -> np.ndarray:
        """Return the ids of the tracks in memory, seen or not, uint16; 0 if not confirmed yet."""
        return self._memory['id']

    def update(self, detections: Detections, stamp: int) -> Tracks:
        """
        Continue the tracks with what is seen in the next image.

        Parameters
        ----------
        detections
            Of one image, in any order: the order does not change the result.
        stamp
            Time of the image, ns; a stamp before the last one resets the tracker first.

        Returns
        -------
        Tracks
            Confirmed tracks that are visible in this image, by rising id.

        """
        if self._stamp is not None and stamp < self._stamp:
            self.reset()
        self._stamp = stamp
        seen, boxes = self._select(detections)
        if seen.embedding.shape[1] != self._memory['bank'].shape[2]:
            self._memory = np.empty(0, memory_type(seen.embedding.shape[1]))
        track = self._associate(seen, boxes, stamp)
        self._refresh(seen, boxes, track, stamp)
        track = self._give_birth(seen, boxes, track, stamp)
        self._confirm(stamp)
        tracks = self._output(seen, track)
        self._forget(stamp)
        return tracks

    def hold(self, track_id: np.ndarray, boxes: np.ndarray, stamp: int) -> None:
        """
        Note where tracks are that have points but no mask, so that it is looked for there.

        Parameters
        ----------
        track_id
            (T,) uint16; those of others are passed over.
        boxes
            (T, 4) float32: x0, y0, x1, y1 in pixels.
        stamp
            Time of the image, ns.

        """
        held, row, box = np.intersect1d(self._memory['id'], track_id, return_indices=True)
        row, box = row[held > 0], box[held > 0]
        self._memory['box'][row], self._memory['placed'][row] = boxes[box], stamp

    def _select(self, detections: Detections) -> tuple[Detections, np.ndarray]:
        """Return the detections worth a look in an order of their own, and boxes in pixels."""
        usable = np.isfinite(detections.embedding).all(1)  # a network in half precision may fail
        kept = np.flatnonzero(usable & (detections.score >= self._config.low_score))
        logits, score = detections.mask_logits[kept], detections.score[kept]
        masks = resolve_overlaps(logits, score)
        area = (logits > 0).sum((1, 2))
        visible = masks.sum((1, 2)) >= np.maximum(area * self._config.min_visible, 1)
        boxes = bounding_boxes(masks[visible])
        (height, width), (rows, columns) = logits.shape[1:], detections.size
        boxes *= np.array([columns / width, rows / height] * 2, np.float32)
        order = np.lexsort((*boxes.T, -score[visible]))
        return _take(detections, kept[visible][order]), boxes[order]

    def _associate(self, seen: Detections, boxes: np.ndarray, stamp: int) -> np.ndarray:
        """Return (D,) the row in memory of each detection, -1 for none."""
        memory, config = self._memory, self._config
        similarity = np.einsum('dk,tpk->dtp', seen.embedding, memory['bank']).max(2, initial=-1)
        gap, unplaced = ((stamp - memory[name]) * 1e-9 for name in ('stamp', 'placed'))
        fresh = np.exp(-unplaced / config.overlap_memory)
        expected = self._expected_boxes(unplaced)
        affinity = similarity + config.overlap_weight * fresh * overlaps(boxes, expected)
        differs = seen.class_id[:, None] != memory['votes'].argmax(1)[None]
        affinity -= config.class_penalty * differs
        possible = near(boxes, expected, config.drift * unplaced * seen.size[1])
        possible &= gap <= config.max_age
        cost = np.where(possible, -affinity, np.inf)
        return associate(cost, -config.min_affinity)

    def _expected_boxes(self, unplaced: np.ndarray) -> np.ndarray:
        """Return (T, 4) where the tracks should be by now, if they move on and slow down."""
        memory = self._config.overlap_memory
        moved = memory * (1 - np.exp(-unplaced / memory))  # s at the last velocity
        return self._memory['box'] + moved[:, None] * np.tile(self._memory['velocity'], 2)

    def _refresh(
        self, seen: Detections, boxes: np.ndarray, track: np.ndarray, stamp: int
    ) -> None:
        """Let the paired tracks remember what is seen of them now."""
        found = np.flatnonzero(track >= 0)
        rows = track[found]
        memory = self._memory[rows]
        bank = MOMENTA * memory['bank'] + (1 - MOMENTA) * seen.embedding[found, None]
        memory['bank'] = bank / np.maximum(np.linalg.norm(bank, axis=2, keepdims=True), 1e-6)
        memory['votes'] *= 0.95
        memory['votes'][np.arange(len(rows)), seen.class_id[found]] += seen.score[found]
        memory['score'] = 0.8 * memory['score'] + 0.2 * seen.score[found]
        memory['sure'] |= seen.score[found] >= self._config.sure_score
        memory['hits'] += 1
        apart = np.maximum((stamp - memory['placed']) * 1e-9, 1e-3)[:, None]
        velocity = (_centers(boxes[found]) - _centers(memory['box'])) / apart
        gain = VELOCITY_GAIN * (memory['placed'] == memory['stamp'])  # a held box is of points
        memory['velocity'] += gain[:, None] * (velocity - memory['velocity'])
        memory['box'], memory['stamp'], memory['placed'] = boxes[found], stamp, stamp
        self._memory[rows] = memory

    def _give_birth(
        self, seen: Detections, boxes: np.ndarray, track: np.ndarray, stamp: int
    ) -> np.ndarray:
        """Start tracks from strong detections of none; return `track` with their rows."""
        born = np.flatnonzero((track < 0) & (seen.score >= self._config.birth_score))
        young = np.zeros(len(born), self._memory.dtype)
        young['bank'] = seen.embedding[born, None]
        young['votes'][np.arange(len(born)), seen.class_id[born]] = seen.score[born]
        young['score'], young['box'], young['stamp'] = seen.score[born], boxes[born], stamp
        young['placed'] = stamp
        young['sure'], young['hits'] = seen.score[born] >= self._config.sure_score, 1
        track = track.copy()
        track[born] = len(self._memory) + np.arange(len(born))
        self._memory = np.concatenate((self._memory, young))
        return track

    def _confirm(self, stamp: int) -> None:
        """Give ids to tracks that are sure or were seen often enough."""
        memory = self._memory
        enough = memory['sure'] | (memory['hits'] >= self._config.confirm_hits)
        for row in np.flatnonzero((memory['id'] == 0) & (memory['stamp'] == stamp) & enough):
            memory['id'][row] = self._new_id()

    def _output(self, seen: Detections, track: np.ndarray) -> Tracks:
        shown = np.flatnonzero(track >= 0)
        shown = shown[self._memory['id'][track[shown]] > 0]
        shown = shown[np.argsort(self._memory['id'][track[shown]])]
        memory = self._memory[track[shown]]
        identity = memory['id']
        id_map, boxes = paint_instances(
            identity, seen.mask_logits[shown], seen.score[shown], seen.size
        )
        visible = boxes[:, 2] > boxes[:, 0]
        return Tracks(
            track_id=identity[visible],
            class_id=memory['votes'].argmax(1).astype(np.uint16)[visible],
            score=memory['score'][visible],
            box=boxes[visible],
            id_map=id_map,
        )

    def _forget(self, stamp: int) -> None:
        """Drop tracks unseen for too long, unconfirmed ones at once, and what is too many."""
        memory = self._memory
        limit = np.where(memory['id'] > 0, self._config.max_age * 1e9, 0)
        memory = memory[stamp - memory['stamp'] <= limit]
        if len(memory) > self._config.max_tracks:
            latest = np.argsort(-memory['stamp'], kind='stable')[: self._config.max_tracks]
            memory = memory[np.sort(latest)]
        self._memory = memory


def _centers(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _take(detections: Detections, rows: np.ndarray) -> Detections:
    return Detections(
        class_id=detections.class_id[rows],
        score=detections.score[rows],
        embedding=detections.embedding[rows],
        mask_logits=detections.mask_logits[rows],
        size=detections.size,
    )
