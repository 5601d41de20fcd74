"""Frames of a bag: each cloud with the images and the transforms that a plain search finds."""

from __future__ import annotations

import logging

from geometry_msgs.msg import TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from xmodelkd_ros.bags.frames import frames
from xmodelkd_ros.bags.reader import BagReader
from xmodelkd_ros.bags.synchronising import is_settled, nearest
from xmodelkd_ros.bags.topics import find_topics
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.geometry.transforms import invert
from xmodelkd_ros.messages.cameras import camera_info_message
from xmodelkd_ros.messages.clouds import cloud_message
from xmodelkd_ros.messages.images import image_message
from xmodelkd_ros.messages.stamps import header_message
from xmodelkd_ros.messages.transforms import transform_message
from xmodelkd_ros.records import Cloud, MOTION_PERIOD

START = 1_700_000_000_000_000_000
MS = 1_000_000
CAMERA = Camera.pinhole(16, 12, 10.0, 10.0, 7.5, 5.5)


@given(
    stamps=st.lists(st.integers(0, 1000), max_size=20).map(sorted),
    stamp=st.integers(0, 1000), tolerance=st.integers(0, 300), offset=st.integers(-200, 200),
)
def test_the_nearest_image_is_that_of_a_plain_search(stamps, stamp, tolerance, offset):
    index = nearest(stamps, stamp, tolerance, offset)
    distances = [abs(known - offset - stamp) for known in stamps]
    if index is None:
        assert all(distance > tolerance for distance in distances)
    else:
        assert distances[index] == min(distances) <= tolerance


@settings(max_examples=200)
@given(period=st.integers(10, 100), phase=st.integers(0, 99), stamp=st.integers(0, 2000),
       offset=st.integers(-50, 50))
