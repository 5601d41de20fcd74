"""The topics that come in: callbacks that only enqueue."""

from __future__ import annotations

from collections.abc import Mapping

from message_filters import Subscriber
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from .calibrations import Calibrations
from .intake import Intake
from .perception_config import CameraConfig

_SENSOR_DATA = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
_TRANSPORTS = {'raw': (Image, 'image'), 'compressed': (CompressedImage, 'image/compressed')}


class Inputs:
    """
    Subscriptions to the cloud and to each camera.

    They are best effort, so that publishers of either reliability are heard. A publisher whose
    quality of service does not suit is said by rclpy, in one line.

    Parameters
    ----------
    node
        Owns the subscriptions.
    cameras
        Settings by camera name.
    intake
        Gets clouds and images.
    calibrations
        Gets camera_info.

    """

    def __init__(
        self,
        node: Node,
        cameras: Mapping[str, CameraConfig],
        intake: Intake,
        calibrations: Calibrations,
    ) -> None:
        self._node = node
        self._subscribers: list[Subscriber] = []
        self._listen(PointCloud2, 'points', intake.add_cloud)
        for name, camera in cameras.items():
            kind, topic = _TRANSPORTS[camera.transport]
            self._listen(kind, f'{name}/{topic}', lambda m, n=name: intake.add_image(n, m))
            self._listen(
                CameraInfo, f'{name}/camera_info', lambda m, n=name: calibrations.put(n, m))

    def _listen(self, kind: type, topic: str, callback: object) -> None:
        subscriber = Subscriber(
            self._node, kind, f'~/input/{topic}', qos_profile=_SENSOR_DATA)
        subscriber.registerCallback(callback)
        self._subscribers.append(subscriber)

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscriber in self._subscribers:
            self._node.destroy_subscription(subscriber.sub)
        self._subscribers.clear()
