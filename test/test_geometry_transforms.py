"""Rigid transforms against scipy, hand-made motions and properties."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp
from xmodelkd_ros.errors import CalibrationError
from xmodelkd_ros.geometry import transforms

coordinates = st.floats(-100, 100, allow_subnormal=False)
quaternions = arrays(float, 4, elements=st.floats(-1, 1, width=32)).filter(
    lambda q: np.linalg.norm(q) > 0.1
).map(lambda q: q / np.linalg.norm(q))


@st.composite
def poses(draw):
    translation = draw(arrays(float, 3, elements=coordinates))
    return transforms.from_translation_quaternion(translation, draw(quaternions))


@settings(max_examples=25, deadline=None)
@given(poses())
def test_invert_undoes_a_transform(pose):
    np.testing.assert_allclose(transforms.invert(pose) @ pose, np.eye(4), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(quaternions, arrays(float, 3, elements=coordinates))
def test_quaternions_agree_with_scipy_and_come_back(quaternion, translation):
    pose = transforms.from_translation_quaternion(translation, quaternion)
    expected = Rotation.from_quat(quaternion).as_matrix()
    np.testing.assert_allclose(pose[:3, :3], expected, atol=1e-9)
    back_translation, back = transforms.to_translation_quaternion(pose)
    np.testing.assert_array_equal(back_translation, translation)
    assert back[3] >= 0
    assert abs(abs(back @ quaternion) - 1) < 1e-9


@pytest.mark.parametrize('quaternion', [[0, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, np.nan]])
def test_a_quaternion_that_is_no_rotation_is_refused(quaternion):
    with pytest.raises(CalibrationError, match='not a rigid transform'):
        transforms.from_translation_quaternion(np.zeros(3), quaternion)


@settings(max_examples=25, deadline=None)
@given(poses(), poses(), st.integers(0, 10))
def test_interpolation_agrees_with_scipy(start, end, tenths):
    angle = (Rotation.from_matrix(start[:3, :3]).inv() * Rotation.from_matrix(end[:3, :3]))
    if angle.magnitude() > np.pi - 1e-3:
        return
    pose, = transforms.interpolate(start, end, np.array([tenths / 10]))
    slerp = Slerp([0, 10], Rotation.from_matrix([start[:3, :3], end[:3, :3]]))
    np.testing.assert_allclose(pose[:3, :3], slerp(tenths).as_matrix(), atol=1e-6)
    expected = start[:3, 3] + tenths / 10 * (end[:3, 3] - start[:3, 3])
    np.testing.assert_allclose(pose[:3, 3], expected, atol=1e-9)


def test_points_keep_their_dtype_and_their_nan():
    points = np.array([[1, 2, 3], [np.nan, 0, 0], [np.inf, 0, 0]], np.float32)
    pose = transforms.from_translation_quaternion([1, 0, 0], [0, 0, np.sqrt(0.5), np.sqrt(0.5)])
    moved = transforms.transform_points(pose, points)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved[0], [-1, 1, 3], atol=1e-6)
    assert not np.isfinite(moved[1:]).all(1).any()


@settings(max_examples=25, deadline=None)
@given(poses(), poses(), poses(), poses(), arrays(float, (5, 3), elements=coordinates))
def test_two_time_transform_goes_through_the_fixed_frame(
    camera_from_base, at_image, at_cloud, base_from_lidar, points
):
    homogeneous = np.hstack([points, np.ones((5, 1))]).T
    in_fixed = at_cloud @ base_from_lidar @ homogeneous
    expected = camera_from_base @ np.linalg.inv(at_image) @ in_fixed
    found = transforms.camera_from_lidar_between(
        camera_from_base, at_image, at_cloud, base_from_lidar
    )
    np.testing.assert_allclose(found @ homogeneous, expected, atol=1e-6)


def test_motion_is_taken_out_of_every_point():
    rng = np.random.default_rng(0)
    duration = 100_000_000
    motion = transforms.from_translation_quaternion(
        [1.5, 0.1, 0.0], Rotation.from_euler('xyz', [0.01, -0.02, 0.2]).as_quat()
    )
    world = rng.uniform(-50, 50, (200, 3))
    offset = rng.integers(-duration // 2, duration, 200)
    vector = Rotation.from_matrix(motion[:3, :3]).as_rotvec()
    seen = np.empty((200, 3))
    for i, share in enumerate(offset / duration):
        turn = Rotation.from_rotvec(vector * share)
        seen[i] = turn.inv().apply(world[i] - share * motion[:3, 3])
    found = transforms.compensate_motion(seen.astype(np.float32), offset, motion, duration)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, world, atol=1e-4)


def test_no_motion_leaves_points_alone():
    points = np.array([[1, 2, 3], [np.nan, 0, 0]], np.float32)
    found = transforms.compensate_motion(points, np.array([5, 6]), np.eye(4), 10)
    np.testing.assert_array_equal(found[0], points[0])
    assert np.isnan(found[1]).any()
