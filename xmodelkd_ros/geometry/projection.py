"""Projection of a cloud into a picture: from all points to the pairs that are really seen."""

from __future__ import annotations

import numpy as np

from .cameras import Camera, NEAREST
from .occlusion import is_visible, OcclusionConfig
from .pairing import Pairing
from .transforms import transform_points


def project_points(
    points: np.ndarray,
    camera_from_lidar: np.ndarray,
    camera: Camera,
    occlusion: OcclusionConfig = OcclusionConfig(),  # noqa: B008
) -> Pairing:
    """
    Return the points that a picture shows, with their pixels.

    Parameters
    ----------
    points
        (N, 3) lidar frame, m; rows may be NaN or infinite.
    camera_from_lidar
        (4, 4): lidar frame to raw optical frame.
    camera
        Camera model of the picture.
    occlusion
        How points behind a nearer surface are found and left out.

    Returns
    -------
    Pairing
        Finite points in front of the camera, inside the picture, not hidden.

    """
    index, image_points = _in_view(points, camera.image_from_optical @ camera_from_lidar, camera)
    with np.errstate(invalid='ignore', over='ignore', divide='ignore'):
        pixels, inside = camera.project_in_front(image_points)
    inside &= image_points[:, 2] > NEAREST
    inside &= (pixels > -0.5).all(1)
    inside &= (pixels < (camera.width - 0.5, camera.height - 0.5)).all(1)
    pairing = Pairing(index[inside], pixels[inside], image_points[inside, 2])
    if not occlusion.enabled:
        return pairing
    visible = is_visible(pairing.pixels, pairing.depth, camera, occlusion)
    return Pairing(pairing.index[visible], pairing.pixels[visible], pairing.depth[visible])


def _in_view(
    points: np.ndarray, image_from_lidar: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return indices (M,) of the points between the four planes of the view, and them, moved.

    This linear test is cheap and leaves few points for the lens; NaN fails it.
    """
    left, right, top, bottom = camera.extent
    inward = np.array([[1, 0, -left, 0], [-1, 0, right, 0], [0, 1, -top, 0], [0, -1, bottom, 0]])
    planes = (inward @ image_from_lidar).astype(np.float32)
    points = points.astype(np.float32, copy=False)
    with np.errstate(invalid='ignore', over='ignore'):
        inside = (planes[:, :3] @ points.T > -planes[:, 3:]).all(0)
    index = np.flatnonzero(inside)
    return index, transform_points(image_from_lidar, points[index])
