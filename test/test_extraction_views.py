"""What is extracted of a drive whose truth is known: the pixel where each point really is."""

from __future__ import annotations

import cv2
import numpy as np
from painted_drive import CONFIG, copy_bag, TruthTeacher, write_painted_bag
import pytest
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.distillation.cache import CachedDistillationDrive
from xmodelkd_ros.distillation.extraction.config import ExtractionConfig
from xmodelkd_ros.distillation.extraction.extraction import extract
from xmodelkd_ros.distillation.extraction.quality import measure_drive, read_report
from xmodelkd_ros.distillation.extraction.trajectory import pose_between
from xmodelkd_ros.distillation.student.carrying import (
    labels_from_votes,
    own_labels,
    read_votes,
    vote_maps,
)
from xmodelkd_ros.geometry.transforms import invert, transform_points
from xmodelkd_ros.simulation.mounting import base_from_camera, BASE_FROM_LIDAR

SETTINGS = {'distance': 0.1, 'instants': (-2, -1, 1, 2), 'shard': 4}


def config(**settings):
    return from_mapping(ExtractionConfig, {**SETTINGS, **settings})


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return write_painted_bag(tmp_path_factory.mktemp('drive') / 'painted', patch)


def extracted(bag, out, **settings):
    return CachedDistillationDrive(extract([bag], out, TruthTeacher(), config(**settings))[0])


@pytest.fixture(scope='module')
def drive(bag, tmp_path_factory):
    return extracted(bag, tmp_path_factory.mktemp('cache'))


def agreement(drive, chosen):
    """Return the share of rows whose painted class is the point's true class."""
    right = rows = 0
    for index in range(len(drive)):
        frame = drive.frame(index)
        truth = frame.cloud.label[frame.views.point]
        said = frame.views.probability.argmax(1) + 1
        used = chosen(frame.views.view) & (truth > 0)
        right, rows = right + (said == truth)[used].sum(), rows + used.sum()
    assert rows > 100
    return right / rows


def test_each_view_is_of_the_pixel_where_the_point_is(drive):
    assert len(drive) == CONFIG.frames
    assert agreement(drive, lambda view: view < 2) > 0.94
    assert agreement(drive, lambda view: view >= 2) > 0.93


def test_the_occlusion_test_makes_views_better(bag, drive, tmp_path):
    blind = extracted(bag, tmp_path, **{'occlusion': {'enabled': False}})
    for chosen in (lambda view: view < 2, lambda view: view >= 2):
        assert agreement(drive, chosen) > agreement(blind, chosen) + 0.005


def test_views_of_a_point_agree(drive):
    different = rows = 0
    for index in range(len(drive)):
        views = drive.frame(index).views
        said = views.probability.argmax(1)
        again = views.point[1:] == views.point[:-1]
        different, rows = different + (said[1:] != said[:-1])[again].sum(), rows + again.sum()
    assert rows > 10_000
    assert different / rows < 0.1


def truly_moving(frame, before, after):
    """Return (N,) bool: points of instances that keep moving one way, by more than 0.5 m."""
    place = {}
    for seen in (before, frame, after):
        points = transform_points(seen.fixed_from_lidar, seen.cloud.points.astype(float))
        for instance in np.unique(seen.cloud.instance[seen.cloud.instance > 0]):
            mean = points[seen.cloud.instance == instance].mean(0)
            place.setdefault(instance, []).append(mean)
    steps = {i: np.diff(places, axis=0) for i, places in place.items() if len(places) == 3}
    moved = [i for i, (first, second) in steps.items()
             if first @ second > 0.8 * np.linalg.norm(first) * np.linalg.norm(second)
             and min(np.linalg.norm(first), np.linalg.norm(second)) > 0.5]
    return np.isin(frame.cloud.instance, moved)


@pytest.fixture(scope='module')
def moving(drive):
    """Return keyframes with which of their points truly move."""
    found = [
        (drive.frame(n), truly_moving(*(drive.frame(m) for m in (n, n - 1, n + 1))))
        for n in range(2, 7)
    ]
    assert sum(truth.sum() for _, truth in found) > 200
    return found


def test_what_moves_is_found_and_what_rests_is_not(moving):
    hits = sum((frame.moving & truth).sum() for frame, truth in moving)
    assert hits / sum(truth.sum() for _, truth in moving) > 0.6
    rests = [frame.cloud.instance == 0 for frame, _ in moving]
    alarms = sum(frame.moving[rest].sum() for (frame, _), rest in zip(moving, rests, strict=True))
    assert alarms / sum(rest.sum() for rest in rests) < 0.02


