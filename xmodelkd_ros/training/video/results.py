"""Tracks of videos as COCO-format results: what the evaluation servers of YouTube-VIS take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
import json
from pathlib import Path
from typing import Any

import numpy as np

from .annotated_video import AnnotatedVideo, coco_masks
from ...files import whole_file
from ...inference.tracker import Tracker
from ...records import Detections, Tracks

Segment = Callable[[Sequence[np.ndarray]], list[Detections]]


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Return a mask (H, W) bool as run lengths with their size, plain values for JSON."""
    runs = coco_masks().encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': [int(n) for n in runs['size']], 'counts': runs['counts'].decode('ascii')}


class VideoResults:
    """
    Collects the tracks of one video.

    Parameters
    ----------
    video_id
        Its id in the data set.
    length
        Its number of pictures.
    category_of_class
        The data set's category by class id; tracks of other classes are left out.

    """

    def __init__(
        self, video_id: int, length: int, category_of_class: Mapping[int, int]
    ) -> None:
        self._video_id, self._length, self._category = video_id, length, category_of_class
        self._masks: defaultdict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        self._scores: defaultdict[int, list[float]] = defaultdict(list)
        self._votes: defaultdict[int, defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float))

    def add(self, index: int, tracks: Tracks) -> None:
        """Add the tracks of a picture."""
        for track, class_id, score in zip(
            tracks.track_id.tolist(), tracks.class_id.tolist(), tracks.score.tolist(), strict=True
        ):
            self._masks[track][index] = encode(tracks.id_map == track)
            self._scores[track].append(score)
            self._votes[track][class_id] += score

    def rows(self) -> list[dict[str, Any]]:
        """Return a result per track: its class by the sum of scores, its score their mean."""
        found = []
        for track, masks in self._masks.items():
            votes = self._votes[track]
            category = self._category.get(max(votes, key=votes.__getitem__))
            if category is not None:
                found.append({
                    'video_id': self._video_id,
                    'category_id': category,
                    'segmentations': [masks.get(index) for index in range(self._length)],
                    'score': float(np.mean(self._scores[track])),
                })
        return found


def follow_video(
    video: AnnotatedVideo, segment: Segment, category_of_class: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return the results of a video, tracked from its first picture to its last."""
    tracker = Tracker()
    results = VideoResults(video.video_id, len(video), category_of_class)
    for index in range(len(video)):
        picture = video.picture(index, video.cameras[0])
        found, = segment([picture.rgb])
        results.add(index, tracker.update(found, picture.stamp))
    return results.rows()


def write_results(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write results as JSON; the file appears whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(rows), encoding='utf-8')
