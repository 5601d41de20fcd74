"""Messages of one moment made into a frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from .calibrations import Calibrations
from .intake import Arrival, Intake
from .ledger import USED
from .logbook import Logbook
from .perception_config import CameraConfig, PerceptionConfig
from .transforms import Transforms
from ..errors import CalibrationError, MessageError
from ..messages.clouds import cloud_from_message
from ..messages.images import rgb_from_message
from ..messages.stamps import nanoseconds
from ..records import Cloud, Frame, Picture, View


class FrameMaker:
    """
    Makes the frame of a cloud, and counts its images as used or refused.

    Parameters
    ----------
    config, cameras
        Settings of the node and of each camera.
    intake, calibrations, transforms
        Where images, camera models and transforms are.
    logbook
        Where fates are noted.

    """

    def __init__(
        self,
        config: PerceptionConfig,
        cameras: Mapping[str, CameraConfig],
        intake: Intake,
        calibrations: Calibrations,
        transforms: Transforms,
        logbook: Logbook,
    ) -> None:
        self._max_wait, self._cameras = config.max_wait, cameras
        self._intake, self._calibrations = intake, calibrations
        self._transforms, self._logbook = transforms, logbook
        self._pictures: dict[str, tuple[Image | CompressedImage, Picture | None]] = {}

    def __call__(self, arrival: Arrival) -> Frame:
        """
        Return the frame of a cloud, with the views that can be used.

        Raises
        ------
        MessageError
            If the cloud cannot be used.

        """
        cloud = cloud_from_message(arrival.message)
        self._check_finite(arrival, cloud)
        patience = arrival.received + self._max_wait
        messages = self._intake.take_images(arrival)
        made = {name: self._view(name, message, cloud, patience)
                for name, message in messages.items()}
        views = {name: view for name, view in made.items() if view is not None}
        return self._transforms.frame(cloud, views, patience)

    def _check_finite(self, arrival: Arrival, cloud: Cloud) -> None:
        """Say it if a cloud that calls itself dense is not."""
        finite = np.isfinite(cloud.points)
        if not arrival.message.is_dense or finite.all():
            return
        count = int((~finite).any(1).sum())
        self._logbook.not_finite += count
        self._logbook.complaints.warn(
            f'{self._logbook.ledger.topic("points")}: message of {cloud.stamp / 1e9:.3f} s '
            f'has {count} points that are NaN or infinite though is_dense is set; '
            'they get label 0')

    def _view(
        self, name: str, message: Image | CompressedImage, cloud: Cloud, patience: float
    ) -> View | None:
        """Return the view of an image, None where it is refused; each is counted once."""
        is_new = self._pictures.get(name, (None,))[0] is not message
        try:
            if is_new:
                self._pictures[name] = message, None
                self._pictures[name] = message, _picture(message)
            picture = self._pictures[name][1]
            if picture is None:
                return None
            view = self._placed(name, picture, cloud, patience)
        except (MessageError, CalibrationError) as error:
            self._pictures[name] = message, None
            if is_new:
                stamp = nanoseconds(message.header.stamp)
                self._logbook.ledger.refuse(f'image.{name}', stamp, error)
            return None
        if is_new:
            self._logbook.ledger.settle(f'image.{name}', USED)
        return view

    def _placed(self, name: str, picture: Picture, cloud: Cloud, patience: float) -> View:
        height, width = picture.rgb.shape[:2]
        camera = self._calibrations.camera(name, width, height)
        offset = self._cameras[name].offset
        camera_from_lidar = self._transforms.between(
            (picture.frame, picture.stamp - offset), (cloud.frame, cloud.stamp), patience)
        return View(name, picture, camera, camera_from_lidar, offset)


def _picture(message: Image | CompressedImage) -> Picture:
    stamp = nanoseconds(message.header.stamp)
    return Picture(stamp, rgb_from_message(message), frame=message.header.frame_id)
