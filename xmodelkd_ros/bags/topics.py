"""Which topics of a bag are the lidar's and the cameras', by their types and names."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from .reader import BagReader
from ..errors import BagError
from ..labels import TRUE_POINTS

TRUTH = '/ground_truth'
"""Topics below this one are no sensors'."""

_CLOUD = 'sensor_msgs/msg/PointCloud2'
_COMPRESSED = 'sensor_msgs/msg/CompressedImage'
_INFO = 'sensor_msgs/msg/CameraInfo'
_IMAGES = ('sensor_msgs/msg/Image', _COMPRESSED)
_PREFERRED = (
    'image', 'image_raw', 'image_color', 'image_rect', 'image_rect_color', 'image_rect_raw',
)
"""Last parts of image topics, the better first: what a camera saw before what was made of it."""


@dataclasses.dataclass(frozen=True)
class CameraTopics:
    """
    Topics of a camera.

    Parameters
    ----------
    image, info
        Its pictures and their CameraInfo.
    rectified
        Whether the name says that the pictures are rectified.

    """

    image: str
    info: str
    rectified: bool


@dataclasses.dataclass(frozen=True)
class SensorTopics:
    """
    Topics of a vehicle's sensors.

    Parameters
    ----------
    points
        The sweeps of the lidar.
    cameras
        By name, in the order of the names.

    """

    points: str
    cameras: Mapping[str, CameraTopics]


def find_topics(
    bag: BagReader, points: str = '', images: Mapping[str, str] | None = None,
    labels: str = TRUE_POINTS,
) -> SensorTopics:
    """
    Find the topics of the sensors.

    Clouds are /points, or else the only PointCloud2. A camera is an Image or CompressedImage that
    has a camera_info beside it, or is called image, and has the name of the namespace, or is the
    `camera` where it has none. Of several in one namespace the raw one is taken, uncompressed if
    it is there; depth is left out.

    Parameters
    ----------
    bag
        An open bag.
    points
        Topic of the clouds, where several are there.
    images
        Image topic by name of the camera, instead of what is found.
    labels
        Topic of labelled clouds, which are no sweeps unless they are the only clouds.

    Raises
    ------
    BagError
        If there are no clouds or several, or a topic is not there or of another type.

    """
    cameras = _find_cameras(bag)
    if images:
        for topic in images.values():
            bag.require(topic, *_IMAGES)
        cameras = {name: _camera(topic) for name, topic in images.items()}
    for camera in cameras.values():
        if camera.info in bag.topics:
            bag.require(camera.info, _INFO)
    return SensorTopics(_find_points(bag, points, labels), dict(sorted(cameras.items())))


def _find_points(bag: BagReader, given: str, labels: str) -> str:
    found = [
        name for name, topic in bag.topics.items()
        if topic.type_name == _CLOUD and not name.startswith(TRUTH)
    ]
    found = [name for name in found if name != labels] or found
    if given or '/points' in found or not found:
        bag.require(given or '/points', _CLOUD)
        return given or '/points'
    if len(found) > 1:
        raise BagError(f'{bag.path} has several topics of clouds, name one: ' + ', '.join(found))
    return found[0]


def _find_cameras(bag: BagReader) -> dict[str, CameraTopics]:
    best: dict[str, tuple[int, bool, str]] = {}
    for name, topic in bag.topics.items():
        if topic.type_name not in _IMAGES or name.startswith(TRUTH) or 'depth' in name:
            continue
        space, kind = _split(name)
        if kind == 'image' or (kind in _PREFERRED and f'{space}/camera_info' in bag.topics):
            rank = _PREFERRED.index(kind), topic.type_name == _COMPRESSED, name
            camera = space.strip('/') or 'camera'
            best[camera] = min(rank, best.get(camera, rank))
    return {name: _camera(topic) for name, (_, _, topic) in best.items()}


def _camera(topic: str) -> CameraTopics:
    space, kind = _split(topic)
    return CameraTopics(topic, f'{space}/camera_info', kind.startswith('image_rect'))


def _split(topic: str) -> tuple[str, str]:
    """Return namespace and kind of an image topic, as '/front' and 'image_raw'."""
    space, _, kind = topic.removesuffix('/compressed').rpartition('/')
    return space, kind
