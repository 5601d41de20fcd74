"""Parts of the extraction, each against a plain search or a scene that is known."""

from __future__ import annotations

import dataclasses
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from xmodelkd_ros.bags.kitti_poses import odom_from_imu
from xmodelkd_ros.distillation.extraction.moving import MovingConfig, RangeCells
from xmodelkd_ros.distillation.extraction.odometry import register_run
from xmodelkd_ros.distillation.extraction.sightings import Answer, make_mixing
from xmodelkd_ros.distillation.extraction.trajectory import (
    choose_keyframes,
    steady_segments,
    Trajectory,
)
from xmodelkd_ros.distillation.records import DistillationFrame, PointViews
from xmodelkd_ros.distillation.student import carrying
from xmodelkd_ros.distillation.student.carrying import (
    labels_from_votes,
    read_votes,
    vote_maps,
    voxel_keys,
)
from xmodelkd_ros.distillation.teachers.network_teacher import TeacherOutput
from xmodelkd_ros.geometry.pairing import Pairing
from xmodelkd_ros.geometry.transforms import invert, transform_points
from xmodelkd_ros.records import Cloud, points_at_stamp


def along(x, yaw=0.0):
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[0, 3] = x
    return pose


def made_frame(rng, x=0.0, count=40, moving=True, pose=True, segment=0):
    """Return a frame of a few points near each other with random views."""
    rows = np.sort(rng.integers(0, count, 60)).astype(np.int32)
    probability = rng.random((60, 16))
    probability /= probability.sum(1, keepdims=True)
    views = PointViews(
        rows, rng.integers(0, 2, 60).astype(np.uint8), np.ones(60, np.float32),
        np.zeros(60, np.float32), np.zeros((60, 3), np.float16), probability.astype(np.float16),
        ('front', 'left'))
    points = rng.uniform(-1, 1, (count, 3)).astype(np.float32)
    points[:2] = np.nan
    return DistillationFrame(
        Cloud(int(x), points), views, along(x) if pose else None,
        rng.random(count) < 0.2 if moving else None, segment=segment)


class Frames(list):
    """A drive in memory."""

    def frame(self, index):
        return self[index]


def voxel(frame, row, size):
    pose = frame.fixed_from_lidar
    placed = pose[:3, :3] @ frame.cloud.points[row].astype(float) + pose[:3, 3]
    return (frame.segment, *np.floor(placed / size).astype(int).tolist())


def own_votes(frame, row):
    mine = frame.views.probability[frame.views.point == row].astype(float)
    return mine.mean(0) if len(mine) else np.zeros(16)


def is_mapped(frame, row):
    gone = frame.moving is not None and frame.moving[row]
    return frame.fixed_from_lidar is not None and np.isfinite(
        frame.cloud.points[row]).all() and not gone


def carry_slowly(frames, sizes):
    """Vote point by point."""
    votes = {}
    mapped = [(f, row) for f in frames for row in range(len(f.cloud.points)) if is_mapped(f, row)]
    for frame, row in mapped:
        for size in sizes:
            key = size, voxel(frame, row, size)
            votes[key] = votes.get(key, 0) + own_votes(frame, row)
    for frame in frames:
        found = np.array([own_votes(frame, row) for row in range(len(frame.cloud.points))])
        for row in filter(lambda row, frame=frame: is_mapped(frame, row), range(len(found))):
            read = [votes.get((size, voxel(frame, row, size)), np.zeros(16)) for size in sizes]
            found[row] = next((vote for vote in read if vote.any()), np.zeros(16))
        yield found


