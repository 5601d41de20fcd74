"""Scores of tracked instance masks, as YouTube-VIS defines them (Yang et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from .overlaps import TrackOverlaps
from .tables import format_table, Value
from ..config import setting
from ..labels import SemanticClass, THING_CLASSES
from ..records import Tracks

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_TRACKS = 100
"""How many tracks of a class and video count, the best scored."""


@dataclasses.dataclass(frozen=True)
class TrackScoreConfig:
    """What counts in the scores of tracked masks."""

    min_pixels: int = setting(
        64, 'true tracks whose largest mask is smaller are neither hits nor misses',
        unit='pixels', low=0,
    )


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """
    Scores of one class, 0..1, NaN where the truth holds no track of it.

    Parameters
    ----------
    tracks
        Number of true tracks that count.
    ap, ap50, ap75
        Average precision over the ten thresholds of track IoU, and at 0.5 and 0.75.
    ar1, ar10
        Recall over the thresholds with the best 1 and 10 tracks of each video.

    """

    tracks: int
    ap: float
    ap50: float
    ap75: float
    ar1: float
    ar10: float


@dataclasses.dataclass(frozen=True)
class TrackScores:
    """
    Scores of all classes.

    Parameters
    ----------
    mean
        Mean over the classes that the truth holds; `tracks` is their sum.
    by_class
        By class name.
    id_switches
        How often a true track was found again under another id, IoU above 0.5 in each frame.

    """

    mean: ClassScores
    by_class: dict[str, ClassScores]
    id_switches: int

    def table(self) -> str:
        """Return the scores as text."""
        rows: list[tuple[Value, ...]] = [
            (name, scores.tracks, *(100 * v for v in dataclasses.astuple(scores)[1:]))
            for name, scores in [*self.by_class.items(), ('mean of the present', self.mean)]
        ]
        headers = ('class', 'tracks', 'AP [%]', 'AP50 [%]', 'AP75 [%]', 'AR1 [%]', 'AR10 [%]')
        return f'{format_table(headers, rows)}\nid switches: {self.id_switches}'


class TrackEvaluation:
    """
    Scores tracked masks against true ones over any number of videos.

    Parameters
    ----------
    config
        What counts.
    classes
        The classes that are scored.

    """

    def __init__(
        self,
        config: TrackScoreConfig = TrackScoreConfig(),
        classes: Sequence[SemanticClass] = THING_CLASSES,
    ) -> None:
        self._config, self._classes = config, tuple(classes)
        self._videos: dict[str, TrackOverlaps] = {}

    def add(
        self, video: str, true_id: np.ndarray, true_class: np.ndarray, tracks: Tracks
    ) -> None:
        """
        Count one picture; see `TrackOverlaps.add`.

        Parameters
        ----------
        video
            Name of the drive and camera: ids are compared within one video alone.
        true_id, true_class
            (H, W) ids and classes of the pixels.
        tracks
            Prediction.

        """
        self._videos.setdefault(video, TrackOverlaps()).add(true_id, true_class, tracks)

    def scores(self) -> TrackScores:
        """Return the scores of everything added so far."""
        by_class = {c.name: self._score(c.id) for c in self._classes}
        present = [dataclasses.astuple(s)[1:] for s in by_class.values() if s.tracks]
        values = np.mean(present, 0).tolist() if present else [float('nan')] * 5
        mean = ClassScores(sum(s.tracks for s in by_class.values()), *values)
        ids = {c.id for c in self._classes}
        switches = sum(
            count
            for video in self._videos.values()
            for truth, count in video.switches.items()
            if video.true_class(truth) in ids and not self._is_small(video.true_largest[truth])
        )
        return TrackScores(mean, by_class, switches)

    def _is_small(self, largest: int) -> bool:
        return largest < self._config.min_pixels

    def _score(self, class_id: int) -> ClassScores:
        matched = [self._match(video, class_id) for video in self._videos.values()]
        count = sum(m.true_count for m in matched)
        if not count:
            return ClassScores(0, *[float('nan')] * 5)
        precision, _ = _precision_recall(matched, count, MOST_TRACKS)
        ar1, ar10 = (_precision_recall(matched, count, limit)[1].mean() for limit in (1, 10))
        by_threshold = precision.mean(1)
        return ClassScores(
            count, float(by_threshold.mean()), float(by_threshold[0]), float(by_threshold[5]),
            float(ar1), float(ar10),
        )

    def _match(self, video: TrackOverlaps, class_id: int) -> _Matches:
        truths = [t for t in video.true_area if video.true_class(t) == class_id]
        small = np.array([self._is_small(video.true_largest[t]) for t in truths], bool)
        scored = [(video.predicted_class(t), t) for t in video.predicted_tracks]
        best = sorted(
            ((score, track) for (found, score), track in scored if found == class_id),
            key=lambda item: -item[0],
        )[:MOST_TRACKS]
        tracks = [track for _, track in best]
        hit, ignored = _match_tracks(video.iou(tracks, truths), small)
        unmatched_small = [self._is_small(video.predicted_largest[t]) for t in tracks]
        ignored |= ~hit & np.array(unmatched_small, bool)
        score = np.array([score for score, _ in best])
        return _Matches(score, hit & ~ignored, ignored, int((~small).sum()))


@dataclasses.dataclass(frozen=True)
class _Matches:
    """Predicted tracks of one class and video, best first, at each of the IoU thresholds."""

    score: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    true_count: int


def _match_tracks(iou: np.ndarray, small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Match greedily, best prediction first, as COCO does: true tracks that count come first.

    Parameters
    ----------
    iou
        (P, T) track IoU, best prediction first.
    small
        (T,) bool: true tracks that do not count.

    Returns
    -------
    hit, ignored : np.ndarray
        (thresholds, P) bool: matched at all, and matched to a true track that does not count.

    """
    hit, ignored = (np.zeros((len(IOU_THRESHOLDS), len(iou)), bool) for _ in range(2))
    for level, threshold in enumerate(IOU_THRESHOLDS):
        free = set(range(len(small)))
        for prediction, row in enumerate(iou):
            candidates = [(not small[t], row[t], t) for t in free if row[t] >= threshold - 1e-10]
            if candidates:
                counts, _, truth = max(candidates)
                free.remove(truth)
                hit[level, prediction], ignored[level, prediction] = True, not counts
    return hit, ignored


def _precision_recall(
    matched: list[_Matches], true_count: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision (thresholds, 101) at the recalls, and the final recall (thresholds,)."""
    score = np.concatenate([m.score[:limit] for m in matched])
    order = np.argsort(-score, kind='stable')
    hit = np.concatenate([m.hit[:, :limit] for m in matched], 1)[:, order]
    ignored = np.concatenate([m.ignored[:, :limit] for m in matched], 1)[:, order]
    hits, misses = np.cumsum(hit, 1), np.cumsum(~hit & ~ignored, 1)
    precision = np.zeros((len(hits), len(RECALLS)))
    recall = hits / true_count
    if len(score) == 0:
        return precision, np.zeros(len(hits))
    envelope = np.maximum.accumulate((hits / np.maximum(hits + misses, 1))[:, ::-1], 1)[:, ::-1]
    for level in range(len(hits)):
        position = np.searchsorted(recall[level], RECALLS, side='left')
        reached = position < len(score)
        precision[level, reached] = envelope[level, position[reached]]
    return precision, recall[:, -1]
