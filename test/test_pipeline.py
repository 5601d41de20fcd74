"""The pipeline: instances painted on points against a slow loop, boxes, ids over cameras."""

from __future__ import annotations

import dataclasses
import itertools
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from small_world import frame, HEIGHT, TRACK_EVERYTHING, WIDTH, write_models
import torch
from xmodelkd_ros.geometry.boxes import points_in_boxes
from xmodelkd_ros.geometry.pairing import Pairing
from xmodelkd_ros.inference import track_ids
from xmodelkd_ros.inference.boxes import FEWEST_POINTS, fit_boxes
from xmodelkd_ros.inference.painting import largest_groups, paint, PaintingConfig
from xmodelkd_ros.inference.pipeline import Perception, PipelineConfig
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.inference.tracker import TrackerConfig
from xmodelkd_ros.inference.video_segmenter import VideoSegmenter
from xmodelkd_ros.labels import ID_BY_NAME
from xmodelkd_ros.records import Boxes, Detections, MOTION_PERIOD, PointLabels, Tracks

CAR, ROAD, TRUCK, PERSON = (ID_BY_NAME[name] for name in ('car', 'road', 'truck', 'person'))
STEP = 100_000_000
CONFIG = PipelineConfig(tracker=TrackerConfig(**TRACK_EVERYTHING))


def tracks_of(id_map, classes):
    ids = np.array(sorted(classes), np.uint16)
    class_id = np.array([classes[i] for i in ids], np.uint16)
    return Tracks(ids, class_id, np.ones(len(ids), np.float32),
                  np.zeros((len(ids), 4), np.float32), np.asarray(id_map, np.uint16))


def labels_of(label):
    return PointLabels(np.array(label, np.uint16), np.ones(len(label), np.float32))


def pairing_of(index, pixels, depth):
    return Pairing(np.array(index), np.array(pixels, np.float32), np.array(depth, np.float32))


def test_only_the_largest_group_in_depth_is_painted():
    seen = tracks_of([[7] * 8], {7: CAR})
    pairing = pairing_of(
        range(8), [(u, 0) for u in range(8)], [10, 10.5, 11, 30, 31, 10.8, 12, 55])
    painted = paint([(seen, pairing)], labels_of([CAR] * 8), PaintingConfig())
    assert painted.tolist() == [7, 7, 7, 0, 0, 7, 7, 0]


def test_points_whose_label_does_not_suit_are_not_painted():
    seen = tracks_of([[7, 7, 7, 7, 9, 9]], {7: CAR, 9: PERSON})
    pairing = pairing_of(range(6), [(u, 0) for u in range(6)], [10] * 6)
    label = [CAR, TRUCK, ROAD, 0, PERSON, CAR]
    painted = paint([(seen, pairing)], labels_of(label), PaintingConfig())
    assert painted.tolist() == [7, 7, 0, 7, 9, 0]


def test_the_first_camera_names_a_point_that_two_see():
    views = [
        (tracks_of([[0, 4]], {4: CAR}), pairing_of([0, 1], [(0, 0), (1, 0)], [9, 9])),
        (tracks_of([[5, 5]], {5: CAR}), pairing_of([0, 1, 2], [(0, 0), (1, 0), (1, 0)], [9] * 3)),
    ]
    assert paint(views, labels_of([CAR] * 3), PaintingConfig()).tolist() == [5, 4, 5]


def slow_largest_groups(track_id, depth, config):
    inside = np.zeros(len(track_id), bool)
    for track in set(track_id.tolist()):
        rows = sorted(np.flatnonzero(track_id == track), key=lambda row: depth[row])
        groups = [[rows[0]]]
        for before, row in itertools.pairwise(rows):
            allowed = config.depth_gap + config.depth_gap_growth * depth[before]
            if depth[row] - depth[before] > allowed:
                groups.append([])
            groups[-1].append(row)
        inside[max(groups, key=len)] = True
    return inside


