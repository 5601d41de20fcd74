"""What a bag holds, found without decoding its sweeps and pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from .extraction_config import ExtractionConfig
from ..bags.frames import image_topics
from ..bags.reader import BagReader, header_stamp
from ..bags.transforms import BagTransforms
from ..errors import BagError, CalibrationError


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

    """

    stamps: np.ndarray
    lidar: str
    cameras: tuple[str, ...]
    calibration: str


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
        bag.require('/points')
        cameras = _cameras(bag, config.cameras)
        infos = {f'/{name}/camera_info': name for name in cameras}
        for topic, name in infos.items():
            if topic not in bag.topics:
                raise CalibrationError(f'{path} has images of {name} but no {topic}')
        stamps, lidar = [], ''
        models: dict[str, dict[bytes, bytes]] = {name: {} for name in cameras}
        static = set()
        topics = [t for t in ('/points', '/tf_static', *infos) if t in bag.topics]
        for topic, _, data in bag.raw(topics):
            if topic == '/points':
                lidar = lidar or bag.decode(topic, data).header.frame_id
                stamps.append(header_stamp(data))
            elif topic == '/tf_static':
                static.add(data)
            else:
                models[infos[topic]].setdefault(data[12:], data)  # behind the stamp
        if not stamps:
            raise BagError(f'{path} has no sweeps on /points')
        _check_mounting(bag, lidar, models)
    return Survey(np.array(stamps), lidar, cameras, _digest(models, static, config))


def _cameras(bag: BagReader, wanted: tuple[str, ...]) -> tuple[str, ...]:
    found = [name for name, topic in image_topics(bag).items() if bag.topics[topic].count]
    if not found:
        raise BagError(
            f'{bag.path} has no images, only ' + (', '.join(bag.topics) or 'no topics at all'))
    for name in wanted:
        if name not in found:
            raise BagError(f'{bag.path} has no images of {name}, only of ' + ', '.join(found))
    return tuple(sorted(wanted or found))


def _check_mounting(
    bag: BagReader, lidar: str, models: dict[str, dict[bytes, bytes]]
) -> None:
    """Check that TF connects each camera with the lidar."""
    transforms = BagTransforms(bag, '')
    for name, known in models.items():
        if not known:
            raise CalibrationError(f'{bag.path} has images of {name} but no /{name}/camera_info')
        data = next(iter(known.values()))
        frame = bag.decode(f'/{name}/camera_info', data).header.frame_id
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
