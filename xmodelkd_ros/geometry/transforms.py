"""Rigid transforms as (4, 4) float64 matrices, their interpolation, and two-time transforms."""

from __future__ import annotations

import numpy as np

from ..errors import CalibrationError


def invert(transform: np.ndarray) -> np.ndarray:
    """Return the inverse of a rigid transform (4, 4)."""
    inverse = np.eye(4)
    inverse[:3, :3] = transform[:3, :3].T
    inverse[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return inverse


def is_rigid(transform: np.ndarray) -> bool:
    """Return whether (4, 4) is finite and its rotation one, within 1 %."""
    rotation = transform[:3, :3]
    return bool(
        np.isfinite(transform).all()
        and np.allclose(rotation @ rotation.T, np.eye(3), atol=0.01)
        and np.linalg.det(rotation) > 0
    )


def transform_points(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """
    Return points moved by a transform.

    Parameters
    ----------
    transform
        (4, 4) target_from_source.
    points
        (N, 3) in the source frame, float32 or float64.

    Returns
    -------
    np.ndarray
        (N, 3) in the target frame, of the dtype of `points`.

    """
    matrix = np.asarray(transform, points.dtype)
    with np.errstate(invalid='ignore'):
        return points @ matrix[:3, :3].T + matrix[:3, 3]


def from_translation_quaternion(translation: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """
    Return the (4, 4) transform of a translation (3,) and a quaternion (4,) x, y, z, w.

    Raises
    ------
    CalibrationError
        If the quaternion is not of unit length within 1 %, or a number is not finite.

    """
    quaternion = np.asarray(quaternion, float)
    length = np.linalg.norm(quaternion)
    if not (abs(length - 1.0) < 0.01 and np.isfinite(translation).all()):
        raise CalibrationError(
            f'not a rigid transform: translation {np.asarray(translation).tolist()}, '
            f'quaternion {quaternion.tolist()}'
        )
    transform = np.eye(4)
    transform[:3, :3] = _rotation(quaternion / length)
    transform[:3, 3] = translation
    return transform


def to_translation_quaternion(transform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return translation (3,) and unit quaternion (4,) x, y, z, w with w >= 0."""
    return np.array(transform[:3, 3], float), _quaternion(transform[:3, :3])


def interpolate(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """
    Return the poses (K, 4, 4) at the shares (K,) of the way from `start` to `end` (4, 4).

    The rotation turns at constant speed about one axis, the translation is linear.
    """
    translation_start, quaternion_start = to_translation_quaternion(start)
    translation_end, quaternion_end = to_translation_quaternion(end)
    share = np.asarray(share, float)[:, None]
    poses = np.tile(np.eye(4), (len(share), 1, 1))
    poses[:, :3, :3] = _rotation(_slerp(quaternion_start, quaternion_end, share))
    poses[:, :3, 3] = translation_start + share * (translation_end - translation_start)
    return poses


def camera_from_lidar_between(
    camera_from_base: np.ndarray,
    fixed_from_base_at_image: np.ndarray,
    fixed_from_base_at_cloud: np.ndarray,
    base_from_lidar: np.ndarray,
) -> np.ndarray:
    """
    Return the transform from the lidar at the cloud's stamp to the camera at the image's stamp.

    Parameters
    ----------
    camera_from_base, base_from_lidar
        (4, 4) calibration.
    fixed_from_base_at_image, fixed_from_base_at_cloud
        (4, 4) poses of the vehicle in a frame that does not move, at the two stamps.

    """
    base_at_image_from_base_at_cloud = invert(fixed_from_base_at_image) @ fixed_from_base_at_cloud
    return camera_from_base @ base_at_image_from_base_at_cloud @ base_from_lidar


def compensate_motion(
    points: np.ndarray, time_offset: np.ndarray, motion: np.ndarray, duration: int
) -> np.ndarray:
    """
    Return points as the lidar would have seen them had it stood still at the cloud's stamp.

    The lidar is taken to move at constant speed and to turn at constant speed about one axis;
    Rodrigues' formula turns each point by its own angle.

    Parameters
    ----------
    points
        (N, 3), each in the lidar frame of its own time, m.
    time_offset
        (N,) ns after the cloud's stamp, of either sign.
    motion
        (4, 4) start_from_end: pose of the lidar `duration` after the stamp in its frame at it.
    duration
        ns, not 0.

    Returns
    -------
    np.ndarray
        (N, 3) in the lidar frame at the cloud's stamp, of the dtype of `points`.

    """
    share = (time_offset / duration).astype(points.dtype)[:, None]
    quaternion = _quaternion(motion[:3, :3])
    sine = np.linalg.norm(quaternion[:3])
    axis = (quaternion[:3] / max(sine, 1e-12)).astype(points.dtype)
    angle = share * points.dtype.type(2 * np.arctan2(sine, quaternion[3]))
    with np.errstate(invalid='ignore'):
        along = (points @ axis)[:, None] * axis
        turned = along + np.cos(angle) * (points - along) + np.sin(angle) * np.cross(axis, points)
        return turned + share * motion[:3, 3].astype(points.dtype)


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    """Return (..., 3, 3) rotations of unit quaternions (..., 4) x, y, z, w."""
    x, y, z, w = np.moveaxis(quaternion, -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """
    Return the quaternion (4,) of a rotation (3, 3): eigenvector of Bar-Itzhack's matrix (2000).

    The eigenvector is exact at every angle and, for a slightly skewed matrix, the nearest one.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation, float)
    matrix = np.array([
        [xx - yy - zz, yx + xy, zx + xz, zy - yz],
        [yx + xy, yy - xx - zz, zy + yz, xz - zx],
        [zx + xz, zy + yz, zz - xx - yy, yx - xy],
        [zy - yz, xz - zx, yx - xy, xx + yy + zz],
    ])
    quaternion = np.linalg.eigh(matrix)[1][:, -1]
    return quaternion if quaternion[3] >= 0 else -quaternion


def _slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return unit quaternions (K, 4) at the shares (K, 1) of the shorter way."""
    cosine = float(start @ end)
    if cosine < 0:
        end, cosine = -end, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        blend = start + share * (end - start)
    else:
        blend = np.sin((1 - share) * angle) * start + np.sin(share * angle) * end
    return blend / np.linalg.norm(blend, axis=-1, keepdims=True)