@given(st.lists(st.tuples(st.integers(1, 4), st.floats(0.5, 60, width=32)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_largest_groups_are_those_of_a_slow_loop(points):
    track_id = np.array([p[0] for p in points], np.uint16)
    depth = np.array([p[1] for p in points], np.float32)
    config = PaintingConfig()
    expected = slow_largest_groups(track_id, depth, config)
    assert (largest_groups(track_id, depth, config) == expected).all()


@given(st.floats(-1.5, 1.5), st.floats(2, 6), st.floats(0.5, 1.9), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_box_of_a_filled_box_is_that_box(yaw, length, width, seed):
    rng = np.random.default_rng(seed)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    local = np.concatenate([corners, rng.uniform(-1, 1, (200, 3))]) * [length / 2, width / 2, 0.8]
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    points = local.copy()
    points[:, :2] = local[:, :2] @ turn.T
    points = (points + [12, -5, 0.3]).astype(np.float32)
    instance = np.full(len(points), 3, np.uint16)
    boxes = fit_boxes(points, instance, [tracks_of([[3]], {3: CAR})])
    np.testing.assert_allclose(boxes.center, [[12, -5, 0.3]], atol=0.02)
    np.testing.assert_allclose(boxes.size, [[length, width, 1.6]], atol=0.02)
    assert abs(np.sin(boxes.yaw[0] - yaw)) < 0.02
    assert points_in_boxes(points, boxes.center, boxes.size + 0.05, boxes.yaw).all()


def parked_cars(rng, gap, counts):
    """Return sides and tails of cars of 4 m, parked one behind the other 20 m ahead."""
    cars = []
    for number, count in enumerate(counts):
        side, tail = rng.uniform((0, 0, -1.5), (4, 0.1, 0), (count, 3)), rng.uniform(
            (0, 0, -1.5), (0.1, 1.8, 0), (count, 3))
        cars.append(np.concatenate((side, tail)) + [20 + number * (4 + gap), 6, 0])
    return np.concatenate(cars).astype(np.float32)


@pytest.mark.parametrize('yaw', [0.0, 0.6, 2.0])
def test_a_mask_over_two_parked_cars_gives_the_box_of_one(yaw):
    points = parked_cars(np.random.default_rng(0), 1.5, (300, 200))
    stray = np.array([[1e20, -1e20, 0], [28, 6, 30]], np.float32)
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]], np.float32)
    points = np.concatenate((points, stray))
    points[:, :2] = points[:, :2] @ turn.T
    instance = np.full(len(points), 3, np.uint16)
    boxes = fit_boxes(points, instance, [tracks_of([[3]], {3: CAR})])
    np.testing.assert_allclose(boxes.size, [[4, 1.8, 1.5]], atol=0.1)
    np.testing.assert_allclose(boxes.center[0, :2], turn @ [22, 6.9], atol=0.1)


def test_boxes_have_the_class_of_their_track_and_tracks_of_few_points_have_none():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 0.2, (40, 3)).astype(np.float32)
    instance = np.repeat(np.array([9, 2, 0, 5], np.uint16), [10, 20, 10 - FEWEST_POINTS + 1, 4])
    boxes = fit_boxes(points, instance, [tracks_of([[0]], {2: CAR, 5: CAR}),
                                         tracks_of([[0]], {9: PERSON})])
    assert boxes.track_id.tolist() == [2, 9] and boxes.class_id.tolist() == [CAR, PERSON]
    empty = fit_boxes(points, np.zeros(40, np.uint16), [])
    assert all(len(getattr(empty, field.name)) == 0 for field in dataclasses.fields(Boxes))
    assert empty.center.shape == (0, 3)


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    point, video = write_models(tmp_path_factory.mktemp('models'))
    return PointSegmenter(point), VideoSegmenter(video)


def test_each_point_has_a_row_and_ids_are_of_one_camera_each(models):
    perceive = Perception(*models, CONFIG)
    for number in range(3):
        result = perceive(frame(number * STEP, ('front', 'left'), seed=number))
        assert len(result.labels.label) == len(result.instance) == len(result.points)
        front, left = (set(result.tracks[name].track_id.tolist()) for name in ('front', 'left'))
        assert front and left and not front & left
        assert set(result.instance.tolist()) <= front | left | {0}
    assert result.instance.any()
    assert set(result.boxes.track_id.tolist()) <= set(result.instance.tolist())


def test_no_two_cameras_have_an_id_in_common_once_ids_start_again(models, monkeypatch):
    """The left camera sees one thing for ever, the front one another thing in each image."""
    monkeypatch.setattr(track_ids, 'LAST_ID', 12)
    newcomers, things = itertools.count(1), np.eye(40, dtype=np.float32)
    mask = np.full((1, HEIGHT, WIDTH), 6, np.float32)

    def see(images):
        return [
            Detections(np.array([CAR], np.uint16), np.ones(1, np.float32), thing[None], mask,
                       (HEIGHT, WIDTH))
            for thing in (things[next(newcomers)], things[0])]

    config = PipelineConfig(tracker=TrackerConfig(max_age=0.2, overlap_weight=0.0))
    perceive = Perception(models[0], see, config)
    for number in range(30):
        result = perceive(frame(number * STEP, ('front', 'left'), seed=number))
        front, left = (result.tracks[name].track_id.tolist() for name in ('front', 'left'))
        assert left == [2] and len(front) == 1 and front != left


