"""Pictures of recorded results, those whose tracks blink among them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from small_world import CAMERA, CAMERA_FROM_LIDAR, HEIGHT, picture, WIDTH  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from xmodelkd_ros.bags.results import OUTPUT  # noqa: E402
from xmodelkd_ros.bags.writer import BagWriter  # noqa: E402
from xmodelkd_ros.cli.demo import Show  # noqa: E402
from xmodelkd_ros.cli.demo_pictures import draw_results  # noqa: E402
from xmodelkd_ros.drawing.colors import TRACK_COLORS  # noqa: E402
from xmodelkd_ros.geometry.transforms import invert  # noqa: E402
from xmodelkd_ros.labels import ALL_CLASSES, ID_BY_NAME  # noqa: E402
from xmodelkd_ros.messages.cameras import camera_info_message  # noqa: E402
from xmodelkd_ros.messages.clouds import cloud_message  # noqa: E402
from xmodelkd_ros.messages.detections import detections_2d_message  # noqa: E402
from xmodelkd_ros.messages.images import image_message  # noqa: E402
from xmodelkd_ros.messages.stamps import header_message  # noqa: E402
from xmodelkd_ros.messages.transforms import transform_message  # noqa: E402
from xmodelkd_ros.records import Cloud, Tracks  # noqa: E402

TRACK, CAR = 7, ID_BY_NAME['car']
STAMPS = [10**9 + n * 10**8 for n in range(4)]
MASKED = STAMPS[0], STAMPS[3]
"""When the car has a mask; in between its points alone hold its track."""


def tracks_at(stamp):
    """Return the tracks of a picture: a car while it has a mask, else none."""
    rows = int(stamp in MASKED)
    id_map = np.zeros((HEIGHT, WIDTH), np.uint16)
    id_map[24:40, 36:60] = TRACK * rows
    return Tracks(np.full(rows, TRACK, np.uint16), np.full(rows, CAR, np.uint16),
                  np.full(rows, 0.9, np.float32), np.float32([[36, 24, 60, 40]])[:rows], id_map)


@pytest.fixture
def bags(tmp_path):
    """Write a drive at a parked car, and what was published of it."""
    points = np.random.default_rng(0).uniform((9, -2, -1), (13, 2, 0.5), (400, 3))
    cloud = Cloud(0, points.astype(np.float32))
    mounting = [('lidar', np.eye(4)), ('front', invert(CAMERA_FROM_LIDAR))]
    with BagWriter(tmp_path / 'drive') as drive, BagWriter(tmp_path / 'result') as result:
        drive.write('/tf_static', TFMessage(transforms=[
            transform_message(pose, STAMPS[0], 'base_link', child) for child, pose in mounting
        ]), STAMPS[0])
        for stamp in STAMPS:
            header, tracks = header_message(stamp, 'front'), tracks_at(stamp)
            label = np.full(400, CAR, np.uint16)
            labelled = Cloud(stamp, cloud.points, label=label, instance=label * 0 + TRACK)
            for bag, topic, message in [
                (drive, '/front/camera_info', camera_info_message(CAMERA, stamp, 'front')),
                (drive, '/front/image', image_message(picture(stamp).rgb, 'rgb8', header)),
                (drive, '/points', cloud_message(Cloud(stamp, cloud.points))),
                (result, f'{OUTPUT}/points', cloud_message(labelled)),
                (result, f'{OUTPUT}/front/instance_mask',
                 image_message(tracks.id_map, 'mono16', header)),
                (result, f'{OUTPUT}/front/detections',
                 detections_2d_message(tracks, ALL_CLASSES, header)),
            ]:
                bag.write(topic, message, stamp)
    return tmp_path


def test_a_track_that_blinks_keeps_its_box(bags):
    show = Show('parked', bags / 'drive', 'front', False, '', is_simulated=False)
    video, *pictures = draw_results(show, bags / 'result', bags)
    assert int(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT)) == len(STAMPS)
    drawn = [cv2.imread(str(path))[:, :, ::-1] for path in pictures]  # of all but the first
    colored = [(one == TRACK_COLORS[TRACK]).all(2) for one in drawn]
    camera = colored[0].shape[1] * HEIGHT // WIDTH
    assert [one[:camera].any() for one in colored] == [False, False, True]  # outline of the mask
    assert colored[0][camera:].sum() > 200
    for one in colored[1:]:
        np.testing.assert_array_equal(one[camera:], colored[0][camera:])
