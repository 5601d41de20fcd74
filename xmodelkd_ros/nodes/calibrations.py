"""The camera model of each camera, from its latest camera_info."""

from __future__ import annotations

from collections.abc import Mapping

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

from ..errors import CalibrationError
from ..geometry.cameras import Camera
from ..messages.cameras import camera_from_message


class Calibrations:
    """
    Keeps camera models until a message with other content comes.

    Parameters
    ----------
    rectified
        By camera name, whether its images are rectified.

    """

    def __init__(self, rectified: Mapping[str, bool]) -> None:
        self._rectified = rectified
        self._messages: dict[str, CameraInfo] = {}
        self._models: dict[str, tuple[CameraInfo, Camera]] = {}  # With what each was read from.

    def put(self, name: str, message: CameraInfo) -> None:
        """Take note of a message; it is read when an image needs it."""
        message.header.stamp = Time()  # So that equal calibrations are equal messages.
        if self._messages.get(name) != message:
            self._messages[name] = message

    def camera(self, name: str, width: int, height: int) -> Camera:
        """
        Return the model of a camera whose images have the given size in pixels.

        Raises
        ------
        CalibrationError
            If no message has come, or it is of another size or impossible.

        """
        message = self._messages.get(name)
        if message is None:
            raise CalibrationError('no camera_info has come')
        source, camera = self._models.get(name, (None, None))
        if camera is None or source is not message:
            camera = camera_from_message(message, self._rectified[name])
            self._models[name] = message, camera
        camera.check_size(width, height)
        return camera