def test_points_are_projected_from_where_they_were_at_the_stamp(models):
    still = frame(0)
    count = len(still.cloud.points)
    offset = np.linspace(-MOTION_PERIOD, MOTION_PERIOD, count).astype(np.int64)
    motion = np.eye(4)
    motion[:3, 3] = (1.5, 0.2, 0)
    moved = still.cloud.points - offset[:, None] / MOTION_PERIOD * motion[:3, 3]
    cloud = dataclasses.replace(
        still.cloud, points=moved.astype(np.float32), time_offset=offset)
    result = Perception(*models, CONFIG)(dataclasses.replace(still, cloud=cloud, motion=motion))
    np.testing.assert_allclose(result.points, still.cloud.points, atol=1e-5)
    found, wanted = result.pairings['front'], Perception(*models, CONFIG)(still).pairings['front']
    np.testing.assert_allclose(found.pixels, wanted.pixels, atol=1e-2)


@pytest.mark.parametrize('ahead', [0.0, 1.5])
def test_points_without_a_return_hide_nothing_and_are_in_no_track(models, ahead):
    seen = frame(0)
    motion, back = np.eye(4), np.eye(4)
    motion[0, 3], back[0, 3] = ahead, 3
    view = seen.views['front']  # From 3 m further back it looks at the lidar.
    views = {'front': dataclasses.replace(
        view, camera_from_lidar=view.camera_from_lidar @ back)}
    count = len(seen.cloud.points)
    sweep = dataclasses.replace(seen.cloud, time_offset=np.full(count, MOTION_PERIOD))
    with_missing = dataclasses.replace(sweep, **{
        name: np.concatenate([getattr(sweep, name), np.zeros_like(getattr(sweep, name))])
        for name in ('points', 'intensity', 'time_offset')})
    plain, found = (
        Perception(*models, CONFIG)(
            dataclasses.replace(seen, cloud=one, views=views, motion=motion))
        for one in (sweep, with_missing))
    np.testing.assert_array_equal(
        found.pairings['front'].index, plain.pairings['front'].index)
    np.testing.assert_array_equal(found.instance[:count], plain.instance)
    assert not found.instance[count:].any()


def test_a_picture_that_comes_twice_is_seen_once(models):
    seen = []
    perceive = Perception(
        models[0], lambda images: seen.append(len(images)) or models[1](images), CONFIG)
    first = frame(0)
    second = dataclasses.replace(first, cloud=frame(STEP // 2, seed=1).cloud)
    one, two = perceive(first), perceive(second)
    assert seen == [1] and one.tracks['front'] is two.tracks['front']


def test_a_missing_camera_costs_its_instances_and_no_label(models):
    perceive = Perception(*models, CONFIG)
    whole = perceive(frame(0))
    alone = perceive(dataclasses.replace(frame(0), views={}))
    assert (whole.labels.label == alone.labels.label).all()
    assert not alone.instance.any() and alone.tracks == {} and len(alone.boxes.track_id) == 0


def test_without_video_segmenter_there_are_no_tracks(models):
    result = Perception(models[0])(frame(0))
    assert result.tracks == {} and not result.instance.any()


def test_models_run_side_by_side_with_threads_of_their_own(models):
    at_work, threads = threading.Barrier(2, timeout=10), []

    def beside(model):
        def run(*args):
            at_work.wait()
            threads.append(torch.get_num_threads())
            return model(*args)
        return run

    before = torch.get_num_threads()
    perceive = Perception(*map(beside, models), CONFIG, threads=before + 1)
    perceive(frame(0))
    assert threads == [before + 1] * 2 and torch.get_num_threads() == before


def test_a_model_that_fails_does_not_end_the_next_frame(models):
    def fail(*_):
        raise RuntimeError('no memory')

    perceive = Perception(fail, models[1], CONFIG)
    for _ in range(2):
        with pytest.raises(RuntimeError, match='no memory'):
            perceive(frame(0))


def test_reset_forgets_tracks_and_not_which_ids_were_given(models):
    perceive = Perception(*models, CONFIG)
    before = perceive(frame(0)).tracks['front'].track_id
    perceive.reset()
    after = perceive(frame(0)).tracks['front'].track_id
    assert len(before) == len(after) and after.min() > before.max()


def test_cloud_of_unusable_points_is_legal(models):
    perceive = Perception(*models, CONFIG)
    bad = frame(0)
    bad.cloud.points[::2] = np.nan
    bad.cloud.points[1::2] = np.inf
    result = perceive(bad)
    assert not result.labels.label.any() and not result.instance.any()
