"""
The whole perception of a frame: point labels, tracks in each camera, and tracks on points.

The live node and offline evaluation call this object and nothing else, so both see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
import contextlib
import dataclasses
import functools
import itertools
from typing import Any, TypeVar

import numpy as np
import torch

from .boxes import fit_boxes
from .fused_segmenter import FusedSegmenter
from .painting import paint, PaintingConfig
from .point_segmenter import PointSegmenter
from .track_ids import next_id
from .track_points import boxes_in_picture, HoldingConfig, TrackPoints
from .tracker import Tracker, TrackerConfig
from ..config import setting
from ..geometry.pairing import Pairing
from ..geometry.projection import project_points
from ..records import Boxes, Detections, Frame, PointLabels, Tracks, View

A = TypeVar('A')
B = TypeVar('B')

ImageSegmenter = Callable[[Sequence[np.ndarray]], list[Detections]]
"""What finds instances in RGB images, as a `VideoSegmenter` does."""

Stage = Callable[[str], contextlib.AbstractContextManager[object]]
"""Brackets the work of a stage, for those who time it."""


def untimed(name: str) -> contextlib.AbstractContextManager[object]:
    """Bracket a stage that nobody times."""
    return contextlib.nullcontext(name)


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """What the pipeline adds to its two models."""

    painting: PaintingConfig = setting(PaintingConfig(), 'how tracks are painted on points')
    tracker: TrackerConfig = setting(TrackerConfig(), 'how detections become tracks')
    holding: HoldingConfig = setting(
        HoldingConfig(), 'how tracks are held by their points while they have no mask')


@dataclasses.dataclass(frozen=True)
class PerceptionResult:
    """
    What is perceived in one frame.

    Parameters
    ----------
    points
        (N, 3) float32 points of the frame's cloud at its stamp.
    labels
        One row per point.
    instance
        (N,) uint16 track id of each point, 0 none.
    tracks
        By camera name; ids are unique over all cameras of a pipeline.
    pairings
        By camera name, the points that each picture shows.
    held
        Tracks that have points but no mask now: their boxes are 0 and their map of ids is empty.

    """

    points: np.ndarray
    labels: PointLabels
    instance: np.ndarray
    tracks: dict[str, Tracks]
    pairings: dict[str, Pairing]
    held: Tracks

    @functools.cached_property
    def boxes(self) -> Boxes:
        """Box of each track's points in the lidar frame, made when first asked for."""
        return fit_boxes(self.points, self.instance, [*self.tracks.values(), self.held])