def test_other_instants_see_little_of_what_moves_and_that_is_right(moving):
    """What is left are slow things, of which another part is where this one was."""
    own = other = right = 0
    for frame, truth in moving:
        views = frame.views
        moves, is_other = truth[views.point], views.view >= 2
        own, other = own + (moves & ~is_other).sum(), other + (moves & is_other).sum()
        said = views.probability.argmax(1) + 1
        right += (said == frame.cloud.label[views.point])[moves & is_other].sum()
    assert own > 500
    assert other < 0.3 * own * len(SETTINGS['instants'])
    assert right / other > 0.8


def test_depth_and_delay_are_those_of_the_picture(drive):
    frame, after, last = (drive.frame(n) for n in (4, 5, 6))
    views = frame.views
    assert drive.view_names[:3] == ('front', 'left', 'front-2')
    rows = views.view == drive.view_names.index('front+1')
    later = after.cloud.stamp + round(1e9 * CONFIG.camera_delay)
    assert np.allclose(views.delay[rows], (later - frame.cloud.stamp) * 1e-9, atol=1e-6)
    pose = pose_between(
        np.array([after.cloud.stamp, last.cloud.stamp]),
        np.array([after.fixed_from_lidar, last.fixed_from_lidar]), later)
    camera = pose @ invert(BASE_FROM_LIDAR) @ base_from_camera('front')
    points = transform_points(
        invert(camera) @ frame.fixed_from_lidar, frame.cloud.points.astype(float))
    assert rows.sum() > 100
    assert np.allclose(views.depth[rows], points[views.point[rows], 2], atol=0.02)


def test_carried_labels_reach_points_that_no_camera_sees(drive):
    figures = []
    for index, maps in enumerate(vote_maps(drive, (0.2, 0.5))):
        frame = drive.frame(index)
        label, confidence = labels_from_votes(read_votes(frame, maps))
        own, truth = own_labels(frame)[0], frame.cloud.label
        assert ((label > 0) == (confidence > 0)).all()
        known = (truth > 0) & (label > 0)
        figures.append((
            (own > 0).sum(), (label > 0).sum(), (label == truth)[known].mean(),
            (label == truth)[known & (own == 0)].mean()))
    own, carried, right, right_unseen = np.array(figures).mean(0)
    assert carried > 1.25 * own
    assert right > 0.93
    assert right_unseen > 0.88


def test_a_bag_without_odometry_gets_it_from_its_sweeps(tmp_path, bag, drive):
    pytest.importorskip('kiss_icp')
    lost = copy_bag(bag, tmp_path / 'lost', ['/tf'])
    found = extracted(lost, tmp_path / 'cache')
    assert found.manifest['odometry'] == 'kiss-icp'
    way = [
        np.linalg.norm(one.frame(8).fixed_from_lidar[:3, 3] - one.frame(0).fixed_from_lidar[:3, 3])
        for one in (drive, found)
    ]
    assert abs(way[1] - way[0]) < 0.05 * way[0]
    assert agreement(found, lambda view: view < 2) > 0.9
    assert agreement(found, lambda view: view >= 2) > 0.88


def test_frames_that_have_nothing_to_do_with_each_other_are_no_neighbours(tmp_path, bag):
    """As the single frames of KITTI's object benchmark, a second apart and without poses."""
    found = extracted(bag, tmp_path, odometry='kiss-icp', longest_gap=0.1)
    assert found.manifest['odometry'] == 'none'
    frame = found.frame(3)
    assert frame.fixed_from_lidar is None and frame.moving is None
    assert len(frame.views) and frame.views.view.max() < 2


def test_the_report_says_what_was_counted(drive):
    quality = read_report(drive.folder)
    frames = [drive.frame(n) for n in range(len(drive))]
    assert quality.frames == CONFIG.frames
    assert quality.offset_mean == pytest.approx(CONFIG.camera_delay, abs=1e-6)
    assert quality.offset_max == pytest.approx(CONFIG.camera_delay, abs=1e-6)
    seen = sum(len(set(frame.views.point.tolist())) for frame in frames)
    assert quality.seen == pytest.approx(seen / sum(len(f.cloud.points) for f in frames))
    assert quality.views == pytest.approx(sum(len(f.views) for f in frames) / seen)
    assert quality.seconds > 0
    assert (drive.folder / 'report.png').is_file()
    assert measure_drive(drive).size == quality.size


def test_a_teacher_without_classes_has_a_picture_in_the_colours_of_its_features(bag, tmp_path):
    teacher = TruthTeacher('1' * 64)
    teacher.class_names = teacher.class_ids = None
    (folder,) = extract([bag], tmp_path, teacher, config(instants=[]))
    assert CachedDistillationDrive(folder).class_names is None
    drawn = cv2.imread(str(folder / 'report.png'))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 100
