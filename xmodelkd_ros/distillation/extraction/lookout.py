"""Going through keyframes of a bag, with a teacher that says what their pictures show."""

from __future__ import annotations

from collections.abc import Collection, Iterator
import dataclasses
import functools

import numpy as np

from .drive_plan import DrivePlan
from .moving import RangeCells
from .sightings import Answer, make_mixing, Sighting
from ..teachers.teacher import Teacher
from ...bags.frames import frames
from ...geometry.transforms import camera_from_lidar_between
from ...records import Frame, points_at_stamp, View


class Lookout:
    """
    Goes through keyframes of a bag.

    Parameters
    ----------
    plan
        The drive.

    """

    def __init__(self, plan: DrivePlan) -> None:
        config, self._plan = plan.config, plan
        self._frames = functools.partial(
            frames, plan.source, plan.survey.cameras, rectified=config.rectified,
            fixed_frame=config.fixed_frame if plan.odometry == 'tf' else '',
            tolerance=round(config.tolerance * 1e9), topics=plan.survey.topics,
            offsets={name: round(s * 1e9) for name, s in config.offsets.items()})

    def frames(self, stamps: Collection[int]) -> Iterator[Frame]:
        """Yield the frames of sweeps by stamp, ns, placed with the drive's odometry."""
        index_of = {int(stamp): n for n, stamp in enumerate(self._plan.trajectory.stamps)}
        waiting = set(stamps)
        for frame in self._frames(stamps=waiting.copy()):
            if frame.cloud.stamp in waiting:
                waiting.remove(frame.cloud.stamp)
                yield self._placed(frame, index_of[frame.cloud.stamp])
            if not waiting:
                return

    def sightings(self, teacher: Teacher, first: int, last: int) -> Iterator[Sighting]:
        """
        Yield keyframes with the teacher's answers; those that cannot be used are missing.

        Parameters
        ----------
        teacher
            Whom to ask.
        first, last
            Numbers of the keyframes, `last` not included.

        """
        trajectory = self._plan.trajectory
        mixing = make_mixing(teacher.feature_size, self._plan.config.features)
        stamps = trajectory.stamps[self._plan.keyframes[first:last]].tolist()
        number_of = {stamp: first + place for place, stamp in enumerate(stamps)}
        for frame in self.frames(stamps):
            number = number_of[frame.cloud.stamp]
            index = int(self._plan.keyframes[number])
            motion = trajectory.motion(index)
            points = points_at_stamp(frame.cloud, motion)
            yield Sighting(
                number, frame, points, motion, int(trajectory.segment[index]),
                _ask(teacher, frame, mixing),
                RangeCells(points, self._plan.config.moving))

    def _placed(self, frame: Frame, index: int) -> Frame:
        """Return a frame with the pose of the trajectory, through which it is seen."""
        pose = self._plan.trajectory.pose(index)
        views = dict(frame.views)
        if self._plan.odometry == 'kiss-icp':
            views = {name: self._moved(view, index) for name, view in views.items()}
        return dataclasses.replace(frame, views=views, fixed_from_lidar=pose)

    def _moved(self, view: View, index: int) -> View:
        """Return a view with the motion of the lidar from the sweep to the picture in it."""
        now = self._plan.trajectory.pose(index)
        then = self._plan.trajectory.pose_at(index, view.exposed)
        if now is None or then is None:
            return view
        placed = camera_from_lidar_between(view.camera_from_lidar, then, now, np.eye(4))
        return dataclasses.replace(view, camera_from_lidar=placed)


def _ask(
    teacher: Teacher, frame: Frame, mixing: np.ndarray | None
) -> dict[str, Answer]:
    pictures = {name: view.picture.rgb for name, view in frame.views.items()}
    outputs = teacher(list(pictures.values())) if pictures else []
    return {
        name: Answer(output, rgb.shape[:2], teacher.class_ids, mixing)
        for (name, rgb), output in zip(pictures.items(), outputs, strict=True)
    }
