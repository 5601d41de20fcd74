"""3D teaches 2D: things in sweeps, their tracks, their masks in pictures, drives made of them."""

from __future__ import annotations

from collections import Counter
import dataclasses
import time

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('scipy')
pytest.importorskip('rosbags')

from xmodelkd_ros.distillation.things.drives import seen_classes  # noqa: E402
from xmodelkd_ros.distillation.things.grouping import (  # noqa: E402
    CELL,
    find_things,
    ThingConfig,
    Things,
)
from xmodelkd_ros.distillation.things.labels import label_picture  # noqa: E402
from xmodelkd_ros.distillation.things.masks import (  # noqa: E402
    close_gaps,
    grow_seeds,
    largest_parts,
    nearest_value,
    ThingMaskConfig,
)
from xmodelkd_ros.distillation.things.tracks import ThingTrackConfig, track_things  # noqa: E402
from xmodelkd_ros.evaluation.run_file import read_run, RUN_FILE  # noqa: E402
from xmodelkd_ros.geometry.cameras import Camera  # noqa: E402
from xmodelkd_ros.geometry.pairing import Pairing  # noqa: E402
from xmodelkd_ros.geometry.transforms import invert  # noqa: E402
from xmodelkd_ros.inference.painting import SUITS  # noqa: E402
from xmodelkd_ros.inference.pipeline import Perception  # noqa: E402
from xmodelkd_ros.inference.point_segmenter import PointSegmenter  # noqa: E402
from xmodelkd_ros.inference.track_points import (  # noqa: E402
    boxes_in_picture,
    HoldingConfig,
    TrackPoints,
)
from xmodelkd_ros.inference.tracker import Tracker, TrackerConfig  # noqa: E402
from xmodelkd_ros.labels import ALL_CLASSES, ID_BY_NAME  # noqa: E402
from xmodelkd_ros.records import (  # noqa: E402
    Cloud,
    Detections,
    Frame,
    Picture,
    PointLabels,
    Tracks,
    View,
)
from xmodelkd_ros.training.cache import open_drive  # noqa: E402

CAR, PERSON, ROAD, BUILDING = (ID_BY_NAME[n] for n in ('car', 'person', 'road', 'building'))
CAMERA = Camera.pinhole(160, 96, 150.0, 150.0, 79.5, 47.5)
AHEAD = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)


def box(x, y, z=-1.0, size=(2.0, 1.5, 1.2), step=0.15):
    """Return points all over a solid box whose middle is at x, y, z."""
    axes = [np.arange(-s / 2, s / 2 + 1e-6, step) for s in size]
    grid = np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, 3)
    return (grid + (x, y, z)).astype(np.float32)


def scene(*parts):
    """Return points and labels of (class id, points) parts."""
    label = np.concatenate([np.full(len(points), one, np.uint16) for one, points in parts])
    confidence = np.ones(len(label), np.float32)
    return np.concatenate([points for _, points in parts]), PointLabels(label, confidence)


def test_things_stand_apart_and_own_what_is_inside_them():
    points, labels = scene(
        (CAR, box(10, 0)), (CAR, box(10, 2.2)), (PERSON, box(10, 0, -0.6, (0.4, 0.4, 0.3))),
        (BUILDING, box(10, 0, -0.5, (0.5, 0.5, 0.5))), (PERSON, box(14, 4, size=(0.5, 0.5, 1.7))),
        (ROAD, box(10, 0, -1.6, (8, 8, 0.1))))
    points[3] = np.nan
    things = find_things(points, labels)
    assert sorted(things.votes.argmax(1)) == [CAR, CAR, PERSON]
    assert (np.diff(things.index) > 0).all() and 3 not in things.index
    owner = np.full(len(points), -1)
    owner[things.index] = things.thing
    inner = labels.label == BUILDING
    assert len(set(owner[inner])) == 1 and owner[inner][0] == owner[4]
    assert (owner[labels.label == ROAD] == -1).all()
    assert not things.votes[:, [ROAD, BUILDING]].any()
    for one in range(3):
        own = points[owner == one]
        np.testing.assert_array_equal(things.low[one], own.min(0))
        np.testing.assert_array_equal(things.high[one], own.max(0))


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_groups_are_those_of_slow_loops(seed):
    random = np.random.default_rng(seed)
    place = random.uniform(-3, 3, (24, 2)) + (12, 0)
    place = place[np.unique(np.floor(place / CELL), axis=0, return_index=True)[1]]
    count = len(place)  # one point of each cell, as more would be thinned
    points = np.column_stack([place, random.uniform(-1.5, 0, count)]).astype(np.float32)
    config = ThingConfig(min_points=3, gap=0.6, gap_growth=0.0)
    labels = PointLabels(np.full(count, CAR, np.uint16), np.ones(count, np.float32))
    pairs = [(a, b) for a in range(count) for b in range(a)
             if np.hypot(*(points[a, :2] - points[b, :2])) <= 0.6]
    group = list(range(count))
    for _ in range(count):
        for a, b in pairs:
            group[a] = group[b] = min(group[a], group[b])
    things = find_things(points, labels, config)
    owner = np.full(count, -1)
    owner[things.index] = things.thing
    big = {one for one, size in Counter(group).items() if size >= 3}
    for members in ([a for a in range(count) if group[a] == one] for one in big):
        assert (owner[members] >= 0).all()
    assert len(things) <= len(big)  # boxes join what chains leave apart, and part nothing


