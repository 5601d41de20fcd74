"""Pictures: right colours in the right places, stable and fast enough, and whole on disk."""

import cv2
import numpy as np
import pytest
from xmodelkd_ros.drawing.birds_eye import BirdsEye, BirdsEyeConfig
from xmodelkd_ros.drawing.colors import (
    CLASS_COLORS,
    depth_colors,
    feature_colors,
    TRACK_COLORS,
    track_number,
)
from xmodelkd_ros.drawing.overlay import draw_overlay
from xmodelkd_ros.drawing.panel import Panel
from xmodelkd_ros.drawing.text import legend
from xmodelkd_ros.drawing.video import save_picture, stack_pictures, VideoFile
from xmodelkd_ros.errors import XModelKDError
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.geometry.pairing import Pairing
from xmodelkd_ros.labels import ID_BY_NAME, POINT_CLASSES
from xmodelkd_ros.records import Boxes, Cloud, Frame, Picture, Tracks, View

CAR, ROAD = ID_BY_NAME['car'], ID_BY_NAME['road']


def test_features_that_differ_have_other_colours():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 300)
    features = np.eye(3, 20)[group] * 5 + rng.normal(0, 0.01, (300, 20))
    colors = feature_colors(features.astype(np.float16)).astype(int)
    means = np.stack([colors[group == n].mean(0) for n in range(3)])
    assert min(np.abs(means[a] - means[b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 100
    assert feature_colors(np.zeros((0, 20))).shape == (0, 3)
    assert feature_colors(np.ones((5, 2))).shape == (5, 3)


def gray(height=120, width=200):
    return np.full((height, width, 3), 100, np.uint8)


def tracks(track_id=7, left=50):
    id_map = np.zeros((120, 200), np.uint16)
    id_map[40:80, left:left + 40] = track_id
    box = np.array([[left, 40, left + 40, 80]], np.float32)
    return Tracks(np.array([track_id], np.uint16), np.array([CAR], np.uint16),
                  np.ones(1, np.float32), box, id_map)


def test_a_track_keeps_its_colour_and_its_neighbours_have_others():
    first, later = draw_overlay(gray(), tracks(left=50)), draw_overlay(gray(), tracks(left=90))
    np.testing.assert_array_equal(first[60, 60], later[60, 100])
    colors = TRACK_COLORS[track_number(np.arange(1, 60000, dtype=np.uint16))].astype(int)
    assert np.abs(np.diff(colors, axis=0)).max(1).min() > 80
    # Of any eight ids in a row no two look alike.
    for step in range(1, 8):
        assert np.abs(colors[step:] - colors[:-step]).max(1).min() > 35


def test_masks_are_tinted_outlined_and_tagged_and_the_rest_is_left_alone():
    rgb = gray()
    drawn = draw_overlay(rgb, tracks())
    assert (rgb == 100).all()
    color = TRACK_COLORS[7].astype(float)
    np.testing.assert_allclose(drawn[60, 70], 0.55 * 100 + 0.45 * color, atol=1)
    np.testing.assert_array_equal(drawn[40, 60], TRACK_COLORS[7])
    assert (drawn[60, 49] == 100).all()
    assert (drawn[90:] == 100).all()
    tag = drawn[25:39, 50:90]
    assert (tag != 100).any(2).mean() > 0.5


def test_a_lost_track_is_not_tagged():
    lost = tracks()
    lost = Tracks(lost.track_id, lost.class_id, lost.score, np.zeros((1, 4), np.float32),
                  np.zeros_like(lost.id_map))
    assert (draw_overlay(gray(), lost) == 100).all()


@pytest.mark.parametrize('zoom', [1, 3])
def test_points_lie_on_their_pixels_and_near_ones_cover_far_ones(zoom):
    pixels = np.array([[20, 30], [20, 30], [199.4, 119.4], [-0.4, -0.4]], np.float32)
    pairing = Pairing(np.array([1, 3, 4, 5]), pixels, np.array([5, 50, 9, 9], np.float32))
    label = np.array([0, CAR, 0, ROAD, 0, 0], np.uint16)
    drawn = draw_overlay(gray(), None, pairing, label, zoom)
    assert drawn.shape == (120 * zoom, 200 * zoom, 3)
    center = int(30.5 * zoom - 0.5), int(20.5 * zoom - 0.5)
    np.testing.assert_array_equal(drawn[center], CLASS_COLORS[CAR])
    assert (drawn != 100).any(2).sum() <= 3 * 4
    by_depth = draw_overlay(gray(), None, pairing, zoom=zoom)
    np.testing.assert_array_equal(by_depth[center], depth_colors(np.array([5.0]))[0])


def test_near_is_red_and_far_is_blue():
    near, far = depth_colors(np.array([4.0, 55.0])).astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]


def birds_eye():
    return BirdsEye(BirdsEyeConfig(forward=40.0, backward=10.0, side=20.0, width=500))


def test_ahead_is_right_and_left_is_up_and_high_covers_low():
    points = np.array([[20, 10, 0], [20, 10, 2], [-5, -8, 0], [np.nan, 0, 0], [500, 0, 0],
                       [20, 0, np.inf]], np.float32)
    label = np.array([ROAD, CAR, ROAD, CAR, CAR, CAR], np.uint16)
    empty = birds_eye().draw(points[:0], label[:0])
    drawn = birds_eye().draw(points, label)
    assert drawn.shape == (400, 500, 3)
    np.testing.assert_array_equal(drawn[100, 300], CLASS_COLORS[CAR])
    np.testing.assert_array_equal(drawn[280, 50], CLASS_COLORS[ROAD])
    assert (drawn != empty).any(2).sum() <= 18


def test_points_of_a_track_have_its_colour_and_its_box_is_drawn():
    points, label = np.array([[20, 10, 0]], np.float32), np.array([CAR], np.uint16)
    instance = np.array([7], np.uint16)
    np.testing.assert_array_equal(
        birds_eye().draw(points, label, instance)[100, 300], TRACK_COLORS[7])
    boxes = Boxes(instance, label, np.ones(1, np.float32), np.array([[20, 10, 0]], np.float32),
                  np.array([[4, 2, 1.5]], np.float32), np.zeros(1, np.float32))
    drawn = birds_eye().draw(points[:0], label[:0], None, boxes)
    np.testing.assert_array_equal(drawn[100, 320], TRACK_COLORS[7])
    np.testing.assert_array_equal(drawn[110, 300], TRACK_COLORS[7])
    assert (drawn[100, 290] != TRACK_COLORS[7]).any()


def test_the_legend_shows_every_class_in_as_many_rows_as_it_takes():
    for width in (1242, 300):
        strip = legend(POINT_CLASSES, width)
        assert strip.shape[1] == width
        found = {tuple(color) for color in strip.reshape(-1, 3).tolist()}
        assert {tuple(CLASS_COLORS[c.id].tolist()) for c in POINT_CLASSES} <= found
    assert legend(POINT_CLASSES, 300).shape[0] > legend(POINT_CLASSES, 1242).shape[0]


def test_a_panel_holds_cameras_view_from_above_and_legend():
    camera = Camera.pinhole(200, 120, 100, 100, 99.5, 59.5)
    camera_from_lidar = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    view = View('front', Picture(0, gray()), camera, camera_from_lidar)
    points = np.array([[20, 0, 0]], np.float32)
    frame = Frame(Cloud(0, points), {'front': view})
    config = BirdsEyeConfig(width=400, forward=40.0, backward=10.0, side=10.0)
    drawn = Panel(config).draw(frame, np.array([CAR], np.uint16), np.array([0], np.uint16),
                               {'front': tracks(left=150)}, title='drive')
    assert drawn.shape == (240 + 160 + legend(POINT_CLASSES, 400).shape[0], 400, 3)
    np.testing.assert_array_equal(drawn[119, 199], CLASS_COLORS[CAR])
    np.testing.assert_array_equal(drawn[240 + 80, 240], CLASS_COLORS[CAR])


def test_stacked_pictures_have_one_width():
    stacked = stack_pictures([gray(100, 200), gray(50, 400), gray(10, 300)], 200)
    assert stacked.shape == (132, 200, 3)


@pytest.mark.parametrize('suffix', ['.mp4', '.webm', '.avi'])
def test_a_video_reads_back_as_it_was_written(tmp_path, suffix):
    path = tmp_path / f'drive{suffix}'
    with VideoFile(path, 10.0) as video:
        for number in range(5):
            rgb = gray(121, 201)
            rgb[:, : 40 * number] = (220, 40, 40)
            video.write(rgb)
            assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == [video.path.name]
    capture = cv2.VideoCapture(str(video.path))
    pictures = [capture.read()[1] for _ in range(5)]
    assert capture.read()[0] is False
    for number, bgr in enumerate(pictures):
        assert bgr.shape == (120, 200, 3)
        expected = [(220, 40, 40) if column < 40 * number else (100, 100, 100)
                    for column in (20, 60, 100, 140, 180)]
        np.testing.assert_allclose(bgr[60, 20:200:40, ::-1], expected, atol=25)


def test_a_video_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), VideoFile(tmp_path / 'drive.mp4', 10.0) as video:
        video.write(gray())
        raise RuntimeError('no more')
    with VideoFile(tmp_path / 'empty.mp4', 10.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_bad_video_files_are_refused(tmp_path):
    with pytest.raises(XModelKDError, match=r'a video ends in \.mp4, \.webm, \.avi'):
        VideoFile(tmp_path / 'drive.mkv', 10.0)
    with pytest.raises(XModelKDError, match='cannot write a video to'), \
            VideoFile(tmp_path / 'missing' / 'drive.mp4', 10.0) as video:
        video.write(gray())
    with pytest.raises(ValueError, match='a picture of'), \
            VideoFile(tmp_path / 'drive.avi', 10.0) as video:
        video.write(gray())
        video.write(gray(60, 60))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_reads_back_and_bad_names_are_refused(tmp_path):
    rgb = gray()
    rgb[:50] = (250, 10, 20)
    save_picture(tmp_path / 'a.png', rgb)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'a.png'))[:, :, ::-1], rgb)
    with pytest.raises(XModelKDError, match=r'a picture ends in \.png or \.jpg'):
        save_picture(tmp_path / 'a.bmp', rgb)
    with pytest.raises(XModelKDError, match=r'cannot write .*: File exists'):
        save_picture(tmp_path / 'a.png' / 'a.png', rgb)
    assert [p.name for p in tmp_path.iterdir()] == ['a.png']
