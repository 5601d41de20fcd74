"""What a bag holds, found without decoding its sweeps and pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from .config import ExtractionConfig
from ...bags.reader import BagReader, header_stamp
from ...bags.topics import find_topics, SensorTopics
from ...bags.transforms import BagTransforms
from ...errors import BagError, CalibrationError


@dataclasses.dataclass(frozen=True)
class Survey:
    """
    What a bag holds.

    Parameters
    ----------
    stamps
        (S,) int64 stamps of the sweeps in the order they were received, ns.
    lidar
        TF frame of the sweeps.
    cameras
        Names of the cameras that are used.
    calibration
        SHA-256 of the camera models, the static transforms, and what is configured of cameras.
    topics
        Where sweeps and pictures are.

    """

    stamps: np.ndarray
    lidar: str
    cameras: tuple[str, ...]
    calibration: str
    topics: SensorTopics


def survey_bag(path: Path, config: ExtractionConfig) -> Survey:
    """
    Look through a bag.

    Raises
    ------
    BagError
        If the bag is damaged or has no sweeps, no images, or none of a named camera.
    CalibrationError
        If a camera has no model, or TF does not connect it with the lidar.

    """
    with BagReader(path) as bag:
        topics = find_topics(bag, config.points_topic, config.image_topics)
        cameras = used_cameras(bag, topics, config)
        infos = {name: topics.cameras[name].info for name in cameras}
        for name, info in infos.items():
            if info not in bag.topics:
                raise CalibrationError(f'{path} has images of {name} but no {info}')
        stamps, lidar = [], ''
        models: dict[str, dict[bytes, bytes]] = {name: {} for name in cameras}
        static = set()
        wanted = [topics.points, *{'/tf_static', *infos.values()}.intersection(bag.topics)]
        for topic, _, data in bag.raw(wanted):
            if topic == topics.points:
                lidar = lidar or bag.decode(topic, data).header.frame_id
                stamps.append(header_stamp(data))
            elif topic == '/tf_static':
                static.add(data)
            for name in [name for name, info in infos.items() if info == topic]:
                models[name].setdefault(data[12:], data)  # behind the stamp
        if not stamps:
            raise BagError(f'{path} has no sweeps on {topics.points}')
        _check_mounting(bag, lidar, infos, models)
    return Survey(np.array(stamps), lidar, cameras, _digest(models, static, config), topics)


def refuse_blind(path: Path, config: ExtractionConfig) -> None:
    """Raise BagError with the time between a bag's sweeps and images, of which none fit."""
    offset = _smallest_offset(path, config)
    raise BagError(
        f'{path}: no image shows a point of its sweep; the image nearest to a sweep in time is '
        f'{abs(offset):.3f} s {"before" if offset < 0 else "after"} it; see extraction.offsets, '
        'and the calibration')


def _smallest_offset(path: Path, config: ExtractionConfig) -> float:
    """Return how much later than a sweep the image nearest to one in time is, s."""
    with BagReader(path) as bag:
        topics = find_topics(bag, config.points_topic, config.image_topics)
        later = {
            topics.cameras[name].image: round(config.offsets.get(name, 0.0) * 1e9)
            for name in used_cameras(bag, topics, config)
        }
        sweeps, images = [], []
        for topic, _, data in bag.raw([topics.points, *later]):
            if topic == topics.points:
                sweeps.append(header_stamp(data))
            else:
                images.append(header_stamp(data) - later[topic])
    stamps = np.unique(sweeps)
    place = np.searchsorted(stamps, images).clip(max=len(stamps) - 1)
    apart = (np.array(images) - stamps[[place - 1, place]]).ravel()
    return float(apart[np.abs(apart).argmin()]) * 1e-9


def used_cameras(
    bag: BagReader, topics: SensorTopics, config: ExtractionConfig
) -> tuple[str, ...]:
    """Return the names of the cameras that are used; BagError for one without images."""
    found = [name for name, at in topics.cameras.items() if bag.topics[at.image].count]
    if not found:
        raise BagError(
            f'{bag.path} has no images, only ' + (', '.join(bag.topics) or 'no topics at all'))
    for name in (*config.cameras, *config.rectified, *config.offsets):
        if name not in found:
            raise BagError(f'{bag.path} has no images of {name}, only of ' + ', '.join(found))
    return tuple(sorted(config.cameras or found))


def _check_mounting(
    bag: BagReader, lidar: str, infos: dict[str, str], models: dict[str, dict[bytes, bytes]]
) -> None:
    """Check that TF connects each camera with the lidar."""
    transforms = BagTransforms(bag, '')
    for name, known in models.items():
        if not known:
            raise CalibrationError(f'{bag.path} has images of {name} but nothing on {infos[name]}')
        data = next(iter(known.values()))
        frame = bag.decode(infos[name], data).header.frame_id
        stamp = header_stamp(data)
        try:
            transforms.between((frame, stamp), (lidar, stamp))
        except CalibrationError as error:
            raise CalibrationError(
                f'{bag.path}: TF never sees camera {name}: {error}; name the other cameras to '
                'go on without it') from error


def _digest(
    models: dict[str, dict[bytes, bytes]], static: set[bytes], config: ExtractionConfig
) -> str:
    digest = hashlib.sha256()
    configured = {'rectified': sorted(config.rectified), 'offsets': dict(config.offsets)}
    digest.update(json.dumps(configured, sort_keys=True).encode())
    for name, known in models.items():
        digest.update(name.encode())
        for content in sorted(known):
            digest.update(content)
    for data in sorted(static):
        digest.update(data)
    return digest.hexdigest()