def sweep_of(*boxes):
    """Return things of known boxes (class id, low, high, points)."""
    votes = np.zeros((len(boxes), len(ALL_CLASSES)), int)
    for row, (class_id, _, _, count) in enumerate(boxes):
        votes[row, class_id] = count
    low, high = (np.array([b[k] for b in boxes], np.float32).reshape(-1, 3) for k in (1, 2))
    none = np.zeros(0, int)
    return Things(none, none, votes, low, high, np.zeros(len(boxes), bool))


def car_at(x, y, count=100):
    return CAR, (x, y, -1.5), (x + 4, y + 2, 0), count


def follow(sweeps, poses=None, segments=None, step=10**8, **config):
    poses = [np.eye(4)] * len(sweeps) if poses is None else poses
    segments = segments or [0] * len(sweeps)
    stamps = [10**9 + step * n for n in range(len(sweeps))]
    return track_things(sweeps, stamps, poses, segments, ThingTrackConfig(**config))


def test_two_that_pass_each_other_keep_their_tracks():
    sweeps = [sweep_of(car_at(n * 1.2, 0), car_at(20 - n * 1.2, 3.5)) for n in range(16)]
    tracks = follow(sweeps)
    assert all(ids.tolist() == [1, 2] for ids in tracks.track_id)
    assert tracks.sights.tolist() == [0, 16, 16] and tracks.class_id[1] == CAR


def test_a_fragment_does_not_take_the_track_and_an_edge_that_stays_keeps_it():
    cut = CAR, (12, 0, -1.5), (14, 2, 0), 80
    inner = CAR, (11.8, 0.8, -1), (12.2, 1.2, -0.8), 9
    tracks = follow([sweep_of(car_at(10, 0)), sweep_of(inner, car_at(10, 0)), sweep_of(cut)])
    assert [ids.tolist() for ids in tracks.track_id] == [[1], [2, 1], [1]]


def test_tracks_are_followed_in_the_frame_that_does_not_move():
    turn = np.deg2rad(np.arange(10) * 4.0)
    poses = np.tile(np.eye(4), (10, 1, 1))
    poses[:, 0, 0], poses[:, 1, 1] = np.cos(turn), np.cos(turn)
    poses[:, 1, 0], poses[:, 0, 1] = np.sin(turn), -np.sin(turn)
    middles = [(invert(pose) @ (30, 0, -1, 1))[:3] for pose in poses]
    sweeps = [sweep_of((CAR, m - (1, 1, 0.5), m + (1, 1, 0.5), 50)) for m in middles]
    assert all(ids.tolist() == [1] for ids in follow(sweeps, poses).track_id)
    assert len(follow(sweeps[::3]).sights) > 2  # without poses it is lost


def test_gaps_and_parts_of_a_drive_end_tracks():
    sweeps = [sweep_of(car_at(0, 0)), sweep_of(), sweep_of(), sweep_of(car_at(0, 0))]
    assert follow(sweeps, max_gap=0.5).track_id[3].tolist() == [1]
    assert follow(sweeps, max_gap=0.2).track_id[3].tolist() == [2]
    assert follow(sweeps, segments=[0, 0, 1, 1]).track_id[3].tolist() == [2]
    other = sweep_of((PERSON, (0, 0, -1.5), (4, 2, 0), 100))
    assert follow([sweeps[0], other]).track_id[1].tolist() == [2]
    assert follow([]).track_id == ()


