"""A perception node in its own process, and what a test needs around it, over real DDS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import cv2
from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from small_world import CAMERA, CAMERA_FROM_LIDAR, cloud, picture, TRACK_EVERYTHING
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo
from xmodelkd_ros.geometry.transforms import invert
from xmodelkd_ros.messages.cameras import camera_info_message
from xmodelkd_ros.messages.clouds import cloud_message
from xmodelkd_ros.messages.images import image_message
from xmodelkd_ros.messages.stamps import header_message, nanoseconds
from xmodelkd_ros.messages.transforms import transform_message

PATIENCE = 60.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MS = 1_000_000
COMPRESSED = 'left'
"""Name of the camera whose images are compressed."""

DOMAIN = str(40 + os.getpid() % 60)


def parameter_arguments(values):
    """Return ROS arguments that set parameters."""
    shown = {k: str(v).lower() if isinstance(v, bool) else v for k, v in values.items()}
    return ['--ros-args', *(part for k, v in shown.items() for part in ('-p', f'{k}:={v}'))]


def base_parameters(models, cameras):
    """Return the parameters of a node with tiny models that believes everything."""
    point, video = models
    return {
        'cameras': f'[{",".join(cameras)}]', 'point_model': point, 'video_model': video,
        'device': 'cpu', 'threads': 1, 'max_wait': 0.3,
        **{f'camera.{c}.transport': 'compressed' for c in cameras if c == COMPRESSED},
        **{f'pipeline.tracker.{name}': value for name, value in TRACK_EVERYTHING.items()},
    }


def wait_for(condition, patience=PATIENCE):
    """Return the first true value of a condition; fail if there is none in time."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError('waited in vain')


def image_of(stamp, camera='front', seed=0):
    """Return an image message, compressed if the camera's are."""
    rgb, header = picture(stamp, seed).rgb, header_message(stamp, camera)
    if camera != COMPRESSED:
        return image_message(rgb, 'rgb8', header)
    _, data = cv2.imencode('.png', rgb[..., ::-1])
    return CompressedImage(header=header, format='png', data=data.tobytes())


class LivePerception:
    """Starts the node, publishes to it and keeps what it says."""

    def __init__(self, folder, models, cameras=('front',), **parameters):
        os.environ['ROS_DOMAIN_ID'] = DOMAIN
        self.cameras, self.log = cameras, folder / 'node.log'
        arguments = parameter_arguments({**base_parameters(models, cameras), **parameters})
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'xmodelkd_ros.nodes.perception', *arguments],
                stdout=log, stderr=subprocess.STDOUT)
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('test', context=self.context)
        self.outputs, self.diagnostics = {}, {}
        self._make_publishers()
        self._subscribe()
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        wait_for(lambda: all(p.get_subscription_count() for p in self.publishers.values()))
        wait_for(lambda: self.diagnostics.get('state') == 'active')

    def _make_publishers(self):
        topics = {'points': PointCloud2}
        for name in self.cameras:
            image = CompressedImage if name == COMPRESSED else Image
            topics |= {f'{name}/image': image, f'{name}/camera_info': CameraInfo}
        self.publishers = {
            topic: self.node.create_publisher(
                kind, f'/perception/input/{topic}{"/compressed" * (kind is CompressedImage)}',
                qos_profile_sensor_data if topic.endswith('image') else 10)
            for topic, kind in topics.items()
        }
        self.tf = self.node.create_publisher(TFMessage, '/tf_static', LATCHED)
        self.tf.publish(TFMessage(transforms=[
            transform_message(invert(CAMERA_FROM_LIDAR), 0, 'lidar', name)
            for name in self.cameras]))

    def _subscribe(self):
        self.listen('points', PointCloud2)
        self.listen('instances', Detection3DArray)
        for name in self.cameras:
            self.listen(f'{name}/instance_mask', Image)
            self.listen(f'{name}/detections', Detection2DArray)
            self.listen(f'{name}/overlay', Image)
        self.listen('label_info', LabelInfo, LATCHED)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, 10)

    def listen(self, topic, kind, profile=10):
        kept = self.outputs.setdefault(topic, [])
        self.node.create_subscription(kind, f'/perception/output/{topic}', kept.append, profile)

    def _diagnosed(self, message):
        for status in message.status:
            self.level, self.summary = status.level, status.message
            self.diagnostics = {pair.key: pair.value for pair in status.values}

    def send(self, topic, message):
        self.publishers[topic].publish(message)

    def send_frame(self, stamp, cameras=None, seed=0, of=None):
        """Publish camera_info and images, then the cloud, or the one that is given."""
        for name in self.cameras if cameras is None else cameras:
            self.send(f'{name}/camera_info', camera_info_message(CAMERA, stamp, name))
            self.send(f'{name}/image', image_of(stamp, name, seed))
        self.send('points', of or cloud_message(cloud(stamp, seed=seed)))

    def next_report(self):
        """Wait for diagnostics that are newer than all that has happened."""
        old = self.diagnostics
        wait_for(lambda: self.diagnostics is not old)

    def output_at(self, stamp, topic='points'):
        """Return the message of a topic with a stamp, as soon as it is there."""
        return wait_for(lambda: next(
            (m for m in self.outputs[topic] if nanoseconds(m.header.stamp) == stamp), None))

    def counts(self, source, **expected):
        """Return the counts of an input, once they are those that are expected."""
        def found():
            counts = {k.removeprefix(f'{source}.'): v for k, v in self.diagnostics.items()
                      if k.startswith(f'{source}.')}
            right = all(counts.get(k) == str(v) for k, v in expected.items())
            return counts if right else None

        try:
            return wait_for(found, 20)
        except AssertionError:
            raise AssertionError((source, expected, self.diagnostics, self.said())) from None

    def said(self):
        """Return the node's log."""
        return self.log.read_text()

    def close(self):
        """Interrupt the node and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()
            self._executor.shutdown()
            self._thread.join(10)
            self.context.shutdown()