@pytest.mark.parametrize(('sizes', 'apart'), [((0.3,), 64), ((0.1, 0.5), 64), ((0.1, 0.5), 2)])
def test_labels_are_carried_as_point_by_point(sizes, apart, monkeypatch):
    monkeypatch.setattr(carrying, '_APART', apart)
    rng = np.random.default_rng(1)
    frames = Frames([
        made_frame(rng, 0.0), made_frame(rng, 0.7), made_frame(rng, 1.1, moving=False),
        made_frame(rng, pose=False), made_frame(rng, 0.3, segment=1)])
    carried, slowly = 0, carry_slowly(frames, sizes)
    for frame, votes, maps in zip(frames, slowly, vote_maps(frames, sizes), strict=True):
        label, confidence = labels_from_votes(read_votes(frame, maps))
        total = votes.sum(1)
        share = np.divide(votes.max(1), total, out=np.zeros_like(total), where=total > 0)
        assert np.allclose(confidence, share, atol=2e-3)
        assert ((label > 0) == (total > 0)).all()
        sure = share - np.sort(votes, 1)[:, -2] / np.maximum(total, 1e-9) > 2e-3
        assert (label == votes.argmax(1) + 1)[sure].all() and sure.sum() > 20
        carried += (label > 0).sum() - (frame.probability.sum(1) > 0).sum()
    assert carried > 0


def test_votes_are_carried_to_the_stretches_beside(monkeypatch):
    monkeypatch.setattr(carrying, 'STRETCH', 2)
    rng = np.random.default_rng(1)
    frames = Frames([made_frame(rng, 40.0 * number, moving=False) for number in range(7)])
    looks = itertools.count()
    found = list(vote_maps(frames, (0.5,), lambda: next(looks)))
    assert next(looks) == len(found) == 7
    own = [set(voxel_keys(f, 0.5)[f.probability.any(1) & np.isfinite(f.cloud.points).all(1)])
           for f in frames]
    for number, expected in ((0, range(4)), (3, range(6)), (4, range(2, 7)), (6, range(2, 7))):
        kept = set(found[number][0.5].key)
        assert [own[other] <= kept for other in range(7)] == [n in expected for n in range(7)]


def test_segments_have_voxels_of_their_own():
    frame = made_frame(np.random.default_rng(1), 0.3)
    keys = [voxel_keys(dataclasses.replace(frame, segment=n), 0.1) for n in (0, 1, 8, 16, 2047)]
    assert len(np.unique(keys)) == 5 * len(np.unique(keys[0]))


def test_votes_of_nothing_have_no_label():
    label, confidence = labels_from_votes(np.zeros((3, 16), np.float32))
    assert not label.any() and not confidence.any()


def wall(distance, hole=None, rows=40, columns=720):
    """Return a sweep inside a cylinder, with a nearer box ahead if `hole` is its distance."""
    turn, rise = np.meshgrid(
        np.linspace(-np.pi, np.pi, columns, endpoint=False), np.radians(np.linspace(-15, 5, rows)))
    reach = np.full(turn.shape, float(distance))
    if hole is not None:
        reach[np.abs(turn) < 0.2] = hole
    directions = [np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)]
    return (np.stack(directions, -1) * reach[..., None]).reshape(-1, 3).astype(np.float32)


def test_a_thing_that_left_is_gone_and_the_rest_is_there():
    before, after = wall(20, hole=8), wall(20)
    is_thing = np.linalg.norm(before, axis=1) < 10
    gone, there = RangeCells(after, MovingConfig()).compare(before)
    assert gone[is_thing].all() and not there[is_thing].any()
    assert there[~is_thing].all() and not gone[~is_thing].any()
    back_gone, back_there = RangeCells(before, MovingConfig()).compare(after)
    hidden = np.abs(np.arctan2(after[:, 1], after[:, 0])) < 0.17
    assert not back_gone.any() and not back_there[hidden].any()


def test_nothing_is_gone_where_the_other_sweep_does_not_look():
    points = np.array([[5, 0, 4], [5, 0, -4], [np.nan, 0, 0], [np.inf, 0, 0]], np.float32)
    gone, there = RangeCells(wall(20), MovingConfig()).compare(points)
    assert not gone.any() and not there.any()
    gone, there = RangeCells(points[:0], MovingConfig()).compare(points)
    assert not gone.any() and not there.any()