@given(st.integers(0, 10_000))
def test_the_nearest_value_is_that_of_slow_loops(seed):
    random = np.random.default_rng(seed)
    value = np.where(random.random((12, 15)) < 0.05, random.integers(0, 9, (12, 15)), -1)
    found, away = nearest_value(value.astype(np.int32))
    rows, columns = np.nonzero(value >= 0)
    for row in range(12):
        for column in range(15):
            if not len(rows):
                assert found[row, column] == -1 and away[row, column] == np.inf
                continue
            distance = np.hypot(rows - row, columns - column)
            near = distance <= distance.min() * 1.05 + 0.1  # OpenCV's distance is not exact
            assert found[row, column] in value[rows, columns][near]


def test_seeds_grow_to_the_edges_and_no_farther_than_their_reach():
    rgb = np.full((96, 160, 3), 40, np.uint8)
    rgb[30:60, 50:90] = 220
    v, u = (side.ravel() for side in np.mgrid[22:70:6, 40:101:6])
    inside = (v >= 30) & (v < 60) & (u >= 50) & (u < 90)
    pairing = Pairing(
        np.arange(len(u)), np.stack([u, v], 1).astype(np.float32), np.full(len(u), 9.0))
    grown = grow_seeds(rgb, pairing, inside.astype(int), CAMERA, ThingMaskConfig(reach=3.0))
    assert (grown[31:59, 51:89] == 1).all()
    around = grown[24:68, 42:98] != 1
    around[5:37, 7:49] = True
    assert around.all()
    assert (grown[:, 115:] == -1).all() and (grown[80:] == -1).all()


def test_masks_are_whole_but_for_what_is_nearer():
    thing = np.full((96, 160), -1, np.int32)
    thing[20:60, 30:90] = 0
    thing[30:40, 40:60] = -1  # a pane
    thing[42:50, 62:80] = 1  # somebody in front
    thing[25:30, 70:80] = 2  # something behind, seen through a gap
    thing[90, 150] = 0  # a stray pixel
    whole = close_gaps(thing, np.array([10.0, 5.0, 20.0]), CAMERA, ThingMaskConfig())
    expected = np.full_like(thing, -1)
    expected[20:60, 30:90] = 0
    expected[42:50, 62:80] = 1
    np.testing.assert_array_equal(whole, expected)


def test_only_the_largest_part_of_a_mask_is_left():
    thing = np.full((20, 40), -1, np.int32)
    thing[2:10, 2:20] = 3
    thing[4:6, 5:9] = -1  # a hole stays one
    thing[15:18, 30:35] = 3
    thing[15:18, 2:9] = 0
    expected = thing.copy()
    expected[15:18, 30:35] = -1
    np.testing.assert_array_equal(largest_parts(thing), expected)


def seen_car(track_id, cut=False, seen=None):
    """Return the labels of a picture of a car before a wall."""
    car, wall = box(10, 0, 0.0, (0.1, 3, 2), 0.05), box(15, 0, 0, (0.1, 12, 8), 0.1)
    points, labels = scene((CAR, car), (BUILDING, wall))
    things = find_things(points, labels)
    things = Things(**{**vars(things), 'cut': np.array([cut])})
    view = View('front', Picture(0, np.zeros((96, 160, 3), np.uint8)), CAMERA, AHEAD)
    ids, classes = np.array([track_id], np.uint16), np.array([CAR])
    return label_picture(
        view, points, labels.label, things, ids, classes, ThingMaskConfig(reach=1.0), seen)


def test_a_picture_is_labelled_with_tracks_and_what_is_behind():
    label, instance = seen_car(7)
    assert (label.dtype, instance.dtype) == (np.uint8, np.uint16)
    true = np.zeros((96, 160), bool)
    true[33:63, 57:103] = True  # 2 m by 3 m at 10 m, 150 px focal length
    assert (true & (instance == 7)).sum() / (true | (instance == 7)).sum() > 0.9
    np.testing.assert_array_equal(label == CAR, instance == 7)
    assert label[10, 20] == BUILDING


