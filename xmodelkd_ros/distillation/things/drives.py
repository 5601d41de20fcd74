"""
3D teaches 2D: unlabelled bags become training drives for the video segmenter.

Our reconstruction: the point segmenter finds things, their places in the frame that does not move
give them identity, their points give them masks in the pictures. No image label is needed; an
image teacher, where there is one, makes the outlines better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import os
from pathlib import Path
import tempfile

import numpy as np
import torch
from torch.nn import functional

from .grouping import find_things, ThingConfig, Things
from .labels import label_picture
from .masks import ThingMaskConfig
from .tracks import ThingTrackConfig, track_things
from ..extraction.config import ExtractionConfig
from ..extraction.drive_plan import DrivePlan
from ..extraction.lookout import Lookout
from ..extraction.odometry import find_trajectory
from ..extraction.survey import survey_bag
from ..teachers.teacher import Teacher
from ...config import setting
from ...errors import CalibrationError
from ...inference.video_segmenter import VideoPreprocessing
from ...labels import ALL_CLASSES
from ...records import Frame, PointLabels, points_at_stamp, View
from ...training.cache import CachedDrive, write_drive
from ...training.resizing import resize_picture

Segment = Callable[[np.ndarray, np.ndarray | None], PointLabels]
"""Labels points (N, 3) with intensities (N,) or None, as `inference.PointSegmenter` does."""
Watch = Callable[[Iterable[Frame]], Iterable[Frame]]
"""Passes frames on and shows how far that is."""


@dataclasses.dataclass(frozen=True)
class BridgeConfig:
    """How bags become training drives."""

    cameras: tuple[str, ...] = setting((), 'names of the cameras, none for all')
    rectified: tuple[str, ...] = setting((), 'names of the cameras whose images are rectified')
    fixed_frame: str = setting('odom', 'TF frame that does not move')
    odometry: str = setting(
        'auto', 'where poses are from; auto is TF, or kiss-icp where TF has none',
        choices=('auto', 'tf', 'kiss-icp'))
    width: int = setting(
        VideoPreprocessing.width, 'width of the pictures made', unit='px', low=32, high=8192)
    height: int = setting(
        VideoPreprocessing.height, 'height of the pictures made', unit='px', low=32, high=8192)
    things: ThingConfig = setting(ThingConfig(), 'how labelled points become things')
    tracks: ThingTrackConfig = setting(ThingTrackConfig(), 'how things are followed')
    masks: ThingMaskConfig = setting(ThingMaskConfig(), 'how points become masks')


@dataclasses.dataclass(frozen=True)
class SweepThings:
    """
    The things of a sweep.

    Parameters
    ----------
    things
        Found in it, without their points.
    stored
        Where the store has the label of each point and the points of the things.
    track_id
        (K,) uint16 track of each, 0 for those that are not trusted.
    class_id
        (K,) uint16 class of each.

    """

    things: Things
    stored: int
    track_id: np.ndarray
    class_id: np.ndarray


class Store:
    """
    What is known of each point, on disk: memory does not grow with the bag.

    Nothing stays of the file, however the process ends.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115

    def put(self, *arrays: np.ndarray) -> int:
        """Return where the arrays are."""
        place = self._file.seek(0, os.SEEK_END)
        for array in arrays:
            np.save(self._file, array)
        return place

    def get(self, place: int, count: int) -> list[np.ndarray]:
        """Return `count` arrays from a place on."""
        self._file.seek(place)
        return [np.load(self._file) for _ in range(count)]


