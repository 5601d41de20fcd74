"""The topics that come in: callbacks that only enqueue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from message_filters import Subscriber
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
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
        self._numbers: dict[str, int] = {}  # Of the latest messages, as their publishers count.
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
            message_lost=lambda event: self._note_lost(
                source, event.total_count_change))  # type: ignore[attr-defined]
        subscriber = Subscriber(
            self._node, kind, f'~/input/{topic}', qos_profile=_SENSOR_DATA,
            event_callbacks=events)
        self._ledger.name(source, subscriber.sub.topic_name)
        subscriber.registerCallback(callback)
        self._number(source, subscriber.sub)
        self._subscribers.append(subscriber)

    def _number(self, source: str, subscription: Subscription) -> None:
        """
        Count the messages that are missing between those that come, by their numbers.

        What a callback is too late for, newer messages push out, and no event tells of it.
        """
        pass_on = subscription.callback

        def receive(message: object, info: Mapping[str, int | None]) -> None:
            number, last = info.get('publication_sequence_number'), self._numbers.get(source)
            if number is not None:
                self._numbers[source] = number
                # Each publisher has numbers of its own.
                if last and number > last + 1 and subscription.get_publisher_count() == 1:
                    self._ledger.lose(source, number - last - 1)
            pass_on(message)

        subscription.callback = receive

    def _note_lost(self, source: str, count: int) -> None:
        """Count what the middleware says it has lost, where messages have no numbers."""
        if source not in self._numbers:
            self._ledger.lose(source, count)

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscriber in self._subscribers:
            self._node.destroy_subscription(subscriber.sub)
        self._subscribers.clear()