@pytest.mark.parametrize(('track_id', 'cut'), [(0, False), (7, True)])
def test_what_cannot_be_masked_well_is_neither_example_nor_background(track_id, cut):
    label, instance = seen_car(track_id, cut)
    assert not instance.any() and (label[35:60, 60:100] == CAR).all()
    assert (label[12:30, 60:100] == CAR).all() == cut  # it may go on above


def test_a_teacher_has_the_last_word():
    seen = np.full((96, 160), BUILDING)
    seen[33:63, 57:90] = CAR
    label, instance = seen_car(7, seen=seen)
    assert (seen[instance == 7] == CAR).all() and (instance == 7).sum() > 0.9 * 30 * 33
    np.testing.assert_array_equal(label, seen)
    seen[33:63, 57:90] = BUILDING
    label, instance = seen_car(7, seen=seen)
    assert not instance.any() and (label == BUILDING).all()


def test_classes_of_a_teacher_fill_the_picture():
    import torch

    logits = torch.full((3, 4, 6), -5.0)
    logits[0, :, :3], logits[2, :, 3:] = 5.0, 5.0
    seen = seen_classes(logits, np.array([CAR, 0, BUILDING]), (40, 60, 3))
    assert seen.shape == (40, 60)
    assert (seen[:, :25] == CAR).all() and (seen[:, 35:] == BUILDING).all()


SIMULATED = {'seed': 7, 'frames': 5, 'light': 'day', 'width': 640, 'height': 192, 'columns': 1024}


@pytest.fixture(scope='module')
def simulated():
    pytest.importorskip('embreex')
    from xmodelkd_ros.simulation.drive import Drive, SimulationConfig

    return list(Drive(SimulationConfig(**SIMULATED)).frames())


def test_masks_and_ids_of_a_simulated_drive_are_the_true_ones(simulated):
    labels = [f.cloud.label for f in simulated]
    things = [
        find_things(f.cloud.points, PointLabels(one, np.ones(len(one), np.float32)))
        for f, one in zip(simulated, labels, strict=True)]
    tracks = track_things(
        things, [f.cloud.stamp for f in simulated], [f.fixed_from_lidar for f in simulated],
        [0] * len(simulated))
    ious, owners = [], {}
    for frame, label, found, ids in zip(simulated, labels, things, tracks.track_id, strict=True):
        picture = frame.views['front'].picture
        _, instance = label_picture(
            frame.views['front'], frame.cloud.points, label, found, ids, tracks.class_id[ids])
        for one in np.flatnonzero(~found.cut):
            votes = Counter(frame.cloud.instance[found.index[found.thing == one]].tolist())
            true, points = votes.most_common(1)[0]
            mask, made = picture.instance == true, instance == ids[one]
            kind = picture.label[mask][:1]
            if points >= 60 and mask.sum() >= 150 and kind != ID_BY_NAME['bicycle']:
                ious.append((mask & made).sum() / (mask | made).sum())
                owners.setdefault(ids[one], set()).add(true)
    print(f'simulated: {len(ious)} masks, IoU mean {np.mean(ious):.3f}, '
          f'median {np.median(ious):.3f}')
    assert len(ious) >= 8 and np.mean(ious) > 0.7
    assert all(len(true) == 1 for true in owners.values())  # ids are pure


def test_the_command_makes_a_drive_that_training_reads(tmp_path, capsys):
    pytest.importorskip('embreex')
    from test_networks_point import SMALL, VIEW
    import torch
    from xmodelkd_ros.cli.masks_from_lidar import main
    from xmodelkd_ros.cli.simulate import main as simulate
    from xmodelkd_ros.config import to_mapping
    from xmodelkd_ros.labels import POINT_CLASSES
    from xmodelkd_ros.networks.checkpoint import Checkpoint, save_checkpoint
    from xmodelkd_ros.networks.point_network import PointNetwork

    torch.manual_seed(1)
    network = PointNetwork(SMALL, len(POINT_CLASSES))
    model = tmp_path / 'point.safetensors'
    save_checkpoint(model, Checkpoint(
        'point', to_mapping(SMALL), to_mapping(VIEW), POINT_CLASSES, {}, network.state_dict()))
    assert simulate([str(tmp_path), '--frames', '3', '--columns', '256', '--width', '160',
                     '--height', '48', '--seed', '5']) == 0
    bag = tmp_path / 'drive_0005'
    command = [str(bag), '--out', str(tmp_path / 'out'), '--model', str(model), '--width', '96',
               '--height', '64', '--things.min-confidence', '0', '--tracks.min-sights', '1']
    assert main(command) == 0
    assert 'instances' in capsys.readouterr().out
    drive = open_drive(tmp_path / 'out' / 'drive_0005')
    assert len(drive) == 3
    run = read_run(drive.folder / RUN_FILE)
    assert run['model_sha256'] == PointSegmenter(model).sha256 and run['teacher'] is None
    assert run['bag'] == str(bag) and run['tracks']['min_sights'] == 1
    picture = drive.picture(0, 'front')
    assert picture.rgb.shape == (64, 96, 3) and picture.label.shape == (64, 96)
    assert cv2.absdiff(picture.label, drive.picture(0, 'front').label).max() == 0
    assert main([str(tmp_path / 'absent'), *command[1:]]) == 2
    assert 'there is no bag' in capsys.readouterr().err