class Bridge:
    """
    Makes a training drive from a bag.

    Parameters
    ----------
    bag
        With sweeps, pictures and their calibration.
    segment
        Labels the points of a sweep.
    config
        How it is done.
    teacher
        Image teacher with classes, or None.

    Raises
    ------
    BagError
        If the bag is damaged or lacks sweeps or pictures.
    CalibrationError
        If a camera has no model or place, or the lidar no poses.

    """

    def __init__(
        self,
        bag: Path,
        segment: Segment,
        config: BridgeConfig = BridgeConfig(),
        teacher: Teacher | None = None,
    ) -> None:
        self._segment, self._config, self._teacher = segment, config, teacher
        self._store = Store()
        extraction = ExtractionConfig(
            cameras=config.cameras, rectified=config.rectified, fixed_frame=config.fixed_frame,
            odometry=config.odometry)
        survey = survey_bag(bag, extraction)
        self._trajectory, odometry = find_trajectory(bag, survey, extraction)
        if odometry == 'none':
            raise CalibrationError(f'{bag} has no two sweeps that follow one another')
        self._plan = DrivePlan(
            bag, bag, extraction, survey, self._trajectory, odometry,
            np.arange(len(survey.stamps)), {})
        placed = np.flatnonzero(self._trajectory.segment >= 0)
        self._row = dict(zip(survey.stamps[placed].tolist(), placed.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._row)

    def find(self, watch: Watch = iter) -> dict[int, SweepThings]:
        """Return the tracked things of the drive, by the stamps of the sweeps, ns."""
        survey = dataclasses.replace(self._plan.survey, cameras=())
        blind = Lookout(dataclasses.replace(self._plan, survey=survey))
        things, stored = {}, {}
        for frame in watch(blind.frames(self._row.keys())):
            points, stamp = self._points(frame), frame.cloud.stamp
            found = self._segment(points, frame.cloud.intensity)
            whole = find_things(points, found, self._config.things)
            label = found.label.astype(np.uint8)
            stored[stamp] = self._store.put(label, whole.index, whole.thing)
            things[stamp] = dataclasses.replace(
                whole, index=whole.index[:0], thing=whole.thing[:0])
        return self._follow(things, stored)

    def frames(self, sweeps: dict[int, SweepThings], watch: Watch = iter) -> Iterator[Frame]:
        """Yield the frames that have pictures, these labelled with the things of the sweeps."""
        for frame in watch(Lookout(self._plan).frames(sweeps.keys())):
            sweep, points = sweeps[frame.cloud.stamp], self._points(frame)
            label, index, thing = self._store.get(sweep.stored, 3)
            things = dataclasses.replace(sweep.things, index=index, thing=thing)
            seen = self._ask(list(frame.views.values()))
            views = {
                name: self._label(view, label_picture(
                    view, points, label, things, sweep.track_id, sweep.class_id,
                    self._config.masks, classes))
                for (name, view), classes in zip(frame.views.items(), seen, strict=True)
            }
            if views:
                yield dataclasses.replace(frame, views=views)

    def _points(self, frame: Frame) -> np.ndarray:
        return points_at_stamp(frame.cloud, self._trajectory.motion(self._row[frame.cloud.stamp]))

    def _follow(
        self, things: dict[int, Things], stored: dict[int, int]
    ) -> dict[int, SweepThings]:
        """Give the things of sweeps their tracks."""
        rows = [self._row[stamp] for stamp in things]
        poses, segments = self._trajectory.poses[rows], self._trajectory.segment[rows]
        config = self._config.tracks
        tracks = track_things(list(things.values()), list(things), poses, segments, config)
        trusted = tracks.sights >= config.min_sights
        return {
            stamp: SweepThings(
                found, stored[stamp], np.where(trusted[ids] & found.plausible(), ids, 0),
                tracks.class_id[ids])
            for (stamp, found), ids in zip(things.items(), tracks.track_id, strict=True)
        }

    def _ask(self, views: Sequence[View]) -> list[np.ndarray | None]:
        """Return the class (H, W) that the teacher gives each pixel, None without a teacher."""
        ids = None if self._teacher is None else self._teacher.class_ids
        if self._teacher is None or ids is None:
            return [None] * len(views)
        pictures = [view.picture.rgb for view in views]
        outputs = self._teacher(pictures)
        return [
            None if output.logits is None else seen_classes(output.logits, ids, rgb.shape)
            for rgb, output in zip(pictures, outputs, strict=True)
        ]

    def _label(self, view: View, truth: tuple[np.ndarray, np.ndarray]) -> View:
        """truth: class and instance of each pixel."""
        label, instance = truth
        picture = dataclasses.replace(view.picture, label=label, instance=instance)
        size = self._config.width, self._config.height
        return dataclasses.replace(
            view, picture=resize_picture(picture, *size), camera=view.camera.scaled(*size))


def write_instances(bridge: Bridge, folder: Path, source: str, watch: Watch = iter) -> CachedDrive:
    """
    Write the training drive of a bag.

    Parameters
    ----------
    bridge
        Makes it.
    folder
        The drive's folder; what is there is replaced.
    source
        Where it is from, for the reader.
    watch
        Passes frames on and shows how far that is; called for each of the two passes.

    """
    return write_drive(bridge.frames(bridge.find(watch), watch), folder, source)


def seen_classes(logits: torch.Tensor, ids: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """
    Return the class that a teacher gives each pixel.

    Parameters
    ----------
    logits
        (C, h, w) over its classes, covering the picture.
    ids
        (C,) our id of each; what it gives to classes of id 0 is not counted.
    size
        (H, W, ...) of the picture.

    Returns
    -------
    np.ndarray
        (H, W) int64 class ids.

    """
    ours = np.eye(len(ALL_CLASSES), dtype=np.float32)[ids][:, 1:]
    chance = torch.tensordot(torch.from_numpy(ours).T, logits.float().cpu().softmax(0), 1)
    enlarged = functional.interpolate(chance[None], tuple(size[:2]), mode='bilinear')[0]
    return 1 + enlarged.argmax(0).numpy()
