"""
Rotations and transforms over transforms3d: a stand-in for ROS's package of this name.

Quaternions are x, y, z, w, matrices (4, 4), angles rad; axes are named as in transforms3d.
"""

import math

import numpy as np
from transforms3d import euler, quaternions
from transforms3d.axangles import axangle2mat

__all__ = [
    'concatenate_matrices',
    'euler_from_matrix',
    'euler_from_quaternion',
    'euler_matrix',
    'identity_matrix',
    'inverse_matrix',
    'quaternion_about_axis',
    'quaternion_conjugate',
    'quaternion_from_euler',
    'quaternion_from_matrix',
    'quaternion_inverse',
    'quaternion_matrix',
    'quaternion_multiply',
    'quaternion_slerp',
    'rotation_matrix',
    'translation_from_matrix',
    'translation_matrix',
    'unit_vector',
]

_NOT_PROVIDED = {
    'Arcball', 'affine_matrix_from_points', 'arcball_constrain_to_axis', 'arcball_map_to_sphere',
    'arcball_nearest_axis', 'clip_matrix', 'compose_matrix', 'decompose_matrix',
    'is_same_transform', 'orthogonalization_matrix', 'projection_from_matrix',
    'projection_matrix', 'random_quaternion',
    'random_rotation_matrix', 'random_vector', 'reflection_from_matrix', 'reflection_matrix',
    'rotation_from_matrix', 'scale_from_matrix', 'scale_matrix', 'shear_from_matrix',
    'shear_matrix', 'superimposition_matrix', 'vector_norm',
}
_EPSILON = 4 * np.finfo(float).eps


def __getattr__(name):
    """Say by name what this stand-in does not provide."""
    if name in _NOT_PROVIDED:
        raise NotImplementedError(f'tf_transformations.{name}')
    raise AttributeError(name)


def identity_matrix():
    """Return the transform that changes nothing."""
    return np.identity(4)


def translation_matrix(direction):
    """Return the transform that moves by a vector (3,)."""
    matrix = np.identity(4)
    matrix[:3, 3] = direction[:3]
    return matrix


def translation_from_matrix(matrix):
    """Return the vector (3,) that a transform moves by."""
    return np.array(matrix, float)[:3, 3].copy()


def rotation_matrix(angle, direction, point=None):
    """Return the transform that turns by an angle about an axis through a point."""
    matrix = np.identity(4)
    matrix[:3, :3] = axangle2mat(direction[:3], angle)
    if point is not None:
        point = np.asarray(point[:3], float)
        matrix[:3, 3] = point - matrix[:3, :3] @ point
    return matrix


def inverse_matrix(matrix):
    """Return the inverse of a transform."""
    return np.linalg.inv(matrix)


def concatenate_matrices(*matrices):
    """Return the product of transforms, the last one applied first."""
    product = np.identity(4)
    for matrix in matrices:
        product = product @ matrix
    return product


def euler_matrix(ai, aj, ak, axes='sxyz'):
    """Return the rotation of three Euler angles."""
    matrix = np.identity(4)
    matrix[:3, :3] = euler.euler2mat(ai, aj, ak, axes)
    return matrix


def euler_from_matrix(matrix, axes='sxyz'):
    """Return the three Euler angles of a rotation."""
    return euler.mat2euler(np.asarray(matrix)[:3, :3], axes)


def euler_from_quaternion(quaternion, axes='sxyz'):
    """Return the three Euler angles of a quaternion."""
    return euler.quat2euler(_w_first(quaternion), axes)


def quaternion_from_euler(ai, aj, ak, axes='sxyz'):
    """Return the quaternion of three Euler angles."""
    return _w_last(euler.euler2quat(ai, aj, ak, axes))


def quaternion_about_axis(angle, axis):
    """Return the quaternion that turns by an angle about an axis."""
    return _w_last(quaternions.axangle2quat(axis, angle))


def quaternion_matrix(quaternion):
    """Return the rotation of a quaternion of any length but zero."""
    matrix = np.identity(4)
    matrix[:3, :3] = quaternions.quat2mat(_w_first(quaternion))
    return matrix


def quaternion_from_matrix(matrix):
    """Return the quaternion of a rotation."""
    return _w_last(quaternions.mat2quat(np.asarray(matrix)[:3, :3]))


def quaternion_multiply(quaternion1, quaternion0):
    """Return the product of two quaternions, the second one applied first."""
    return _w_last(quaternions.qmult(_w_first(quaternion1), _w_first(quaternion0)))


def quaternion_conjugate(quaternion):
    """Return the quaternion with its vector part turned round."""
    return _w_last(quaternions.qconjugate(_w_first(quaternion)))


def quaternion_inverse(quaternion):
    """Return the inverse of a quaternion."""
    return _w_last(quaternions.qinverse(_w_first(quaternion)))


def quaternion_slerp(quat0, quat1, fraction, spin=0, shortestpath=True):
    """Return the quaternion at a fraction of the way, with `spin` more half turns."""
    start, end = unit_vector(quat0), unit_vector(quat1)
    cosine = float(start @ end)
    if fraction == 0.0 or abs(abs(cosine) - 1.0) < _EPSILON:
        return start
    if fraction == 1.0:
        return end
    if shortestpath and cosine < 0.0:
        cosine, end = -cosine, -end
    angle = math.acos(cosine) + spin * math.pi
    if abs(angle) < _EPSILON:
        return start
    weights = math.sin((1.0 - fraction) * angle), math.sin(fraction * angle)
    return (weights[0] * start + weights[1] * end) / math.sin(angle)


def unit_vector(data):
    """Return a vector scaled to length 1."""
    data = np.array(data, float)
    return data / np.linalg.norm(data)


def _w_first(quaternion):
    x, y, z, w = quaternion
    return np.array([w, x, y, z], float)


def _w_last(quaternion):
    w, x, y, z = quaternion
    return np.array([x, y, z, w], float)
