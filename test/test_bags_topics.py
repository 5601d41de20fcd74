"""Topics of sensors, found in bags as people record them."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from xmodelkd_ros.bags.frames import frames
from xmodelkd_ros.bags.reader import BagReader
from xmodelkd_ros.bags.topics import CameraTopics, find_topics
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.messages.cameras import camera_info_message
from xmodelkd_ros.messages.clouds import cloud_message
from xmodelkd_ros.messages.images import image_message
from xmodelkd_ros.messages.stamps import header_message
from xmodelkd_ros.messages.transforms import transform_message
from xmodelkd_ros.records import Cloud

STAMP = 1_700_000_000_000_000_000


def bag_of(path, **types):
    """Write a bag with an empty message of each topic; __ in a name is a slash."""
    with BagWriter(path) as bag:
        for name, message in types.items():
            bag.write('/' + name.replace('__', '/'), message(), STAMP)
    return BagReader(path)


def test_topics_of_common_drivers_are_found(tmp_path):
    with bag_of(
        tmp_path / 'bag', velodyne_points=PointCloud2, ground_truth__points=PointCloud2,
        cam__left__camera_info=CameraInfo, cam__left__image_rect_color=Image,
        cam__left__image_raw__compressed=CompressedImage, cam__left__image_raw=Image,
        cam__right__camera_info=CameraInfo, cam__right__image_rect__compressed=CompressedImage,
        depth__camera_info=CameraInfo, depth__image_raw=Image, loose__image_raw=Image,
        plain__image=Image, plain__camera_info=CameraInfo, plain__image_mono=Image,
    ) as bag:
        topics = find_topics(bag)
    assert topics.points == '/velodyne_points'
    assert {name: (at.image, at.rectified) for name, at in topics.cameras.items()} == {
        'cam/left': ('/cam/left/image_raw', False),
        'cam/right': ('/cam/right/image_rect/compressed', True),
        'plain': ('/plain/image', False),
    }
    assert topics.cameras['cam/left'].info == '/cam/left/camera_info'


def test_a_camera_without_a_namespace_has_a_name(tmp_path):
    with bag_of(
        tmp_path / 'bag', points=PointCloud2, image_raw=Image, camera_info=CameraInfo,
    ) as bag:
        camera, = find_topics(bag).cameras.items()
    assert camera == ('camera', CameraTopics('/image_raw', '/camera_info', False))


def test_given_topics_are_taken(tmp_path):
    with bag_of(
        tmp_path / 'bag', top=PointCloud2, side=PointCloud2, cam__camera_info=CameraInfo,
        cam__image_raw=Image, cam__image_rect=Image,
    ) as bag:
        with pytest.raises(BagError, match=r'several topics of clouds.*/side, /top'):
            find_topics(bag)
        topics = find_topics(bag, '/top', {'eye': '/cam/image_rect'})
        assert topics.points == '/top' and list(topics.cameras) == ['eye']
        assert topics.cameras['eye'].rectified
        for given in (('/roof', {}), ('/top', {'eye': '/cam/image'})):
            with pytest.raises(BagError, match='has no topic'):
                find_topics(bag, *given)
        for given in (('/cam/image_raw', {}), ('/top', {'eye': '/cam/camera_info'})):
            with pytest.raises(BagError, match=r'/cam/\w+ holds sensor_msgs/msg/\w+, not '):
                find_topics(bag, *given)


@pytest.mark.parametrize('topic', ['/points', '/tf', '/tf_static', '/front/camera_info'])
def test_a_topic_of_another_type_is_named(tmp_path, topic):
    messages = {'/points': PointCloud2(), '/front/image': Image()}
    with BagWriter(tmp_path / 'bag') as bag:
        for name, message in (messages | {topic: String(data='no such thing')}).items():
            bag.write(name, message, STAMP)
    with pytest.raises(BagError, match=f'{topic} holds std_msgs/msg/String, not '):
        list(frames(tmp_path / 'bag'))


def test_frames_of_other_topics_are_read(tmp_path):
    camera = Camera.pinhole(16, 12, 10.0, 10.0, 7.5, 5.5)
    rgb = np.full((12, 16, 3), 7, np.uint8)
    with BagWriter(tmp_path / 'bag') as bag:
        pose = transform_message(np.eye(4), STAMP, 'os_lidar', 'eye')
        bag.write('/tf_static', TFMessage(transforms=[pose]), STAMP)
        bag.write('/cam/camera_info', camera_info_message(camera, STAMP, 'eye'), STAMP)
        header = header_message(STAMP, 'eye')
        bag.write('/cam/image_raw', image_message(rgb, 'rgb8', header), STAMP)
        cloud = Cloud(STAMP, np.ones((3, 3), np.float32), frame='os_lidar')
        bag.write('/ouster/points', cloud_message(cloud), STAMP)
    frame, = frames(tmp_path / 'bag')
    assert list(frame.views) == ['cam']
    assert (frame.views['cam'].picture.rgb == 7).all()
    assert frame.cloud.frame == 'os_lidar'