def test_once_settled_no_later_image_of_a_steady_camera_is_nearer(period, phase, stamp, offset):
    images = [phase + period * index for index in range(2200 // period + 2)]
    best = images[nearest(images, stamp, 10**6, offset)]
    for count in range(1, len(images) + 1):
        if is_settled(images[:count], stamp, offset):
            now = images[nearest(images[:count], stamp, 10**6, offset)]
            assert abs(now - stamp - offset) == abs(best - stamp - offset)
            return
    assert images[-1] < stamp + offset


def turned(yaw: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = x, y
    return pose


def odom_from_base(stamp: int) -> np.ndarray:
    """Turn steadily while driving, sampled as TF is: linear between whole 10 ms."""
    second = (stamp - START) / 1e9
    return turned(0.2 * second, 8 * second, second)


BASE_FROM_LIDAR = turned(0.1, 0.8, 0.1)
BASE_FROM_CAMERA = turned(-0.2, 1.1, -0.3)


def rgb(number: int) -> np.ndarray:
    return np.full((12, 16, 3), number % 251, np.uint8)


class Drive:
    """Writes a bag message by message, each at the log time of its stamp unless said."""

    def __init__(self, path):
        self.path = path
        self.rows = []

    def add(self, topic, message, stamp):
        self.rows.append((stamp, topic, message))

    def static(self):
        transforms = [
            transform_message(BASE_FROM_LIDAR, START, 'base_link', 'lidar'),
            transform_message(BASE_FROM_CAMERA, START, 'base_link', 'front'),
        ]
        self.add('/tf_static', TFMessage(transforms=transforms), START - MS)

    def poses(self, seconds=2.0):
        for stamp in range(START - 100 * MS, START + int(seconds * 1e9), 10 * MS):
            sent = transform_message(odom_from_base(stamp), stamp, 'odom', 'base_link')
            self.add('/tf', TFMessage(transforms=[sent]), stamp)

    def cloud(self, stamp, count=4, log=None, **truth):
        points = np.random.default_rng(stamp % 997).normal(size=(count, 3)).astype(np.float32)
        sweep = Cloud(stamp, points, time_offset=np.zeros(count, np.int64))
        self.add('/points', cloud_message(sweep), log or stamp)
        if truth:
            message = cloud_message(Cloud(stamp, points, **truth))
            self.add('/ground_truth/points', message, log or stamp)

    def image(self, stamp, number, name='front', log=None):
        header = header_message(stamp, name)
        log = log or stamp
        self.add(f'/{name}/camera_info', camera_info_message(CAMERA, stamp, name), log)
        self.add(f'/{name}/image', image_message(rgb(number), 'rgb8', header), log)

    def write(self):
        with BagWriter(self.path) as bag:
            for stamp, topic, message in sorted(self.rows, key=lambda row: row[0]):
                bag.write(topic, message, stamp)
        return self.path


def test_labels_of_another_topic_and_of_another_length(tmp_path):
    drive = Drive(tmp_path / 'drive')
    drive.cloud(START)
    label = np.array([1, 2, 259, 4], np.uint16)
    points = np.zeros((4, 3), np.float32)
    drive.add('/labelled', cloud_message(Cloud(START, points, label=label)), START)
    path = drive.write()
    (found,) = frames(path, label_topic='/labelled')
    np.testing.assert_array_equal(found.cloud.label, label)
    with pytest.raises(BagError, match='has no topic /others'):
        list(frames(path, label_topic='/others'))
    short = Drive(tmp_path / 'short')
    short.cloud(START, count=5)
    short.add('/labelled', cloud_message(Cloud(START, points, label=label)), START)
    with pytest.raises(BagError, match='/labelled has 4 labels for 5 points'):
        list(frames(short.write(), label_topic='/labelled'))


def jittered(tmp_path):
    """20 clouds, images at another rate with jitter, delays and gaps."""
    rng = np.random.default_rng(5)
    drive = Drive(tmp_path / 'bag')
    drive.static()
    drive.poses()
    clouds = [START + 100 * MS * index for index in range(15)]
    images = [START + 71 * MS * index + int(rng.integers(-20, 20)) * MS for index in range(21)]
    images = sorted({stamp for number, stamp in enumerate(images) if number % 7 != 3})
    for stamp in clouds:
        drive.cloud(stamp, log=stamp + 50 * MS)
    for number, stamp in enumerate(images):
        drive.image(stamp, number, log=stamp + 5 * MS)
    return drive.write(), clouds, images


@pytest.mark.parametrize('offset', [0, 18 * MS])
@pytest.mark.parametrize('tolerance', [15 * MS, 50 * MS])
def test_each_cloud_has_the_image_of_a_plain_search(tmp_path, tolerance, offset):
    path, clouds, images = jittered(tmp_path)
    got = list(frames(path, tolerance=tolerance, offsets={'front': offset}))
    assert [frame.cloud.stamp for frame in got] == clouds
    found = 0
    for frame in got:
        distances = [abs(stamp - offset - frame.cloud.stamp) for stamp in images]
        number = int(np.argmin(distances))
        if distances[number] > tolerance:
            assert not frame.views
            continue
        found += 1
        picture = frame.views['front'].picture
        assert picture.stamp == images[number]
        assert (picture.rgb == rgb(number)).all()
    assert 0 < found < len(clouds) or tolerance > 15 * MS


def test_transforms_are_those_of_the_two_times(tmp_path):
    path, _, _ = jittered(tmp_path)
    seen = 0
    for frame in frames(path, fixed_frame='odom'):
        fixed_from_lidar = odom_from_base(frame.cloud.stamp) @ BASE_FROM_LIDAR
        np.testing.assert_allclose(frame.fixed_from_lidar, fixed_from_lidar, atol=1e-9)
        before = odom_from_base(frame.cloud.stamp - MOTION_PERIOD) @ BASE_FROM_LIDAR
        np.testing.assert_allclose(frame.motion, invert(before) @ fixed_from_lidar, atol=1e-4)
        for view in frame.views.values():
            seen += 1
            fixed_from_camera = odom_from_base(view.picture.stamp) @ BASE_FROM_CAMERA
            expected = invert(fixed_from_camera) @ fixed_from_lidar
            # TF interpolates between samples 10 ms apart, the vehicle turns.
            np.testing.assert_allclose(view.camera_from_lidar, expected, atol=1e-4)
    assert seen > 8


def test_the_camera_is_placed_at_the_exposure_when_its_stamp_is_offset(tmp_path):
    path, _, _ = jittered(tmp_path)
    for frame in frames(path, fixed_frame='odom', offsets={'front': 30 * MS}):
        for view in frame.views.values():
            assert view.exposed == view.picture.stamp - 30 * MS
            exposed = odom_from_base(view.exposed) @ BASE_FROM_CAMERA
            lidar = odom_from_base(frame.cloud.stamp) @ BASE_FROM_LIDAR
            np.testing.assert_allclose(view.camera_from_lidar, invert(exposed) @ lidar, atol=1e-4)


def test_without_a_fixed_frame_both_times_are_one(tmp_path):
    path, _, _ = jittered(tmp_path)
    for frame in frames(path):
        assert frame.fixed_from_lidar is None
        for view in frame.views.values():
            expected = invert(BASE_FROM_CAMERA) @ BASE_FROM_LIDAR
            np.testing.assert_allclose(view.camera_from_lidar, expected, atol=1e-12)


def test_truth_is_filled_in(tmp_path):
    drive = Drive(tmp_path / 'bag')
    drive.static()
    label, instance = np.array([1, 2, 10, 10], np.uint16), np.array([0, 0, 7, 8], np.uint16)
    masks = np.arange(192, dtype=np.uint16).reshape(12, 16)
    for index in range(3):
        stamp = START + 100 * MS * index
        drive.image(stamp + 5 * MS, index)
        drive.cloud(stamp, label=label, instance=instance, log=stamp + 50 * MS)
        if index != 1:
            header = header_message(stamp + 5 * MS, 'front')
            for name, encoding, mask in (
                ('label', 'mono8', masks.astype(np.uint8)), ('instance', 'mono16', masks * 9),
            ):
                drive.add(f'/ground_truth/front/{name}', image_message(mask, encoding, header),
                          stamp + 5 * MS)
    got = list(frames(drive.write()))
    for index, frame in enumerate(got):
        np.testing.assert_array_equal(frame.cloud.label, label)
        np.testing.assert_array_equal(frame.cloud.instance, instance)
        picture = frame.views['front'].picture
        assert (picture.label is None) == (picture.instance is None) == (index == 1)
        if index != 1:
            np.testing.assert_array_equal(picture.label, masks.astype(np.uint8))
            np.testing.assert_array_equal(picture.instance, masks * 9)


def test_cameras_that_stop_or_are_missing_cost_only_themselves(tmp_path, caplog):
    drive = Drive(tmp_path / 'bag')
    drive.static()
    for index in range(40):
        stamp = START + 100 * MS * index
        drive.cloud(stamp)
        if index < 5:
            drive.image(stamp, index)
        drive.image(stamp, index, name='rear')  # TF does not know it
    with caplog.at_level(logging.WARNING):
        got = list(frames(drive.write()))
    assert [sorted(frame.views) for frame in got] == [['front']] * 5 + [[]] * 35
    assert 'no transform rear <- lidar' in caplog.text


def test_a_cloud_that_cannot_be_used_is_left_out_and_said(tmp_path, caplog):
    drive = Drive(tmp_path / 'bag')
    drive.cloud(START)
    bad = PointCloud2(header=header_message(START + MS, 'lidar'))
    drive.add('/points', bad, START + MS)
    drive.cloud(START + 2 * MS)
    with caplog.at_level(logging.WARNING):
        got = list(frames(drive.write()))
    assert [frame.cloud.stamp for frame in got] == [START, START + 2 * MS]
    assert 'left out: empty cloud' in caplog.text


def test_chosen_cameras_only(tmp_path):
    drive = Drive(tmp_path / 'bag')
    drive.static()
    for name in ('front', 'rear'):
        drive.image(START, 1, name=name)
    drive.cloud(START)
    path = drive.write()
    with BagReader(path) as bag:
        images = {name: at.image for name, at in find_topics(bag).cameras.items()}
        assert images == {'front': '/front/image', 'rear': '/rear/image'}
    assert [sorted(frame.views) for frame in frames(path, ['front'])] == [['front']]
    with pytest.raises(BagError, match='no images of side, only of front, rear'):
        next(frames(path, ['side']))


def test_a_bag_without_clouds_is_an_error(tmp_path):
    drive = Drive(tmp_path / 'bag')
    drive.add('/tf', TFMessage(transforms=[TransformStamped()]), START)
    with pytest.raises(BagError, match='no topic /points'):
        next(frames(drive.write()))