def test_flat_ground_is_never_gone_even_for_few_beams():
    """Between two beams of a coarse sensor the ground is neither gone nor taken for a thing."""
    def ground(rises):
        turn, rise = np.meshgrid(np.linspace(-3, 3, 500), np.radians(rises))
        level = 1.7 / np.tan(-rise)
        return np.stack([level * np.cos(turn), level * np.sin(turn), 0 * level - 1.7], -1)

    sweep = ground(np.arange(-15.0, 0, 2)).reshape(-1, 3).astype(np.float32)
    between = ground(np.arange(-14.0, -2, 0.37)).reshape(-1, 3).astype(np.float32)
    assert not RangeCells(sweep, MovingConfig()).compare(between)[0].any()


@settings(max_examples=50)
@given(steps=st.lists(st.sampled_from((0.0, 0.2, 0.7, 3.0)), min_size=1, max_size=20),
       turns=st.lists(st.sampled_from((0.0, 0.1)), min_size=20, max_size=20))
def test_keyframes_are_those_of_a_plain_walk(steps, turns):
    poses, x, yaw = [], 0.0, 0.0
    for step, turn in zip(steps, turns, strict=False):
        poses.append(along(x, yaw))
        x, yaw = x + step, yaw + turn
    count = len(poses)
    trajectory = Trajectory(np.arange(count), np.array(poses), np.zeros(count, np.int32))
    chosen, last = [0], 0
    for index in range(1, count):
        moved = abs(poses[index][0, 3] - poses[last][0, 3])
        turned = sum(turns[last:index])
        if moved >= 0.999999 or turned >= 0.149:
            chosen.append(index)
            last = index
    assert choose_keyframes(trajectory, 0.999999, np.degrees(0.15 - 1e-6)).tolist() == chosen


def test_a_parked_vehicle_has_one_keyframe_and_lost_sweeps_are_all_keyframes():
    poses = np.tile(np.eye(4), (6, 1, 1))
    segment = np.array([0, 0, 0, -1, -1, 1], np.int32)
    trajectory = Trajectory(np.arange(6), poses, segment)
    assert choose_keyframes(trajectory, 0.5, 5).tolist() == [0, 3, 4, 5]


def test_time_that_jumps_starts_a_segment():
    stamps = np.array([0, 10, 20, 90, 100, 50, 60, 60])
    assert steady_segments(stamps, 50).tolist() == [0, 0, 0, 1, 1, 2, 2, 3]


def test_poses_between_sweeps_are_on_the_way():
    stamps = np.array([0, 100, 200, 300]) * 1_000_000
    poses = np.array([along(0), along(1), along(2), along(9)])
    trajectory = Trajectory(stamps, poses, np.array([0, 0, 0, 1], np.int32))
    for index, stamp, x in ((1, 150, 1.5), (1, 60, 0.6), (0, -10, -0.1), (2, 230, 2.3)):
        assert trajectory.pose_at(index, stamp * 1_000_000)[0, 3] == pytest.approx(x)
    assert trajectory.pose_at(3, 310_000_000)[0, 3] == 9
    assert trajectory.motion(1)[0, 3] == pytest.approx(1)
    assert trajectory.motion(3) is None
    twice = Trajectory(stamps[[0, 1, 1]], poses[:3], np.zeros(3, np.int32))
    assert twice.motion(1)[0, 3] == pytest.approx(1) and twice.motion(2) is None


@pytest.mark.kitti
def test_odometry_of_a_real_drive_is_that_of_its_gps(kitti_root):
    pytest.importorskip('kiss_icp')
    drive, = (kitti_root / 'kitti_0001').glob('*/*_sync')
    sweeps = sorted((drive / 'velodyne_points' / 'data').glob('*.bin'))[:12]
    clouds = [Cloud(0, np.fromfile(path, np.float32).reshape(-1, 4)[:, :3]) for path in sweeps]
    poses = [pose for _, pose, _ in register_run(enumerate(clouds))]
    known = odom_from_imu(sorted((drive / 'oxts' / 'data').glob('*.txt'))[:12])
    way, length = (np.linalg.norm(p[-1][:3, 3] - p[0][:3, 3]) for p in (poses, known))
    assert length > 10
    assert abs(way - length) < 0.02 * length
    first, wanted = (np.linalg.norm(p[1][:3, 3] - p[0][:3, 3]) for p in (poses, known))
    assert abs(first - wanted) < 0.15 * wanted  # not found standing at first


