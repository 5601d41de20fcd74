"""Calibrations, transforms, detections, diagnostics and stamps as messages."""

import types

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header
from xmodelkd_ros.errors import CalibrationError, MessageError
from xmodelkd_ros.geometry.transforms import from_translation_quaternion, transform_points
from xmodelkd_ros.labels import SemanticClass, THING_CLASSES
from xmodelkd_ros.messages import diagnostics, stamps
from xmodelkd_ros.messages.cameras import camera_from_message, camera_info_message
from xmodelkd_ros.messages.detections import (
    detections_2d_message,
    detections_3d_message,
    label_info_message,
)
from xmodelkd_ros.messages.transforms import transform_from_message, transform_message
from xmodelkd_ros.records import Boxes, Tracks

HEADER = Header(stamp=Time(sec=5, nanosec=6), frame_id='camera')


def calibration(model='plumb_bob', coefficients=(0.1, -0.05, 0.001, 0.002, 0.01), **changes):
    k = [400.0, 0, 320, 0, 410, 240, 0, 0, 1]
    p = [380.0, 0, 315, 0, 0, 380, 235, 0, 0, 0, 1, 0]
    message = CameraInfo(
        width=640, height=480, distortion_model=model, d=list(map(float, coefficients)),
        k=np.array(k), r=np.eye(3).reshape(-1), p=np.array(p),
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(('model', 'count', 'name'), [
    ('plumb_bob', 5, 'plumb_bob'), ('plumb_bob', 4, 'plumb_bob'), ('', 0, 'plumb_bob'),
    ('rational_polynomial', 8, 'rational_polynomial'), ('equidistant', 4, 'equidistant'),
    ('fisheye', 4, 'equidistant'),
])
@pytest.mark.parametrize('rectified', [False, True])
def test_calibrations_become_cameras(model, count, name, rectified):
    camera = camera_from_message(calibration(model, [0.01] * count), rectified)
    assert (camera.model, camera.width, camera.height) == (name, 640, 480)
    assert camera.rectified is rectified
    assert camera.intrinsics[1].tolist() == [0, 410, 240]
    assert camera.projection[0].tolist() == [380, 0, 315, 0]
    assert camera.distortion.tolist() == [0.01] * count


@pytest.mark.parametrize(('message', 'rectified', 'reason'), [
    (calibration(k=np.zeros(9)), False, 'not calibrated: K is zero'),
    (CameraInfo(), False, 'not calibrated'),
    (calibration(p=np.zeros(12)), True, 'P is zero'),
    (calibration(coefficients=[0.1] * 3), False, 'plumb_bob takes 0 or 4 or 5'),
    (calibration('rational_polynomial'), False, 'rational_polynomial takes 0 or 8'),
    (calibration('division'), False, "distortion model 'division' is not known"),
    (calibration(''), False, "distortion model '' is not known"),
    (calibration(width=0), False, '0 x 480 pixels'),
    (calibration(k=np.full(9, np.nan)), False, 'not finite'),
])
def test_impossible_calibrations_are_refused_with_the_reason(message, rectified, reason):
    with pytest.raises(CalibrationError) as caught:
        camera_from_message(message, rectified)
    assert reason in str(caught.value)


def test_raw_camera_may_leave_rectification_and_projection_zero():
    camera = camera_from_message(calibration(r=np.zeros(9), p=np.zeros(12)), rectified=False)
    np.testing.assert_array_equal(camera.rectification, np.eye(3))
    np.testing.assert_array_equal(camera.projection[:, :3], camera.intrinsics)


@pytest.mark.parametrize('rectified', [False, True])
def test_cut_and_binned_pictures_shift_and_shrink_the_pixels(rectified):
    points = np.random.default_rng(0).uniform((-1, -1, 3), (1, 1, 9), (50, 3))
    whole, _ = camera_from_message(calibration(), rectified).project(points)
    message = calibration(
        binning_x=2, binning_y=4,
        roi=RegionOfInterest(x_offset=100, y_offset=60, width=200, height=160),
    )
    camera = camera_from_message(message, rectified)
    assert (camera.width, camera.height) == (100, 40)
    pixels, _ = camera.project(points)
    np.testing.assert_allclose(pixels, (whole - (100, 60)) / (2, 4), atol=1e-3)


@pytest.mark.parametrize('rectified', [False, True])
def test_cameras_survive_a_message(rectified):
    camera = camera_from_message(calibration(), rectified)
    message = camera_info_message(camera, 5_000_000_006, 'camera')
    assert message.header == HEADER
    again = camera_from_message(message, rectified)
    for name in ('intrinsics', 'distortion', 'rectification', 'projection'):
        np.testing.assert_array_equal(getattr(again, name), getattr(camera, name))
    assert (again.width, again.height, again.model) == (640, 480, 'plumb_bob')


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_transforms_survive_a_message(seed):
    random = np.random.default_rng(seed)
    quaternion = random.normal(size=4)
    transform = from_translation_quaternion(
        random.normal(size=3), quaternion / np.linalg.norm(quaternion)
    )
    message = transform_message(transform, 5_000_000_006, 'base', 'lidar')
    assert (message.header.frame_id, message.child_frame_id) == ('base', 'lidar')
    assert message.header.stamp == HEADER.stamp
    np.testing.assert_allclose(transform_from_message(message), transform, atol=1e-12)


def test_transform_message_takes_the_child_to_the_parent():
    base_from_lidar = np.eye(4)
    base_from_lidar[:3, 3] = 1, 2, 3
    message = transform_message(base_from_lidar, 0, 'base', 'lidar')
    moved = transform_points(transform_from_message(message), np.zeros((1, 3)))
    assert moved.tolist() == [[1, 2, 3]]
    message.transform.rotation.w = 0.0
    with pytest.raises(CalibrationError, match='not a rigid transform'):
        transform_from_message(message)


CAR, PERSON = (next(c for c in THING_CLASSES if c.name == name) for name in ('car', 'person'))


def test_tracks_become_2d_detections():
    tracks = Tracks(
        np.array([7, 300], np.uint16), np.array([CAR.id, PERSON.id], np.uint16),
        np.array([0.5, 0.25], np.float32), np.array([[10, 20, 30, 60], [0, 0, 5, 9]], np.float32),
        np.zeros((4, 4), np.uint16),
    )
    message = detections_2d_message(tracks, THING_CLASSES, HEADER)
    assert message.header == HEADER
    assert [found.id for found in message.detections] == ['7', '300']
    first = message.detections[0]
    assert first.header == HEADER
    assert first.results[0].hypothesis.class_id == 'car'
    assert first.results[0].hypothesis.score == 0.5
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (20, 40)
    assert (first.bbox.size_x, first.bbox.size_y, first.bbox.center.theta) == (20, 40, 0)
    assert message.detections[1].results[0].hypothesis.class_id == 'person'


def test_boxes_become_3d_detections():
    boxes = Boxes(
        np.array([7], np.uint16), np.array([CAR.id], np.uint16), np.array([0.5], np.float32),
        np.array([[1, 2, 3]], np.float32), np.array([[4, 1.75, 1.5]], np.float32),
        np.array([np.pi / 2], np.float32),
    )
    message = detections_3d_message(boxes, THING_CLASSES, HEADER)
    (found,) = message.detections
    assert (found.id, found.results[0].hypothesis.class_id) == ('7', 'car')
    center, size = found.bbox.center, found.bbox.size
    assert (center.position.x, center.position.y, center.position.z) == (1, 2, 3)
    assert (size.x, size.y, size.z) == (4, 1.75, 1.5)
    turn = center.orientation
    turned = from_translation_quaternion(np.zeros(3), np.array([turn.x, turn.y, turn.z, turn.w]))
    np.testing.assert_allclose(turned[:3, 0], [0, 1, 0], atol=1e-6)
    assert found.results[0].pose.pose == center


def test_nothing_found_is_an_empty_message():
    nothing = types.SimpleNamespace(box=np.zeros((0, 4)), yaw=np.zeros(0))
    assert detections_2d_message(nothing, THING_CLASSES, HEADER).detections == []
    assert detections_3d_message(nothing, THING_CLASSES, HEADER).detections == []


def test_label_info_names_the_ids():
    classes = (SemanticClass(1, 'road', (0, 0, 0)), SemanticClass(10, 'car', (0, 0, 0), True))
    message = label_info_message(classes, HEADER)
    assert [(c.class_id, c.class_name) for c in message.class_map] == [(1, 'road'), (10, 'car')]
    assert message.header == HEADER


def test_diagnostics_hold_values_in_order():
    status = diagnostics.status_message('perception: stages', 'warn', 'slow', {
        'clouds.rate_hz': 9.87654321, 'images': 10, 'hash': 'abc', 'ok': True,
    }, hardware='cpu')
    assert (status.level, status.name) == (DiagnosticStatus.WARN, 'perception: stages')
    assert (status.message, status.hardware_id) == ('slow', 'cpu')
    assert [(pair.key, pair.value) for pair in status.values] == [
        ('clouds.rate_hz', '9.87654'), ('images', '10'), ('hash', 'abc'), ('ok', 'True'),
    ]
    message = diagnostics.diagnostics_message([status], 5_000_000_006)
    assert message.status == [status]
    assert message.header.stamp == HEADER.stamp


@given(st.integers(-(2**31) * 10**9, (2**31) * 10**9 - 1))
@settings(deadline=None)
def test_stamps_are_exact(stamp):
    assert stamps.nanoseconds(stamps.stamp_message(stamp)) == stamp


def test_data_without_a_stamp_is_refused():
    assert stamps.measured_at(HEADER) == 5_000_000_006
    with pytest.raises(MessageError, match='stamp is zero'):
        stamps.measured_at(Header())
