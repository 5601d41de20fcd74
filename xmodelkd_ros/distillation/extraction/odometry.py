"""Poses of a drive's sweeps: from TF, or where it has none from kiss-icp (Vizzo et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import contextlib
import itertools
import logging
from pathlib import Path
from typing import Any

import numpy as np

from .config import ExtractionConfig
from .survey import Survey
from .trajectory import steady_segments, Trajectory
from ...bags.reader import BagReader
from ...bags.transforms import BagTransforms
from ...errors import CalibrationError, MessageError, needed
from ...messages.clouds import cloud_from_message
from ...records import Cloud

_TRIAL = 4
"""Sweeps that are registered to find the motion to start with."""


def find_trajectory(
    path: Path, survey: Survey, config: ExtractionConfig,
    check: Callable[[], None] = lambda: None,
) -> tuple[Trajectory, str]:
    """
    Return the poses of a bag's sweeps and where they are from: 'tf', 'kiss-icp' or 'none'.

    What `check` raises, which is called for each sweep that is registered, stops it.

    Raises
    ------
    CalibrationError
        If TF is asked for and has none.
    MissingDependencyError
        If kiss-icp is needed and not installed.

    """
    if config.odometry in ('auto', 'tf'):
        found = _from_transforms(path, survey, config.fixed_frame)
        if (found.segment >= 0).any():
            return found, 'tf'
        if config.odometry == 'tf':
            raise CalibrationError(
                f'{path}: TF has no pose of {survey.lidar} in {config.fixed_frame}')
    nowhere = np.full(len(survey.stamps), -1, np.int32)
    unknown = Trajectory(survey.stamps, np.tile(np.eye(4), (len(nowhere), 1, 1)), nowhere)
    segment = steady_segments(survey.stamps, round(config.longest_gap * 1e9))
    alone = np.bincount(segment)[segment] == 1
    if config.odometry == 'none' or alone.all():
        return unknown, 'none'
    segment = np.where(alone, -1, segment)
    logging.getLogger(__name__).warning('%s: kiss-icp finds the poses', path)
    found = _from_registration(path, survey.topics.points, survey.stamps, segment, check)
    return found, 'kiss-icp'


def _from_transforms(path: Path, survey: Survey, fixed_frame: str) -> Trajectory:
    with BagReader(path) as bag:
        transforms = BagTransforms(bag, fixed_frame)
    poses = [transforms.fixed_from(survey.lidar, int(stamp)) for stamp in survey.stamps]
    segment = np.array([-1 if pose is None else 0 for pose in poses], np.int32)
    known = np.stack([np.eye(4) if pose is None else pose for pose in poses])
    return Trajectory(survey.stamps, known, segment)


def _from_registration(
    path: Path, topic: str, stamps: np.ndarray, segment: np.ndarray, check: Callable[[], None]
) -> Trajectory:
    """Register each sweep to those before it in its segment; -1 is left out."""
    poses, measured = np.tile(np.eye(4), (len(stamps), 1, 1)), stamps.copy()
    used = np.full_like(segment, -1)
    with BagReader(path) as bag:
        clouds = _clouds(bag, topic, segment)
        for number, run in itertools.groupby(clouds, lambda found: segment[found[0]]):
            for index, pose, end in register_run(run):
                poses[index], used[index] = pose, number
                measured[index] += end
                check()
    return _at_stamps(Trajectory(measured, poses, used), stamps)


def _clouds(
    bag: BagReader, topic: str, segment: np.ndarray
) -> Iterator[tuple[int, Cloud]]:
    """Yield the sweeps of segments with their indices; those that cannot be read are missing."""
    for index, (_, _, message) in enumerate(bag.messages([topic])):
        if segment[index] >= 0:
            with contextlib.suppress(MessageError):
                yield index, cloud_from_message(message)


def register_run(run: Iterable[tuple[int, Cloud]]) -> Iterator[tuple[int, np.ndarray, int]]:
    """
    Yield the odometry of one unbroken run of sweeps.

    Registration takes the last motion for the next. The first has none before it, and a vehicle
    that drives would be found standing: so the first sweeps are registered twice, and the second
    time starts with the motion that the first has found.

    Parameters
    ----------
    run
        Sweeps with their indices.

    Yields
    ------
    index : int
        Of the sweep.
    pose : np.ndarray
        (4, 4) of the lidar when it measured the last point.
    end : int
        When that was, ns after the stamp.

    Raises
    ------
    MissingDependencyError
        If kiss-icp is not installed.

    """
    run = iter(run)
    first = list(itertools.islice(run, _TRIAL))
    trial, odometry = _registration(), _registration()
    for _, cloud in first:
        _register(trial, cloud)
    odometry.last_delta = trial.last_delta
    for index, cloud in itertools.chain(first, run):
        yield index, _register(odometry, cloud), _end(cloud)


def _registration() -> Any:
    with needed('find the poses of a bag without odometry in TF'):
        from kiss_icp.config.parser import load_config
        from kiss_icp.kiss_icp import KissICP
    config = load_config(None)
    config.registration.max_num_threads = 1  # sums of more have no fixed order
    return KissICP(config)


def _register(odometry: Any, cloud: Cloud) -> np.ndarray:
    finite = np.isfinite(cloud.points).all(1)
    times = np.zeros(0) if cloud.time_offset is None else cloud.time_offset[finite] * 1e-9
    odometry.register_frame(cloud.points[finite].astype(np.float64), times)
    return odometry.last_pose


def _end(cloud: Cloud) -> int:
    """Return when the last point was measured, ns after the stamp; 0 where that is not known."""
    finite = np.isfinite(cloud.points).all(1)
    if cloud.time_offset is None or not finite.any():
        return 0
    return int(cloud.time_offset[finite].max())


def _at_stamps(measured: Trajectory, stamps: np.ndarray) -> Trajectory:
    """Return the poses at the sweeps' stamps from those at their ends."""
    poses = measured.poses.copy()
    for index in np.flatnonzero(measured.stamps != stamps):
        pose = measured.pose_at(int(index), int(stamps[index]))
        if pose is not None:
            poses[index] = pose
    return Trajectory(stamps, poses, measured.segment)
