"""The shipped DDS profile carries clouds and images between processes without a loss."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 80

SUBSCRIBER = f"""
import time, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
rclpy.init()
node = rclpy.create_node('receiver')
got = {{'cloud': set(), 'image': set()}}
def keep(kind):
    return lambda message: got[kind].add(message.header.stamp.sec)
node.create_subscription(PointCloud2, 'cloud', keep('cloud'), qos_profile_sensor_data)
node.create_subscription(Image, 'image', keep('image'), qos_profile_sensor_data)
print('ready', flush=True)
last, known = time.monotonic(), 0
while known < {2 * PAIRS} and time.monotonic() - last < 10.0:
    rclpy.spin_once(node, timeout_sec=0.5)
    count = len(got['cloud']) + len(got['image'])
    if count > known:
        last, known = time.monotonic(), count
print(len(got['cloud']), len(got['image']))
"""

PUBLISHER = f"""
import array, time, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
rclpy.init()
node = rclpy.create_node('sender')
senders = [node.create_publisher(PointCloud2, 'cloud', qos_profile_sensor_data),
           node.create_publisher(Image, 'image', qos_profile_sensor_data)]
messages = [PointCloud2(width=120_000, height=1, point_step=16, row_step=1_920_000),
            Image(width=1242, height=375, step=3726, encoding='rgb8')]
messages[0].data = array.array('B', bytes(1_920_000))
messages[1].data = array.array('B', bytes(3726 * 375))
deadline = time.monotonic() + 20.0
while time.monotonic() < deadline:
    if all(sender.get_subscription_count() for sender in senders):
        break
    time.sleep(0.05)
time.sleep(0.5)
for count in range({PAIRS}):
    for sender, message in zip(senders, messages):
        message.header.stamp.sec = count
        sender.publish(message)
    time.sleep(0.05)
time.sleep(2.0)
"""


def test_nothing_is_lost_with_the_shipped_profile():
    profile = str(ROOT / 'config' / 'fastdds.xml')
    environment = os.environ | {
        'ROS_DOMAIN_ID': str(160 + os.getpid() % 60),
        'FASTDDS_DEFAULT_PROFILES_FILE': profile,
        'FASTRTPS_DEFAULT_PROFILES_FILE': profile,
    }
    receiver = subprocess.Popen(
        [sys.executable, '-c', SUBSCRIBER], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert receiver.stdout.readline() == 'ready\n'
        subprocess.run([sys.executable, '-c', PUBLISHER], env=environment, check=True, timeout=60)
        output, _ = receiver.communicate(timeout=30)
    finally:
        receiver.kill()
    assert output.split() == [str(PAIRS), str(PAIRS)]


def test_the_environment_uses_the_profile():
    assert os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] == str(ROOT / 'config' / 'fastdds.xml')
    assert os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'] == str(ROOT / 'config' / 'fastdds.xml')
