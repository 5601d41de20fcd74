"""Scores on real drives: truth from boxes against a slow loop, and the few street classes."""

from __future__ import annotations

from box_truth import (
    BOX_CLASSES,
    box_truth,
    BoxScores,
    IGNORED,
    NEITHER,
    PERSON,
    VEHICLE,
)
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from object_labels import read_object_labels
import pytest
from xmodelkd_ros.bags.kitti_calibration import (
    read_calibration,
    rectified0_from_lidar,
    rectified_camera,
)
from xmodelkd_ros.bags.sensor_files import read_picture, read_sweep
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.evaluation.street_classes import STREET_CLASSES, STREET_FROM_ID, StreetScores
from xmodelkd_ros.geometry.occlusion import OcclusionConfig
from xmodelkd_ros.geometry.pairing import Pairing
from xmodelkd_ros.geometry.projection import project_points
from xmodelkd_ros.labels import ALL_CLASSES, ID_BY_NAME
from xmodelkd_ros.records import Boxes

CAR, PERSON_ID, NO_CLASS = ID_BY_NAME['car'], ID_BY_NAME['person'], 0
NO_REGIONS = np.zeros((0, 4), np.float32)


def boxes_of(rows) -> Boxes:
    """rows: class, x, y, z, length, width, height, yaw."""
    rows = np.array(rows, float).reshape(-1, 8)
    return Boxes(
        np.arange(1, len(rows) + 1, dtype=np.uint16), rows[:, 0].astype(np.uint16),
        np.ones(len(rows), np.float32), rows[:, 1:4].astype(np.float32),
        rows[:, 4:7].astype(np.float32), rows[:, 7].astype(np.float32))


def all_shown(points, pixels=None) -> Pairing:
    pixels = np.zeros((len(points), 2), np.float32) if pixels is None else pixels
    return Pairing(np.arange(len(points)), pixels, np.ones(len(points), np.float32))


def slow_truth(points, pixels, boxes, regions, rim):
    """Return the truth point by point and box by box, as the documentation puts it."""
    found = []
    for point, pixel in zip(points.astype(float), pixels.astype(float), strict=True):
        inside, near = set(), False
        for box in range(len(boxes.yaw)):
            yaw = float(boxes.yaw[box])
            dx, dy, dz = point - boxes.center[box]
            along = np.cos(yaw) * dx + np.sin(yaw) * dy
            across = -np.sin(yaw) * dx + np.cos(yaw) * dy
            length, width, height = boxes.size[box].astype(float) / 2
            if abs(along) <= length and abs(across) <= width and -height + rim <= dz <= height:
                inside.add({CAR: VEHICLE.id, PERSON_ID: PERSON.id}.get(
                    int(boxes.class_id[box]), NEITHER.id))
            near |= (abs(along) <= length + rim and abs(across) <= width + rim
                     and abs(dz) <= height + rim)
        in_region = any(r[0] <= pixel[0] <= r[2] and r[1] <= pixel[1] <= r[3] for r in regions)
        if NEITHER.id in inside or len(inside) == 2:
            found.append(IGNORED)
        elif inside:
            found.append(inside.pop())
        else:
            found.append(IGNORED if near or in_region else NEITHER.id)
    return np.array(found, np.uint16)


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.sampled_from([0.0, 0.2, 0.7]))
def test_truth_is_that_of_the_slow_loop(seed, count, rim):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-4, 4, (200, 3)).astype(np.float32)
    pixels = rng.uniform(0, 100, (200, 2)).astype(np.float32)
    boxes = boxes_of([
        [rng.choice([CAR, PERSON_ID, NO_CLASS]), *rng.uniform(-3, 3, 3),
         *rng.uniform(1.5, 5, 3), rng.uniform(-np.pi, np.pi)] for _ in range(count)])
    corners = rng.uniform(0, 100, (2, 2, 2))
    regions = np.hstack([corners.min(0), corners.max(0)]).astype(np.float32)
    got = box_truth(points, all_shown(points, pixels), boxes, regions, rim)
    expected = slow_truth(points, pixels, boxes, regions, rim)
    # Faces are crossed within rounding.
    assert (got != expected).sum() <= 1


def test_only_the_points_in_view_are_asked():
    points = np.array([[0, 0, 0], [50, 0, 0], [0, 0, 0]], np.float32)
    shown = Pairing(np.array([1, 2]), np.zeros((2, 2), np.float32), np.ones(2, np.float32))
    truth = box_truth(points, shown, boxes_of([[CAR, 0, 0, 0, 4, 2, 2, 0]]), NO_REGIONS)
    assert truth.tolist() == [NEITHER.id, VEHICLE.id]


def test_an_unlabelled_region_does_not_hide_a_box():
    points = np.array([[0, 0, 0], [20, 0, 0]], np.float32)
    region = np.array([[-1, -1, 1, 1]], np.float32)
    truth = box_truth(points, all_shown(points), boxes_of([[CAR, 0, 0, 0, 4, 2, 2, 0]]), region)
    assert truth.tolist() == [VEHICLE.id, IGNORED]


def test_scores_count_hits_false_and_missed():
    truth = np.array([VEHICLE.id] * 4 + [PERSON.id] * 2 + [NEITHER.id] * 3 + [IGNORED], np.uint16)
    names = ['car', 'bus', 'truck', 'road', 'rider', 'car', 'unlabelled', 'car', 'person', 'car']
    scores = BoxScores()
    scores.add(truth, np.array([ID_BY_NAME[name] for name in names], np.uint16))
    assert scores.points == 9
    assert scores.vehicle_iou == pytest.approx(3 / 6)
    assert scores.person_iou == pytest.approx(1 / 3)


