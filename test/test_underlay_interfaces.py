"""The generated interfaces: upstream's definitions, and they travel over DDS."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
import time

from ament_index_python.packages import get_package_share_directory
import pytest

pytestmark = pytest.mark.ros

# Hashes of the type descriptions (REP 2016) of vision_msgs 4.1 on Jazzy: names, types and order.
HASHES = {
    'BoundingBox2D': '008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f',
    'BoundingBox2DArray': '2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691',
    'BoundingBox3D': 'bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698',
    'Detection3D': 'ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b',
    'LabelInfo': '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
    'ObjectHypothesisWithPose': '41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc',
    'VisionClass': '1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a',
}

RECEIVER = """
import sys, rclpy
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray
rclpy.init()
node = rclpy.create_node('receiver')
got = {}
def keep(message):
    got[type(message).__name__] = message
node.create_subscription(TFMessage, 'test_tf', keep, 10)
node.create_subscription(Detection2DArray, 'test_detections', keep, 10)
print('ready', flush=True)
while len(got) < 2:
    rclpy.spin_once(node, timeout_sec=1.0)
detection = got['Detection2DArray'].detections[0]
frame = got['TFMessage'].transforms[0].child_frame_id
x = detection.bbox.center.position.x
print(frame, detection.id, x, detection.results[0].hypothesis.class_id)
"""


@pytest.mark.parametrize('name', sorted(HASHES))
def test_definition_is_upstreams(name):
    share = Path(get_package_share_directory('vision_msgs'))
    described = json.loads((share / 'msg' / f'{name}.json').read_text())
    hashes = {entry['type_name']: entry['hash_string'] for entry in described['type_hashes']}
    assert hashes[f'vision_msgs/msg/{name}'] == f'RIHS01_{HASHES[name]}'


def test_tf2_definitions_are_those_of_rosbags():
    get_typestore = pytest.importorskip('rosbags.typesys').get_typestore
    from rosbags.typesys import Stores
    from tf2_msgs.msg import TF2Error, TFMessage

    known = get_typestore(Stores.ROS2_JAZZY).fielddefs
    assert list(TFMessage.get_fields_and_field_types()) == [
        name for name, _ in known['tf2_msgs/msg/TFMessage'][1]
    ]
    constants = {name: value for name, _, value in known['tf2_msgs/msg/TF2Error'][0]}
    assert constants == {name: getattr(TF2Error, name) for name in constants}
    assert list(TF2Error.get_fields_and_field_types()) == ['error', 'error_string']


def test_messages_travel_between_processes():
    import rclpy
    from rclpy.context import Context
    from rclpy.node import Node
    from tf2_msgs.msg import TFMessage
    from vision_msgs.msg import Detection2DArray

    domain = 160 + os.getpid() % 60
    receiver = subprocess.Popen(
        [sys.executable, '-c', RECEIVER],
        env=os.environ | {'ROS_DOMAIN_ID': str(domain)},
        stdout=subprocess.PIPE,
        text=True,
    )
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    try:
        assert receiver.stdout.readline() == 'ready\n'
        node = Node('sender', context=context)
        publishers = {
            node.create_publisher(TFMessage, 'test_tf', 10): tf_message(),
            node.create_publisher(Detection2DArray, 'test_detections', 10): detections_message(),
        }
        deadline = time.monotonic() + 20
        while receiver.poll() is None and time.monotonic() < deadline:
            for publisher, message in publishers.items():
                publisher.publish(message)
            time.sleep(0.05)
        assert receiver.stdout.read().split() == ['lidar', '42', '3.5', 'car']
    finally:
        receiver.kill()
        rclpy.shutdown(context=context)


def tf_message():
    """Return a message with one transform."""
    from geometry_msgs.msg import TransformStamped
    from tf2_msgs.msg import TFMessage

    return TFMessage(transforms=[TransformStamped(child_frame_id='lidar')])


def detections_message():
    """Return a message with one detection."""
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    detection = Detection2D(id='42', results=[ObjectHypothesisWithPose()])
    detection.results[0].hypothesis.class_id = 'car'
    detection.bbox.center.position.x = 3.5
    return Detection2DArray(detections=[detection])


def test_action_and_service_of_tf2_are_there():
    from tf2_msgs.action import LookupTransform
    from tf2_msgs.srv import FrameGraph

    goal = LookupTransform.Goal()
    assert (goal.advanced, goal.fixed_frame) == (False, '')
    assert FrameGraph.Response().frame_yaml == ''
