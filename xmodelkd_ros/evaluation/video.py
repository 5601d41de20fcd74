"""Scores of tracked instance masks, as YouTube-VIS defines them (Yang et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from .overlaps import TrackOverlaps
from .tables import format_table, Value
from .track_matching import match_tracks, Matches, precision_recall
from ..config import setting
from ..labels import SemanticClass, THING_CLASSES
from ..records import Tracks

MOST_TRACKS = 100
"""How many tracks of a class and video count, the best scored."""


@dataclasses.dataclass(frozen=True)
class TrackScoreConfig:
    """What counts in the scores of tracked masks."""

    min_pixels: int = setting(
        64, 'true tracks whose largest mask is smaller are neither hits nor misses',
        unit='pixels', low=0,
    )
    long_frames: int = setting(
        40, 'true tracks seen in so many pictures are long', unit='pictures', low=1)
    hidden_share: float = setting(
        0.6, 'true tracks that lose so much of their visible area and regain it, or vanish and '
        'return, are occluded', low=0.0, high=1.0,
    )


PARTS = ('all', 'long', 'occluded')
"""The true tracks that count: all, those seen for long, those that were hidden for a while."""


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
            (name, scores.tracks, *percent(scores))
            for name, scores in [*self.by_class.items(), ('mean of the present', self.mean)]
        ]
        return f'{format_table(("class", *HEADERS), rows)}\nid switches: {self.id_switches}'


HEADERS = ('tracks', 'AP [%]', 'AP50 [%]', 'AP75 [%]', 'AR1 [%]', 'AR10 [%]')


def percent(scores: ClassScores) -> list[float]:
    """Return AP, AP50, AP75, AR1 and AR10 in percent."""
    return [100 * value for value in dataclasses.astuple(scores)[1:]]


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

    def join(self, other: TrackEvaluation) -> None:
        """Count the videos of another evaluation as well; those of one name are the same."""
        self._videos |= other._videos

    def scores(self, part: str = 'all') -> TrackScores:
        """
        Return the scores of everything added so far.

        Parameters
        ----------
        part
            One of `PARTS`; true tracks of another part are neither hits nor misses, but every
            prediction that finds no true track counts.

        """
        by_class = {c.name: self._score(c.id, part) for c in self._classes}
        present = [dataclasses.astuple(s)[1:] for s in by_class.values() if s.tracks]
        values = np.mean(present, 0).tolist() if present else [float('nan')] * 5
        mean = ClassScores(sum(s.tracks for s in by_class.values()), *values)
        ids = {c.id for c in self._classes}
        switches = sum(
            count
            for video in self._videos.values()
            for truth, count in video.switches.items()
            if video.true_class(truth) in ids and self._counts(video, truth, part)
        )
        return TrackScores(mean, by_class, switches)

    def table(self) -> str:
        """Return the scores of each class and part as text."""
        scores = {part: self.scores(part) for part in PARTS}
        rows: list[tuple[Value, ...]] = [
            (part, s.mean.tracks, *percent(s.mean), s.id_switches) for part, s in scores.items()]
        parts = format_table(('part', *HEADERS, 'id switches'), rows)
        return f'{scores["all"].table()}\n\n{parts}'

    def _is_small(self, largest: int) -> bool:
        return largest < self._config.min_pixels

    def _counts(self, video: TrackOverlaps, truth: int, part: str) -> bool:
        """Tell whether a true track is large enough and of a part."""
        config = self._config
        if self._is_small(video.true_largest[truth]):
            return False
        if part == 'long':
            return len(video.true_history[truth]) >= config.long_frames
        if part == 'occluded':
            return video.hidden_share(truth, config.min_pixels) >= config.hidden_share
        return True

    def _score(self, class_id: int, part: str) -> ClassScores:
        # Of tracks of one score the first counts first: not whose video was added first.
        videos = [video for _, video in sorted(self._videos.items())]
        matched = [self._match(video, class_id, part) for video in videos]
        count = sum(m.true_count for m in matched)
        if not count:
            return ClassScores(0, *[float('nan')] * 5)
        precision, _ = precision_recall(matched, count, MOST_TRACKS)
        ar1, ar10 = (precision_recall(matched, count, limit)[1].mean() for limit in (1, 10))
        by_threshold = precision.mean(1)
        return ClassScores(
            count, float(by_threshold.mean()), float(by_threshold[0]), float(by_threshold[5]),
            float(ar1), float(ar10),
        )

    def _match(self, video: TrackOverlaps, class_id: int, part: str) -> Matches:
        truths = [t for t in video.true_area if video.true_class(t) == class_id]
        other = np.array([not self._counts(video, t, part) for t in truths], bool)
        scored = [(video.predicted_class(t), t) for t in video.predicted_tracks]
        best = sorted(
            ((score, track) for (found, score), track in scored if found == class_id),
            key=lambda item: -item[0],
        )[:MOST_TRACKS]
        tracks = [track for _, track in best]
        hit, ignored = match_tracks(video.iou(tracks, truths), other)
        unmatched_small = [self._is_small(video.predicted_largest[t]) for t in tracks]
        ignored |= ~hit & np.array(unmatched_small, bool)
        score = np.array([score for score, _ in best])
        return Matches(score, hit & ~ignored, ignored, int((~other).sum()))