def test_points_are_moved_to_the_stamp_by_their_own_times():
    stamps = np.array([0, 100, 200]) * 1_000_000 + 10**18
    step = along(1.5, 0.03)
    poses = np.array([np.eye(4), step, step @ step])
    trajectory = Trajectory(stamps, poses, np.zeros(3, np.int32))
    rng = np.random.default_rng(0)
    world = rng.uniform(-30, 30, (200, 3))
    offset = rng.integers(-50_000_000, 50_000_000, 200)
    measured = np.stack([
        transform_points(invert(trajectory.pose_at(1, int(stamps[1] + late))), place[None])[0]
        for place, late in zip(world, offset, strict=True)
    ]).astype(np.float32)
    wanted = transform_points(invert(poses[1]), world)
    cloud = Cloud(int(stamps[1]), measured, time_offset=offset)
    assert np.abs(measured - wanted).max() > 1
    assert np.abs(points_at_stamp(cloud, trajectory.motion(1)) - wanted).max() < 0.05
    assert points_at_stamp(cloud, None) is cloud.points


def test_answers_are_sampled_as_an_image_is_enlarged():
    """As torch enlarges a map to the size of the image, then looks up the pixel."""
    torch.manual_seed(0)
    output = TeacherOutput(torch.randn(5, 6, 9), torch.randn(3, 12, 10))
    ids = np.array([1, 1, 0])
    size = (48, 72)
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.integers(0, 72, 50), rng.integers(0, 48, 50)], 1)
    pairing = Pairing(np.arange(50), pixels.astype(np.float32), np.ones(50, np.float32))
    answer = Answer(output, size, ids, None)
    large = [
        torch.nn.functional.interpolate(x[None], size, mode='bilinear')[0]
        for x in (output.features, output.logits)
    ]
    at = large[0][:, pixels[:, 1], pixels[:, 0]].T.numpy()
    assert np.allclose(answer.features(pairing), at, atol=2e-3)
    share = large[1].softmax(0)[:, pixels[:, 1], pixels[:, 0]].T.numpy()
    found = answer.probabilities(pairing)
    assert np.allclose(found[:, 0], share[:, 0] + share[:, 1], atol=2e-3)
    assert not found[:, 1:].any()


def test_mixtures_keep_distances():
    mixing = make_mixing(144, 64)
    features = np.random.default_rng(0).normal(size=(300, 144))
    before = np.linalg.norm(features[:150] - features[150:], axis=1)
    after = np.linalg.norm((features[:150] - features[150:]) @ mixing.T, axis=1)
    assert abs((after / before).mean() - 1) < 0.03 and (after / before).std() < 0.1
    assert (make_mixing(144, 64) == mixing).all()
    assert make_mixing(32, 64) is None and make_mixing(32, 0) is None


@pytest.mark.parametrize('change', [
    {'point': np.array([1, 0], np.int32)}, {'point': np.array([-1, 0], np.int32)},
    {'view': np.array([0, 1], np.uint8)}, {'depth': np.zeros(2)},
    {'feature': np.zeros((3, 2), np.float16)}, {'probability': np.zeros((2, 17), np.float16)},
])
def test_views_that_do_not_fit_are_refused(change):
    good = PointViews(
        np.array([0, 1], np.int32), np.zeros(2, np.uint8), np.zeros(2, np.float32),
        np.zeros(2, np.float32), np.zeros((2, 4), np.float16), None, ('front',))
    with pytest.raises(ValueError):
        dataclasses.replace(good, **change)
    cloud = Cloud(0, np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError):
        DistillationFrame(cloud, good, None, None)