def test_street_classes_cover_each_class_once():
    assert [row.id for row in STREET_CLASSES] == list(range(1, 8))
    none = {row.name for row in ALL_CLASSES if not STREET_FROM_ID[row.id]}
    assert none == {'unlabelled', 'fence', 'bicycle', 'sky'}
    assert STREET_CLASSES[STREET_FROM_ID[ID_BY_NAME['trunk']] - 1].name == 'vegetation, terrain'


def test_agreement_counts_where_the_reference_is_a_street_class():
    names = (('road', 'road'), ('road', 'sidewalk'), ('fence', 'building'), ('truck', 'bus'),
             ('terrain', 'trunk'), ('building', 'fence'))
    true, predicted = (np.array([ID_BY_NAME[pair[side]] for pair in names], np.uint16)
                       for side in (0, 1))
    scores = StreetScores()
    scores.add(true, predicted)
    iou = dict(zip((row.name for row in STREET_CLASSES), scores.iou, strict=True))
    assert iou['road'] == pytest.approx(0.5) and iou['vehicle'] == 1
    assert iou['vegetation, terrain'] == 1 and iou['building'] == 0
    assert scores.counts.sum() == 5


LABEL_LINES = (
    'Car 0.00 0 1.96 280.38 185.10 344.90 215.59 1.49 1.76 4.01 -15.71 2.16 38.26 1.57\n'
    'Pedestrian 0 0 0.2 712.4 143.0 810.7 307.9 1.89 0.48 1.20 1.84 1.47 8.41 0.01\n'
    'Misc 0 0 0.2 712.4 143.0 810.7 307.9 1.0 1.0 1.0 1.84 1.47 8.41 0.01\n'
    'DontCare -1 -1 -10 800.38 163.67 825.45 184.07 -1 -1 -1 -1000 -1000 -1000 -10\n')
AHEAD = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float)


def test_object_labels_are_boxes_in_the_lidar_frame(tmp_path):
    (tmp_path / 'a.txt').write_text(LABEL_LINES)
    labels = read_object_labels(tmp_path / 'a.txt', AHEAD)
    boxes = labels.boxes
    assert boxes.class_id.tolist() == [CAR, PERSON_ID, NO_CLASS]
    np.testing.assert_allclose(boxes.center[0], [38.26, 15.71, -2.16 + 1.49 / 2], atol=1e-5)
    np.testing.assert_allclose(boxes.size[0], [4.01, 1.76, 1.49], atol=1e-6)
    # Turned by a right angle about the camera's downward axis, it points towards the camera.
    assert abs(np.cos(boxes.yaw[0])) == pytest.approx(1, abs=1e-3)
    assert abs(np.sin(boxes.yaw[1])) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(labels.unlabelled, [[800.38, 163.67, 825.45, 184.07]], rtol=1e-6)


@pytest.mark.parametrize('text', [None, 'Car 1 2 3\n', 'Car' + ' x' * 14])
def test_a_file_that_holds_no_labels_is_named(tmp_path, text):
    path = tmp_path / 'a.txt'
    if text is not None:
        path.write_text(text)
    with pytest.raises(BagError, match=r'cannot read object labels from .*a\.txt'):
        read_object_labels(path, AHEAD)


def test_a_frame_without_objects_has_no_boxes(tmp_path):
    (tmp_path / 'a.txt').write_text('')
    labels = read_object_labels(tmp_path / 'a.txt', AHEAD)
    points = np.zeros((3, 3), np.float32)
    truth = box_truth(points, all_shown(points), labels.boxes, labels.unlabelled)
    assert (truth == NEITHER.id).all() and len(BOX_CLASSES) == 3


@pytest.mark.kitti
def test_kitti_boxes_hold_the_points_of_their_objects(kitti_root):
    """Each near, unhidden car of the official labels has points, in front of what it hides."""
    folder = kitti_root / 'kitti_frames' / 'training'
    calibration = read_calibration(folder / 'calib' / '000008.txt')
    size = read_picture(folder / 'image_2' / '000008.jpg').shape[1::-1]
    mounted = rectified_camera(calibration, '02', size)
    labels = read_object_labels(
        folder / 'label_2' / '000008.txt', rectified0_from_lidar(calibration))
    points, _ = read_sweep(folder / 'velodyne' / '000008.bin')
    shown = project_points(
        points, mounted.camera_from_lidar, mounted.camera, OcclusionConfig(enabled=False))
    truth = box_truth(points, shown, labels.boxes, labels.unlabelled)
    assert 3000 < (truth == VEHICLE.id).sum() < 6000
    # The projected boxes are those that were drawn by hand on the picture.
    left, top, right, bottom = 334.85, 178.94, 624.50, 372.04
    own = box_truth(points, shown, boxes_of([[
        CAR, *labels.boxes.center[1], *labels.boxes.size[1], labels.boxes.yaw[1]]]), NO_REGIONS)
    pixels = shown.pixels[own == VEHICLE.id]
    assert len(pixels) > 500
    outside = (pixels < (left - 3, top - 3)) | (pixels > (right + 3, bottom + 3))
    assert outside.mean() < 0.01
