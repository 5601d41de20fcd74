"""The topics that come in: callbacks that only enqueue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from message_filters import Subscriber
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from .calibrations import Calibrations
from .intake import Intake
from .ledger import Ledger
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
    ledger
        Told the topics, and what the middleware has dropped.

    """

    def __init__(
        self,
        node: Node,
        cameras: Mapping[str, CameraConfig],
        intake: Intake,
        calibrations: Calibrations,
        ledger: Ledger,
    ) -> None:
        self._node, self._ledger = node, ledger
        self._subscribers: list[Subscriber] = []
        self._listen(PointCloud2, 'points', 'points', intake.add_cloud)
        for name, camera in cameras.items():
            kind, topic = _TRANSPORTS[camera.transport]
            self._listen(
                kind, f'{name}/{topic}', f'image.{name}', partial(intake.add_image, name))
            self._listen(
                CameraInfo, f'{name}/camera_info', f'camera_info.{name}',
                partial(calibrations.put, name))

    def _listen(
        self, kind: type, topic: str, source: str, callback: Callable[[Any], None]
    ) -> None:
        events = SubscriptionEventCallbacks(
            message_lost=lambda event: self._ledger.lose(
                source, event.total_count_change))  # type: ignore[attr-defined]
        subscriber = Subscriber(
            self._node, kind, f'~/input/{topic}', qos_profile=_SENSOR_DATA,
            event_callbacks=events)
        self._ledger.name(source, subscriber.sub.topic_name)
        subscriber.registerCallback(callback)
        self._subscribers.append(subscriber)

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscriber in self._subscribers:
            self._node.destroy_subscription(subscriber.sub)
        self._subscribers.clear()
