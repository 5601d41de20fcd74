"""What true and predicted tracks of one video share, frame by frame, in little memory."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..records import Tracks

IDS = 65536


class TrackOverlaps:
    """
    Sums the areas of true tracks, predicted tracks and their intersections over a video.

    Masks of one picture do not overlap, so a picture is two maps of ids, and one histogram over
    pairs of ids says everything that the scores need. Nothing is kept per pixel; per picture the
    visible area of each true track.
    """

    def __init__(self) -> None:
        self.true_area: defaultdict[int, int] = defaultdict(int)
        self.true_largest: defaultdict[int, int] = defaultdict(int)
        self.predicted_area: defaultdict[int, int] = defaultdict(int)
        self.predicted_largest: defaultdict[int, int] = defaultdict(int)
        self.shared: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.switches: defaultdict[int, int] = defaultdict(int)
        self.true_history: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._pictures = 0
        self._true_class: dict[int, np.ndarray] = {}
        self._class_score: dict[int, defaultdict[int, float]] = {}
        self._frames: defaultdict[int, int] = defaultdict(int)
        self._last_match: dict[int, int] = {}

    def add(self, true_id: np.ndarray, true_class: np.ndarray, tracks: Tracks) -> None:
        """
        Count one picture.

        Parameters
        ----------
        true_id
            (H, W) uint16, 0 none, the same id for an instance all through the video.
        true_class
            (H, W) uint8 or uint16 class ids; an instance has the class of most of its pixels.
        tracks
            Prediction for the picture; a listed track without pixels counts for its score.

        """
        if true_id.shape != tracks.id_map.shape:
            raise ValueError(f'truth of {true_id.shape}, tracks of {tracks.id_map.shape} pixels')
        truths, rows = _compact(true_id)
        predictions, columns = _compact(tracks.id_map)
        kinds = len(predictions)
        joint = np.bincount(rows * kinds + columns, minlength=len(truths) * kinds)
        joint = joint.reshape(len(truths), kinds)
        self._count_classes(truths, rows, true_class)
        self._count_scores(tracks)
        self._count_areas(truths, predictions, joint)
        self._count_switches(truths, predictions, joint)
        for truth, area in zip(truths[1:].tolist(), joint.sum(1)[1:].tolist(), strict=True):
            self.true_history[truth][self._pictures] = area
        self._pictures += 1

    def _count_classes(
        self, truths: np.ndarray, rows: np.ndarray, true_class: np.ndarray
    ) -> None:
        votes = np.bincount(rows * 256 + true_class.ravel(), minlength=len(truths) * 256)
        for truth, vote in zip(truths[1:].tolist(), votes.reshape(-1, 256)[1:], strict=True):
            self._true_class[truth] = self._true_class.get(truth, 0) + vote

    def _count_scores(self, tracks: Tracks) -> None:
        for track, class_id, score in zip(
            tracks.track_id.tolist(), tracks.class_id.tolist(), tracks.score.tolist(), strict=True
        ):
            self._class_score.setdefault(track, defaultdict(float))[class_id] += score
            self._frames[track] += 1

    def _count_areas(
        self, truths: np.ndarray, predictions: np.ndarray, joint: np.ndarray
    ) -> None:
        for ids, areas, total, largest in (
            (truths, joint.sum(1), self.true_area, self.true_largest),
            (predictions, joint.sum(0), self.predicted_area, self.predicted_largest),
        ):
            for track, area in zip(ids[1:].tolist(), areas[1:].tolist(), strict=True):
                total[track] += area
                largest[track] = max(largest[track], area)
        for row, column in np.argwhere(joint[1:, 1:]).tolist():
            pair = int(truths[row + 1]), int(predictions[column + 1])
            self.shared[pair] += int(joint[row + 1, column + 1])

    def _count_switches(
        self, truths: np.ndarray, predictions: np.ndarray, joint: np.ndarray
    ) -> None:
        """
        Count where a true track is found again under another id (CLEAR MOT, Bernardin 2008).

        Masks that do not overlap have at most one partner with an IoU above a half, so the
        assignment needs no optimisation.
        """
        union = joint.sum(1, keepdims=True) + joint.sum(0) - joint
        for row, column in np.argwhere(2 * joint[1:, 1:] > union[1:, 1:]).tolist():
            truth, predicted = int(truths[row + 1]), int(predictions[column + 1])
            self.switches[truth] += self._last_match.get(truth, predicted) != predicted
            self._last_match[truth] = predicted

    def true_class(self, truth: int) -> int:
        """Return the class of a true track: that of most of its pixels."""
        return int(self._true_class[truth].argmax())

    def hidden_share(self, truth: int, min_pixels: int) -> float:
        """
        Return the largest part of its visible area that a true track lost and regained.

        Parameters
        ----------
        truth
            Its id.
        min_pixels
            A loss counts where the track had more pixels than this both before and after it.

        Returns
        -------
        float
            0..1; 1 for a track that vanished and returned.

        """
        history = self.true_history[truth]
        area = np.zeros(max(history) - min(history) + 1)
        area[np.array(list(history)) - min(history)] = list(history.values())
        before, after = np.maximum.accumulate(area), np.maximum.accumulate(area[::-1])[::-1]
        level = np.minimum(before, after)
        return float(np.max(1 - area / np.maximum(level, 1), initial=0, where=level > min_pixels))

    def predicted_class(self, track: int) -> tuple[int, float]:
        """Return the class of a predicted track, by the sum of its scores, and its mean score."""
        scores = self._class_score[track]
        return max(scores, key=scores.__getitem__), sum(scores.values()) / self._frames[track]

    def iou(self, predictions: list[int], truths: list[int]) -> np.ndarray:
        """Return track IoU (P, T): intersections over all frames by unions over all frames."""
        iou = np.zeros((len(predictions), len(truths)))
        for row, track in enumerate(predictions):
            for column, truth in enumerate(truths):
                shared = self.shared.get((truth, track), 0)
                union = self.true_area[truth] + self.predicted_area[track] - shared
                iou[row, column] = shared / union if union else 0.0
        return iou

    @property
    def predicted_tracks(self) -> list[int]:
        """Every predicted track that was listed, whether it has pixels or not."""
        return list(self._class_score)


def _compact(id_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of a map, 0 first even where absent, and (H * W,) position of each pixel."""
    flat = id_map.ravel()
    present = np.bincount(flat, minlength=IDS) > 0
    present[0] = True
    position = np.cumsum(present) - 1
    return np.flatnonzero(present), position[flat]
