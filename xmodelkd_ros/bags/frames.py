"""Frames of a bag: clouds with their images, paired and placed as the live node does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
import dataclasses
import logging
from pathlib import Path
from typing import Any

from .reader import BagReader, header_stamp
from .synchronising import is_settled, nearest
from .topics import CameraTopics, find_topics, SensorTopics, TRUTH
from .transforms import BagTransforms
from ..errors import BagError, CalibrationError, MessageError
from ..geometry.cameras import Camera
from ..labels import TRUE_POINTS
from ..messages.cameras import camera_from_message
from ..messages.clouds import cloud_from_message
from ..messages.images import mask_from_message, rgb_from_message
from ..records import Cloud, Frame, Picture, View

TOLERANCE = 50_000_000
"""Default of the largest distance in time between a cloud and its image, ns."""

_PATIENCE = 1_000_000_000


def frames(
    path: str | Path,
    cameras: Collection[str] | None = None,
    *,
    rectified: Collection[str] = (),
    fixed_frame: str = '',
    tolerance: int = TOLERANCE,
    offsets: Mapping[str, int] | None = None,
    stamps: Collection[int] | None = None,
    topics: SensorTopics | None = None,
    label_topic: str = TRUE_POINTS,
) -> Iterator[Frame]:
    """
    Yield a frame for each cloud of a bag, in the order of the clouds.

    Topics are found by `topics.find_topics`. Ground truth is filled in from the topics below
    /ground_truth. A camera without an image near enough, a calibration or a transform is absent
    from the frame; a cloud that cannot be used is left out. Either is said through `logging`.

    Parameters
    ----------
    path
        Bag folder or file.
    cameras
        Names of the cameras, None for all.
    rectified
        Names of the cameras whose images are rectified.
    fixed_frame
        Frame that does not move, to carry points from the cloud's time to the image's; empty
        takes the two as simultaneous and leaves `Frame.fixed_from_lidar` None.
    tolerance
        Largest distance in time between a cloud and its image, ns.
    offsets
        By camera, how much later it is stamped for the same instant, ns.
    stamps
        Stamps of the clouds that are wanted, ns, None for all; the others are not decoded.
    topics
        Where clouds and images come from, None for what is found.
    label_topic
        Clouds with the label of each point, of the same stamps as the sweeps.

    Raises
    ------
    BagError
        If the bag is damaged, has no /points, no images of a camera or not the topic of labels
        that is asked for, or a labelled cloud has another number of points than its sweep.

    """
    with BagReader(path) as bag:
        if label_topic != TRUE_POINTS:
            bag.require(label_topic)
        topics = topics or find_topics(bag, labels=label_topic)
        found = topics.cameras
        for name in cameras or ():
            if name not in found:
                raise BagError(f'{path} has no images of {name}, only of ' + ', '.join(found))
        chosen = {
            n: _Camera(n, at, at.rectified or n in rectified, (offsets or {}).get(n, 0))
            for n, at in found.items() if cameras is None or n in cameras
        }
        transforms = BagTransforms(bag, fixed_frame)
        pairing = _Pairing(
            bag, topics.points, chosen, transforms, tolerance, stamps, label_topic)
        yield from pairing.frames()


@dataclasses.dataclass
class _Camera:
    """Images of one camera that may still be chosen; `images` are serialised, with their info."""

    name: str
    topics: CameraTopics
    rectified: bool
    offset: int
    stamps: list[int] = dataclasses.field(default_factory=list)
    images: list[tuple[bytes, bytes | None]] = dataclasses.field(default_factory=list)
    info: bytes | None = None
    model: tuple[bytes, Camera] | None = None

    def put(self, data: bytes) -> None:
        self.stamps.append(header_stamp(data))
        self.images.append((data, self.info))

    def forget_before(self, stamp: int) -> None:
        old = sum(known < stamp for known in self.stamps)
        del self.stamps[:old], self.images[:old]

    def calibration(self, bag: BagReader, info: bytes | None) -> Camera:
        data = info or self.info
        if data is None:
            raise CalibrationError(f'no camera_info of {self.name} before its image')
        content = data[12:]  # behind the stamp
        if self.model is None or self.model[0] != content:
            message = bag.decode(self.topics.info, data)
            self.model = content, camera_from_message(message, self.rectified)
        return self.model[1]


class _Pairing:
    """One pass over a bag."""

    def __init__(
        self, bag: BagReader, points: str, cameras: dict[str, _Camera], transforms: BagTransforms,
        tolerance: int, stamps: Collection[int] | None, labels: str,
    ) -> None:
        self._bag, self._points, self._labels = bag, points, labels
        self._cameras, self._transforms = cameras, transforms
        self._tolerance, self._stamps = tolerance, stamps
        self._clouds: deque[tuple[int, bytes]] = deque()
        self._truth: dict[str, dict[int, bytes]] = {}

    def frames(self) -> Iterator[Frame]:
        for topic, log, data in self._bag.raw(self._topics()):
            while self._clouds and self._is_ready(log):
                yield from self._frame(self._clouds.popleft()[1])
            self._put(topic, log, data)
        for _, data in self._clouds:
            yield from self._frame(data)

    def _topics(self) -> list[str]:
        topics = [self._points, self._labels]
        for name, camera in self._cameras.items():
            topics += [camera.topics.image, camera.topics.info]
            topics += [f'{TRUTH}/{name}/label', f'{TRUTH}/{name}/instance']
        return [topic for topic in topics if topic in self._bag.topics]

    def _put(self, topic: str, log: int, data: bytes) -> None:
        if topic == self._points:
            self._clouds.append((log, data))
        elif topic == self._labels or topic.startswith(TRUTH):
            self._truth.setdefault(topic, {})[header_stamp(data)] = data
        for camera in self._cameras.values():
            if topic == camera.topics.info:
                camera.info = data
            elif topic == camera.topics.image:
                camera.put(data)

    def _is_ready(self, now: int) -> bool:
        """Whether nothing logged from `now` on can belong to the first cloud."""
        log, data = self._clouds[0]
        stamp = header_stamp(data)
        settled = all(is_settled(c.stamps, stamp, c.offset) for c in self._cameras.values())
        return (now > log and settled) or now > log + _PATIENCE

    def _frame(self, data: bytes) -> Iterator[Frame]:
        """Yield the frame of a cloud, or nothing if it is not wanted or cannot be used."""
        self._forget_before(header_stamp(data))
        if self._stamps is not None and header_stamp(data) not in self._stamps:
            return
        try:
            cloud = self._true_cloud(cloud_from_message(self._bag.decode(self._points, data)))
        except MessageError as error:
            _say(f'cloud of {header_stamp(data) / 1e9:.3f} s is left out', error)
            return
        views = {}
        for name, camera in self._cameras.items():
            index = nearest(camera.stamps, cloud.stamp, self._tolerance, camera.offset)
            if index is not None:
                try:
                    views[name] = self._view(camera, *camera.images[index], cloud)
                except (MessageError, CalibrationError) as error:
                    _say(f'no {name} for the cloud of {cloud.stamp / 1e9:.3f} s', error)
        yield self._transforms.frame(cloud, views)

    def _view(self, camera: _Camera, data: bytes, info: bytes | None, cloud: Cloud) -> View:
        message = self._bag.decode(camera.topics.image, data)
        stamp = header_stamp(data)
        picture = Picture(
            stamp,
            rgb_from_message(message),
            label=self._true_mask(f'{TRUTH}/{camera.name}/label', stamp),
            instance=self._true_mask(f'{TRUTH}/{camera.name}/instance', stamp),
            frame=message.header.frame_id,
        )
        model = camera.calibration(self._bag, info)
        height, width = picture.rgb.shape[:2]
        model.check_size(width, height)
        camera_from_lidar = self._transforms.between(
            (picture.frame, stamp - camera.offset), (cloud.frame, cloud.stamp))
        return View(camera.name, picture, model, camera_from_lidar, camera.offset)

    def _true_cloud(self, cloud: Cloud) -> Cloud:
        data = self._truth.get(self._labels, {}).get(cloud.stamp)
        if data is None:
            return cloud
        truth = cloud_from_message(self._bag.decode(self._labels, data))
        if len(truth.points) != len(cloud.points):
            raise BagError(
                f'{self._bag.path}: {self._labels} has {len(truth.points)} labels for '
                f'{len(cloud.points)} points at {cloud.stamp / 1e9:.3f} s')
        return dataclasses.replace(cloud, label=truth.label, instance=truth.instance)

    def _true_mask(self, topic: str, stamp: int) -> Any:
        data = self._truth.get(topic, {}).get(stamp)
        return None if data is None else mask_from_message(self._bag.decode(topic, data))

    def _forget_before(self, stamp: int) -> None:
        """Drop what no cloud from `stamp` on can need."""
        for camera in self._cameras.values():
            camera.forget_before(stamp + camera.offset - self._tolerance)
        for known in self._truth.values():
            for old in [s for s in known if s < stamp - _PATIENCE]:
                del known[old]


def _say(what: str, error: Exception) -> None:
    logging.getLogger(__name__).warning('%s: %s', what, error)