def tracks_of(*rows):
    """Return tracks (id, class id, score) without masks."""
    ids, classes, scores = zip(*rows, strict=True) if rows else ((), (), ())
    none = np.zeros((len(rows), 4), np.float32), np.zeros((0, 0), np.uint16)
    return Tracks(np.array(ids, np.uint16), np.array(classes, np.uint16),
                  np.array(scores, np.float32), *none)


SECOND = 10**9


def held(memory, frame, painted, parts, tracks=(), pose=None):
    """Hold one sweep of parts (class, points), `painted` ids of some of them; return its ids."""
    points, labels = scene(*parts)
    sizes = [len(points) for _, points in parts]
    instance = np.repeat(np.array(painted, np.uint16), sizes)
    given = tracks_of(*[(one, CAR, 0.9) for one in tracks])
    found = memory.hold(points, labels, instance, [given], SECOND + frame * 10**8, pose)
    starts = np.cumsum([0, *sizes[:-1]])
    return instance[starts + np.array(sizes) // 2].tolist(), found


def test_a_track_stays_on_its_moving_points_while_its_mask_blinks():
    memory = TrackPoints(HoldingConfig(duration=0.5))

    def parts(n):
        return [(CAR, box(10 + 0.9 * n, 0)), (CAR, box(10, 5)), (ROAD, box(10, 0, -1.7))]

    for n in range(3):
        assert held(memory, n, [4, 5, 0], parts(n), [4, 5])[0] == [4, 5, 0]
    for n in range(3, 8):
        ids, found = held(memory, n, [0, 5, 0], parts(n), [5])
        assert ids == [4, 5, 0]
        assert found.track_id.tolist() == [4] and found.class_id.tolist() == [CAR]
    assert held(memory, 8, [0, 5, 0], parts(8), [5])[0] == [0, 5, 0]  # for a bounded time
    assert held(memory, 9, [7, 5, 0], parts(9), [7, 5])[0] == [7, 5, 0]


def test_held_points_suit_the_track_and_are_nobody_else_s():
    memory = TrackPoints()
    here = box(10, 0)
    held(memory, 0, [4], [(CAR, here)], [4])
    assert held(memory, 1, [0], [(PERSON, here)])[0] == [0]
    assert held(memory, 2, [0], [(ID_BY_NAME['truck'], here)])[0] == [4]
    assert held(memory, 3, [9], [(CAR, here)], [9])[0] == [9]
    assert held(memory, 4, [0], [(CAR, box(13, 0))])[0] == [0]


def test_tracks_are_held_in_the_fixed_frame_and_forgotten_when_time_jumps():
    poses = [np.eye(4) for _ in range(4)]
    for n, pose in enumerate(poses):
        pose[0, 3] = 2.5 * n
    memory, lost = TrackPoints(), TrackPoints()
    for n, pose in enumerate(poses):
        part, painted, tracks = [(CAR, box(20 - 2.5 * n, 0))], [4 * (n == 0)], [4] * (n == 0)
        assert held(memory, n, painted, part, tracks, pose)[0] == [4]
        assert held(lost, n, painted, part, tracks)[0] == [4 * (n == 0)]
    assert held(memory, 2, [0], [(CAR, box(20 - 5, 0))], pose=poses[2])[0] == [0]


def test_a_pose_that_is_lost_for_a_sweep_is_no_motion_of_the_tracks():
    pose = np.eye(4)
    pose[0, 3] = 500
    memory = TrackPoints()
    for n in range(3):
        assert held(memory, n, [4], [(CAR, box(10, 0))], [4], pose)[0] == [4]
    assert held(memory, 3, [4], [(CAR, box(10, 0))], [4])[0] == [4]
    assert held(memory, 4, [4], [(CAR, box(10, 0))], [4], pose)[0] == [4]
    assert held(memory, 5, [0], [(CAR, box(10, 0))], (), pose)[0] == [4]


class SlowTrackPoints:
    """What `TrackPoints` does, track by track and point by point."""

    def __init__(self, config):
        self.config, self.known = config, {}

    def hold(self, points, labels, instance, tracks, stamp):
        if any(t['stamp'] > stamp for t in self.known.values()):
            self.known = {}
        for one in sorted(set(instance.tolist()) - {0}):
            place = points[instance == one]
            if len(place) >= 5:
                track = self.known.setdefault(one, {'velocity': np.zeros(3)})
                self.move(track, place, stamp)
                track['masked'] = stamp
                track['class'] = tracks.class_id[tracks.track_id == one][0]
        held, limit = [], self.config.duration * 1e9
        for one, track in sorted(self.known.items()):
            if stamp - track['masked'] <= limit and track['stamp'] < stamp:
                own = self.own(track, points, labels, instance, stamp)
                if len(own) >= 5:
                    instance[own] = one
                    self.move(track, points[own], stamp)
                    held.append(one)
        self.known = {i: t for i, t in self.known.items() if stamp - t['masked'] <= limit}
        return held

    def own(self, track, points, labels, instance, stamp):
        moved = track['velocity'] * ((stamp - track['stamp']) * 1e-9)
        low, high = (track[edge] + moved for edge in ('low', 'high'))
        return [
            n for n, point in enumerate(points)
            if instance[n] == 0 and ALL_CLASSES[labels.label[n]].is_thing
            and SUITS[track['class'], labels.label[n]]
            and (point >= low - self.config.margin).all()
            and (point <= high + self.config.margin).all()
        ]

    def move(self, track, place, stamp):
        low, high = place.min(0).astype(float), place.max(0).astype(float)
        if 'stamp' in track:
            way = 0.5 * (low + high) - 0.5 * (track['low'] + track['high'])
            measured = way / ((stamp - track['stamp']) * 1e-9)
            track['velocity'] = 0.5 * (track['velocity'] + measured)
        track.update(low=low, high=high, stamp=stamp)


@pytest.mark.parametrize('seed', range(20))
def test_tracks_are_held_as_one_by_one(seed):
    random = np.random.default_rng(seed)
    count, config = 5, HoldingConfig(duration=0.25)
    classes = random.choice([CAR, PERSON, ID_BY_NAME['truck']], count)
    place, way = random.uniform(-3, 3, (2, count, 3)) * [1, 1, 0.1]
    tracks = tracks_of(*[(1 + n, classes[n], 0.9) for n in range(count)])
    memory, slow = TrackPoints(config), SlowTrackPoints(config)
    stamp, all_held = SECOND, 0
    for _ in range(8):
        stamp += int(random.integers(1, 3)) * 10**8 if random.random() < 0.95 else -10**8
        place = place + 0.1 * way
        of_point = np.repeat(np.arange(count), 12)
        points = (place[of_point] + random.uniform(-0.5, 0.5, (12 * count, 3))).astype(np.float32)
        label = np.where(random.random(12 * count) < 0.1, ROAD, classes[of_point])
        has_mask = random.random(count) < 0.4
        painted = np.where(has_mask[of_point] & (random.random(12 * count) < 0.9), of_point + 1, 0)
        fast, instance = painted.astype(np.uint16), painted.astype(np.uint16)
        labels = PointLabels(label.astype(np.uint16), np.ones(len(label), np.float32))
        found = memory.hold(points, labels, fast, [tracks], stamp, None)
        wanted = slow.hold(points, labels, instance, tracks, stamp)
        assert found.track_id.tolist() == wanted
        np.testing.assert_array_equal(fast, instance)
        all_held += len(wanted)
    assert all_held


def test_held_boxes_are_seen_where_their_points_are():
    instance = np.array([4, 4, 5, 0, 4], np.uint16)
    pixels = np.array([[10, 20], [30, 25], [50, 5], [70, 7]], np.float32)
    pairing = Pairing(np.array([0, 1, 2, 3]), pixels, np.ones(4))
    ids, boxes = boxes_in_picture(np.array([4, 6], np.uint16), instance, pairing)
    assert ids.tolist() == [4]
    np.testing.assert_array_equal(boxes, [[10, 20, 31, 26]])


def one_detection(embedding, left):
    """Return a car somewhere in a picture of 160 x 96 pixels."""
    logits = np.full((1, 24, 40), -8.0, np.float32)
    logits[0, 8:16, left:left + 11] = 8.0
    vector = np.zeros((1, 8), np.float32)
    vector[0, embedding] = 1
    return Detections(
        np.array([CAR], np.uint16), np.array([0.9], np.float32), vector, logits, (96, 160))


def nothing_detected():
    found = one_detection(0, 0)
    return Detections(found.class_id[:0], found.score[:0], found.embedding[:0],
                      found.mask_logits[:0], found.size)


@pytest.mark.parametrize('is_held', [True, False])
def test_a_mask_that_returns_where_points_held_the_track_gets_its_id(is_held):
    tracker = Tracker(TrackerConfig(min_affinity=0.7))
    first, = tracker.update(one_detection(0, 2), SECOND).track_id
    tracker.update(nothing_detected(), SECOND + 5 * 10**8)
    if is_held:
        place = np.array([[80, 32, 124, 64], [0, 0, 9, 9]], np.float32)
        tracker.hold(np.array([first, first + 40], np.uint16), place, SECOND + 5 * 10**8)
    found = tracker.update(one_detection(1, 20), SECOND + 6 * 10**8)  # it looks quite different
    assert (found.track_id.tolist() == [first]) == is_held


def test_the_pipeline_keeps_an_id_on_points_without_a_mask():
    car = box(10, 0, 0.0, (0.1, 3, 2), 0.05)
    points, labels = scene((CAR, car), (BUILDING, box(15, 0, 0, (0.1, 12, 8), 0.1)))
    view = View('front', Picture(0, np.zeros((96, 160, 3), np.uint8)), CAMERA, AHEAD)
    seen = [one_detection(0, 14), nothing_detected(), one_detection(0, 14)]
    answers = iter(seen)
    see = Perception(lambda *_: labels, lambda images: [next(answers)])
    results = []
    for n in range(3):
        picture = dataclasses.replace(view.picture, stamp=n * 10**8)
        shown = {'front': dataclasses.replace(view, picture=picture)}
        results.append(see(Frame(Cloud(n * 10**8, points), shown)))
    with_mask, without, again = results
    identity, = with_mask.tracks['front'].track_id
    assert not len(without.tracks['front'].track_id)
    assert without.held.track_id.tolist() == [identity]
    assert (without.instance == identity).sum() >= (with_mask.instance == identity).sum() > 100
    assert set(labels.label[without.instance == identity]) == {CAR}
    assert without.boxes.track_id.tolist() == [identity] == again.tracks['front'].track_id
    assert without.boxes.class_id.tolist() == [CAR]


def test_holding_costs_little():
    random = np.random.default_rng(0)
    parts = [(CAR, random.uniform(0, 2, (600, 3)) + (3 * n, 0, 0)) for n in range(24)]
    points, labels = scene(*parts, (ROAD, random.uniform(-40, 40, (106_000, 3))))
    points, instance = points.astype(np.float32), np.zeros(len(points), np.uint16)
    instance[:24 * 600] = np.repeat(np.arange(1, 25), 600)
    tracks, memory = [tracks_of(*[(n, CAR, 0.9) for n in range(1, 25)])], TrackPoints()
    memory.hold(points, labels, instance.copy(), tracks, SECOND, np.eye(4))
    instance[instance > 16] = 0
    spent = []
    for n in range(1, 8):
        start = time.process_time()
        held = memory.hold(points, labels, instance.copy(), tracks, SECOND + n * 10**8, np.eye(4))
        spent.append(time.process_time() - start)
        assert held.track_id.tolist() == list(range(17, 25))
    print(f'hold: {1e3 * min(spent):.2f} ms')
    assert min(spent) < 0.02
