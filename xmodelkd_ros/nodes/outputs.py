"""The topics on which results go out; what nobody subscribes to is not made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo

from .models import Models
from ..drawing.overlay import draw_overlay
from ..drawing.text import text_width
from ..inference.pipeline import PerceptionResult
from ..labels import SemanticClass, UNLABELLED
from ..messages.detections import (
    detections_2d_message,
    detections_3d_message,
    label_info_message,
)
from ..messages.images import image_message
from ..messages.labelled_clouds import labelled_cloud_message
from ..messages.stamps import header_message
from ..records import Frame, Tracks, View

Classes = Sequence[SemanticClass]

DEPTH = 5
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_RELIABILITIES = {
    'reliable': ReliabilityPolicy.RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
}


class Outputs:
    """
    Publishers of the node's results.

    Parameters
    ----------
    node
        Owns the publishers.
    cameras
        Names of the cameras.
    reliability
        'reliable' or 'best_effort'.
    models
        Know the classes of points and tracks.

    """

    def __init__(
        self,
        node: LifecycleNode,
        cameras: Sequence[str],
        reliability: str,
        models: Models,
    ) -> None:
        self._node = node
        self._profile = QoSProfile(depth=DEPTH, reliability=_RELIABILITIES[reliability])
        self._things: Classes = models.video.classes if models.video else ()
        self._publishers: dict[str, LifecyclePublisher] = {}
        self._infos: dict[str, Classes] = {'label_info': [UNLABELLED, *models.points.classes]}
        self._open('points', PointCloud2)
        self._open('instances', Detection3DArray)
        for camera in cameras:
            self._open(f'{camera}/instance_mask', Image)
            self._open(f'{camera}/detections', Detection2DArray)
            self._open(f'{camera}/overlay', Image)
            self._infos[f'{camera}/label_info'] = self._things
        for topic in self._infos:
            self._open(topic, LabelInfo, _LATCHED)
        text_width('0')  # Loads OpenCV's font, for which no frame has the time.

    def _open(self, topic: str, kind: type, profile: QoSProfile | None = None) -> None:
        self._publishers[topic] = self._node.create_lifecycle_publisher(
            kind, f'~/output/{topic}', profile or self._profile)

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def publish_label_infos(self, stamp: int) -> None:
        """Publish the class names, latched; `stamp` in ns."""
        for topic, classes in self._infos.items():
            self._publishers[topic].publish(label_info_message(classes, header_message(stamp, '')))

    def publish_points(self, source: PointCloud2, result: PerceptionResult) -> None:
        """Publish the labelled cloud."""
        self._offer('points', lambda: labelled_cloud_message(
            source, result.labels, result.instance))

    def publish_instances(self, frame: Frame, result: PerceptionResult) -> None:
        """Publish the boxes of tracks, and what there is of each view."""
        header = header_message(frame.cloud.stamp, frame.cloud.frame)
        self._offer('instances', lambda: detections_3d_message(
            result.boxes, self._things, header))
        for camera, tracks in result.tracks.items():
            self._publish_view(frame.views[camera], tracks, result)

    def _publish_view(self, view: View, tracks: Tracks, result: PerceptionResult) -> None:
        header = header_message(view.picture.stamp, view.picture.frame)
        self._offer(f'{view.name}/instance_mask', lambda: image_message(
            tracks.id_map, 'mono16', header))
        self._offer(f'{view.name}/detections', lambda: detections_2d_message(
            tracks, self._things, header))
        self._offer(f'{view.name}/overlay', lambda: image_message(
            draw_overlay(
                view.picture.rgb, tracks, result.pairings[view.name], result.labels.label),
            'rgb8', header))

    def _offer(self, topic: str, make: Callable[[], Any]) -> None:
        publisher = self._publishers[topic]
        if publisher.get_subscription_count() > 0:
            publisher.publish(make())
