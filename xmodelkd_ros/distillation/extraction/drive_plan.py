"""What is to be extracted from a drive, settled before the teacher sees a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from .config import ExtractionConfig
from .odometry import find_trajectory
from .point_views import view_names
from .survey import Survey, survey_bag
from .trajectory import choose_keyframes, Trajectory
from ..cache import FORMAT, PLAN, TRAJECTORY
from ..cache_files import hash_file, read_json, write_json, write_whole
from ..teachers.teacher import Teacher
from ...config import from_mapping, to_mapping
from ...errors import CacheError
from ...training.cache import content_hash


@dataclasses.dataclass(frozen=True)
class DrivePlan:
    """
    A drive that is to be extracted.

    Parameters
    ----------
    source, folder
        The bag, and the drive's folder in the cache.
    config
        What is extracted.
    survey
        What the bag holds.
    trajectory, odometry
        Poses of its sweeps, and where they are from: 'tf', 'kiss-icp' or 'none'.
    keyframes
        (K,) indices of sweeps.
    identity
        What the folder belongs to, as plain values: the content of plan.json.

    """

    source: Path
    folder: Path
    config: ExtractionConfig
    survey: Survey
    trajectory: Trajectory
    odometry: str
    keyframes: np.ndarray
    identity: Mapping[str, Any]

    @property
    def shards(self) -> int:
        """Return the number of shards."""
        return -(-len(self.keyframes) // self.config.shard)


def plan_drive(
    source: Path, out: Path, config: ExtractionConfig, teacher: Teacher,
    check: Callable[[], None],
) -> DrivePlan:
    """
    Plan a drive, or read the plan that an earlier run made.

    What `check` raises, which is called again and again, stops it.

    Raises
    ------
    BagError, CalibrationError
        If the bag cannot be used.
    CacheError
        If its folder is there already and belongs to something else.

    """
    check()
    survey = survey_bag(source, config)
    sha256 = content_hash(source)
    folder = out / f'{source.stem}-{sha256[:16]}'
    identity = {
        'format': FORMAT,
        'source': {'name': source.name, 'sha256': sha256},
        'teacher': {'name': teacher.name, 'sha256': teacher.sha256},
        'class_names': None if teacher.class_names is None else list(teacher.class_names),
        'class_ids': None if teacher.class_ids is None else teacher.class_ids.tolist(),
        'feature_size': min(teacher.feature_size, config.features or teacher.feature_size),
        'calibration': survey.calibration,
        'config': to_mapping(config),
        'cameras': list(survey.cameras),
        'views': list(view_names(survey.cameras, config.instants)),
    }
    if (folder / PLAN).is_file():
        found = read_json(folder / PLAN)
        check_identity(folder, found, identity)
        trajectory = _read_trajectory(folder / TRAJECTORY, found['trajectory'])
        odometry = found['odometry']
    else:
        trajectory, odometry = find_trajectory(source, survey, config, check)
        _write_trajectory(folder / TRAJECTORY, trajectory)
        found = {**identity, 'odometry': odometry,
                 'trajectory': hash_file(folder / TRAJECTORY)}
        write_json(folder / PLAN, found)
    keyframes = choose_keyframes(trajectory, config.distance, config.angle)
    return DrivePlan(
        source, folder, config, survey, trajectory, odometry, keyframes, found)


_NAMES = {
    'format': 'another format', 'source': 'another bag', 'teacher': 'another teacher',
    'class_names': 'a teacher with other class names', 'class_ids': 'another class mapping',
    'feature_size': 'a teacher with other features', 'calibration': 'another calibration',
    'cameras': 'other cameras', 'config': 'another configuration', 'views': 'other instants',
}


def check_identity(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """
    Check that a folder of the cache belongs to what is wanted of it.

    Raises
    ------
    CacheError
        With what differs, and both values.

    """
    for key, name in _NAMES.items():
        old, new = found.get(key), wanted[key]
        if key == 'config' and isinstance(old, Mapping):
            old = to_mapping(from_mapping(ExtractionConfig, old))  # with new settings
        if _content(old) != _content(new):
            raise CacheError(
                f'{folder} belongs to {name}: {_brief(old, new)} instead of {_brief(new, old)}; '
                'choose another folder or remove it')


def _content(value: Any) -> Any:
    """Return the hash of what has one: where its files lie, and their names, do not matter."""
    return value.get('sha256', value) if isinstance(value, Mapping) else value


def _brief(value: Any, other: Any) -> str:
    """Return a value as text, of a mapping what differs from another one."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return ', '.join(f'{k} {v!r}' for k, v in value.items() if other.get(k) != v)
    return str(value)


def _write_trajectory(path: Path, trajectory: Trajectory) -> None:
    write_whole(path, save({
        'stamps': trajectory.stamps, 'poses': trajectory.poses, 'segment': trajectory.segment}))


def _read_trajectory(path: Path, sha256: str) -> Trajectory:
    if hash_file(path) != sha256:
        raise CacheError(f'{path} is damaged: its SHA-256 is not that of {PLAN}')
    try:
        return Trajectory(**load_file(path))
    except (OSError, SafetensorError, TypeError) as error:
        raise CacheError(f'{path} is damaged: {error}') from error