class Perception:
    """
    Labels clouds and tracks instances, frame after frame.

    Each camera has its own tracker, and all of them draw from one counter of ids, so an id names
    one track of one camera. An object that two cameras see has an id in each; a point that both
    see takes the id of the camera that comes first in the frame.

    Clouds and images are looked at side by side, by one thread each: on two cores that is faster
    than one after the other by two threads, which wait for each other layer by layer.

    Parameters
    ----------
    point_segmenter
        Labels the points; a fused one looks at the pictures too.
    video_segmenter
        Finds instances in images; without it frames have no tracks.
    config
        What is added to the two.
    stage
        Brackets the stages point_segmenter, video_segmenter, tracker, projection and painting;
        the first runs beside the next three.
    threads
        Of each model on a CPU, 0 for its share of the cores.

    """

    def __init__(
        self,
        point_segmenter: PointSegmenter,
        video_segmenter: ImageSegmenter | None = None,
        config: PipelineConfig = PipelineConfig(),
        stage: Stage = untimed,
        threads: int = 0,
    ) -> None:
        self._segment_points = point_segmenter
        self._segment_images = video_segmenter
        self._config = config
        self._stage = stage
        self._ids = itertools.count(1)
        models = 1 if video_segmenter is None else 2
        share = threads or max(torch.get_num_threads() // models, 1)
        # A thread for each model, as much of what a model has warmed up is the thread's.
        self._point_thread, self._image_thread = (
            ThreadPoolExecutor(1, name, torch.set_num_threads, (share,))
            for name in ('points', 'images'))
        self.reset()

    def warm_up(self) -> None:
        """Run both models once on made-up input, so that the first frame is not late."""
        turn = np.linspace(-np.pi, np.pi, 131072, endpoint=False, dtype=np.float32)
        ring = np.stack([10 * np.cos(turn), 10 * np.sin(turn), np.sin(9 * turn)], 1)
        picture = np.zeros((192, 640, 3), np.uint8)
        self._side_by_side(
            lambda: self._segment_points(ring, np.zeros_like(turn)),
            lambda: self._segment_images([picture]) if self._segment_images else [])

    def close(self) -> None:
        """Let its threads end, and forget all."""
        self._point_thread.shutdown()
        self._image_thread.shutdown()
        self.reset()

    def reset(self) -> None:
        """Forget all tracks, as after a jump in time; ids go on."""
        self._trackers: dict[str, Tracker] = {}
        self._latest: dict[str, tuple[int, Tracks]] = {}
        self._track_points = TrackPoints(self._config.holding)

    def __call__(self, frame: Frame) -> PerceptionResult:
        """
        Perceive one frame; frames come in the order of their stamps.

        Parameters
        ----------
        frame
            A cloud and the views that belong to it, of any cameras or none.

        Returns
        -------
        PerceptionResult
            One row per point, in input order, and the tracks of each view.

        """
        labels, (tracks, pairings) = self._side_by_side(
            lambda: self._label(frame), lambda: self._look(frame))
        with self._stage('painting'):
            seen = [(tracks[name], pairing) for name, pairing in pairings.items()]
            instance = paint(seen, labels, self._config.painting)
            held = self._hold(frame, labels, instance, tracks, pairings)
        return PerceptionResult(frame.points_at_stamp, labels, instance, tracks, pairings, held)

    def _hold(
        self,
        frame: Frame,
        labels: PointLabels,
        instance: np.ndarray,
        tracks: dict[str, Tracks],
        pairings: dict[str, Pairing],
    ) -> Tracks:
        """Return the tracks that only their points hold; these get their ids in `instance`."""
        held = self._track_points.hold(
            frame.points_at_stamp, labels, instance, list(tracks.values()), frame.cloud.stamp,
            frame.fixed_from_lidar)
        for name, pairing in pairings.items():
            shown, boxes = boxes_in_picture(held.track_id, instance, pairing)
            self._tracker(name).hold(shown, boxes, frame.views[name].picture.stamp)
        return held

    def _side_by_side(self, label: Callable[[], A], look: Callable[[], B]) -> tuple[A, B]:
        """Call both, each in its thread; both have ended when this returns or raises."""
        futures: list[Future[Any]] = [
            self._point_thread.submit(label), self._image_thread.submit(look)]
        wait(futures)
        return futures[0].result(), futures[1].result()

    def _label(self, frame: Frame) -> PointLabels:
        cloud, segment = frame.cloud, self._segment_points
        with self._stage('point_segmenter'):
            if isinstance(segment, FusedSegmenter):
                return segment.label_frame(frame)
            return segment(cloud.points, cloud.intensity)

    def _look(self, frame: Frame) -> tuple[dict[str, Tracks], dict[str, Pairing]]:
        """Return by camera name the tracks, and which points each picture shows."""
        views = list(frame.views.values()) if self._segment_images else []
        tracks = self._track(views)
        with self._stage('projection'):
            return tracks, {
                view.name: project_points(
                    frame.points_at_stamp, view.camera_from_lidar, view.camera)
                for view in views
            }

    def _track(self, views: list[View]) -> dict[str, Tracks]:
        """Return the tracks of each view; a picture that was seen before is not seen twice."""
        new = [view for view in views if not self._is_seen(view)]
        if new and self._segment_images is not None:
            with self._stage('video_segmenter'):
                detections = self._segment_images([view.picture.rgb for view in new])
            with self._stage('tracker'):
                for view, found in zip(new, detections, strict=True):
                    tracks = self._tracker(view.name).update(found, view.picture.stamp)
                    self._latest[view.name] = view.picture.stamp, tracks
        return {view.name: self._latest[view.name][1] for view in views}

    def _is_seen(self, view: View) -> bool:
        return self._latest.get(view.name, (None,))[0] == view.picture.stamp

    def _tracker(self, camera: str) -> Tracker:
        if camera not in self._trackers:
            self._trackers[camera] = Tracker(self._config.tracker, self._new_id)
        return self._trackers[camera]

    def _new_id(self) -> int:
        """Return an id that no track of any camera has, nor one that its points still hold."""
        holders: list[Tracker | TrackPoints] = [*self._trackers.values(), self._track_points]
        return next_id(self._ids, np.concatenate([holder.ids for holder in holders]))
