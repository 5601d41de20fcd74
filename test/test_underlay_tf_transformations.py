"""The stand-in for tf_transformations, against pytransform3d and plain formulas."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from pytransform3d import rotations
import tf_transformations as tf

few = settings(max_examples=30, deadline=None)
angles = st.floats(-3.1, 3.1)


def unit(seed):
    return rotations.random_quaternion(np.random.default_rng(seed))


def last(quaternion):
    """Return a quaternion w, x, y, z as x, y, z, w."""
    return np.roll(quaternion, -1)


seeds = st.integers(0, 2**32 - 1)


@given(angles, st.floats(-1.5, 1.5), angles)
@few
def test_roll_pitch_yaw_turn_about_fixed_axes(roll, pitch, yaw):
    quaternion = tf.quaternion_from_euler(roll, pitch, yaw)
    expected = (
        rotations.active_matrix_from_angle(2, yaw)
        @ rotations.active_matrix_from_angle(1, pitch)
        @ rotations.active_matrix_from_angle(0, roll)
    )
    np.testing.assert_allclose(tf.quaternion_matrix(quaternion)[:3, :3], expected, atol=1e-12)
    np.testing.assert_allclose(tf.euler_matrix(roll, pitch, yaw)[:3, :3], expected, atol=1e-12)
    back = tf.euler_from_quaternion(quaternion)
    np.testing.assert_allclose(back, (roll, pitch, yaw), atol=1e-6)
    np.testing.assert_allclose(tf.euler_from_matrix(expected), (roll, pitch, yaw), atol=1e-6)


@given(seeds)
@few
def test_matrices_and_quaternions_agree(seed):
    quaternion = unit(seed)
    matrix = tf.quaternion_matrix(last(quaternion))
    expected = rotations.matrix_from_quaternion(quaternion)
    np.testing.assert_allclose(matrix[:3, :3], expected, atol=1e-12)
    np.testing.assert_array_equal(matrix[3], [0, 0, 0, 1])
    back = tf.quaternion_from_matrix(matrix)
    assert abs(back @ last(quaternion)) == pytest.approx(1)


@given(seeds)
@few
def test_product_applies_the_second_first(seed):
    first, second = unit(seed), unit(seed + 1)
    product = tf.quaternion_multiply(last(first), last(second))
    expected = rotations.concatenate_quaternions(first, second)
    np.testing.assert_allclose(product, last(expected), atol=1e-12)
    inverse = tf.quaternion_inverse(last(first))
    np.testing.assert_allclose(
        tf.quaternion_multiply(inverse, last(first)), [0, 0, 0, 1], atol=1e-12
    )
    np.testing.assert_allclose(tf.quaternion_conjugate(last(first)), inverse, atol=1e-12)


@given(seeds, st.floats(0, 1))
@few
def test_slerp_goes_the_shorter_way(seed, share):
    start, end = unit(seed), unit(seed + 1)
    found = tf.quaternion_slerp(last(start), last(end), share)
    expected = rotations.quaternion_slerp(start, end, share, shortest_path=True)
    assert abs(found @ last(expected)) == pytest.approx(1, abs=1e-9)


def test_slerp_ends_where_it_should():
    start, end = tf.quaternion_from_euler(0, 0, 0), tf.quaternion_from_euler(0, 0, 1)
    np.testing.assert_allclose(tf.quaternion_slerp(start, end, 0.0), start)
    np.testing.assert_allclose(tf.quaternion_slerp(start, end, 1.0), end)
    middle = tf.euler_from_quaternion(tf.quaternion_slerp(start, end, 0.5))
    np.testing.assert_allclose(middle, (0, 0, 0.5), atol=1e-12)
    np.testing.assert_allclose(tf.quaternion_slerp(start, start, 0.3), start)


def test_transforms_are_joined_and_undone():
    move = tf.translation_matrix([1, 2, 3])
    turn = tf.rotation_matrix(np.pi / 2, [0, 0, 1])
    joined = tf.concatenate_matrices(move, turn)
    np.testing.assert_allclose(joined @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    np.testing.assert_allclose(
        tf.concatenate_matrices(tf.inverse_matrix(joined), joined), tf.identity_matrix(),
        atol=1e-12,
    )
    assert tf.translation_from_matrix(joined).tolist() == [1, 2, 3]
    about = tf.rotation_matrix(np.pi, [0, 0, 1], point=[1, 0, 0])
    np.testing.assert_allclose(about @ [0, 0, 0, 1], [2, 0, 0, 1], atol=1e-12)


def test_axis_and_length():
    np.testing.assert_allclose(
        tf.quaternion_about_axis(np.pi / 2, [0, 0, 5]), [0, 0, np.sqrt(0.5), np.sqrt(0.5)]
    )
    np.testing.assert_allclose(tf.unit_vector([3, 0, 4]), [0.6, 0, 0.8])


def test_what_is_not_provided_says_so():
    with pytest.raises(NotImplementedError, match=r'tf_transformations.shear_matrix'):
        tf.shear_matrix  # noqa: B018
    assert not hasattr(tf, 'nonsense')
