"""
Records that pass between the folders: plain arrays with their shapes, dtypes, units and frames.

Stamps are integer nanoseconds. Poses and transforms are (4, 4) float64, named by direction.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools

import numpy as np

from .geometry.cameras import Camera
from .geometry.transforms import compensate_motion

MOTION_PERIOD = 100_000_000
"""Over this time a `motion` of the lidar goes, ns."""


@dataclasses.dataclass(frozen=True)
class Cloud:
    """
    One LiDAR sweep.

    Parameters
    ----------
    stamp
        Time of the sweep, ns.
    points
        (N, 3) float32, lidar frame, m; rows may be NaN or infinite.
    intensity
        (N,) float32 in 0..1, or None where the sensor gives none.
    ring
        (N,) uint16 beam number, 0 the lowest, or None.
    time_offset
        (N,) int64 ns after `stamp` at which each point was measured, or None.
    label
        (N,) uint16 true class ids, where they are known.
    instance
        (N,) uint16 true instance ids (0 none), where they are known.
    frame
        TF frame of `points`.

    """

    stamp: int
    points: np.ndarray
    intensity: np.ndarray | None = None
    ring: np.ndarray | None = None
    time_offset: np.ndarray | None = None
    label: np.ndarray | None = None
    instance: np.ndarray | None = None
    frame: str = 'lidar'


@dataclasses.dataclass(frozen=True)
class Picture:
    """
    One camera image.

    Parameters
    ----------
    stamp
        What the camera calls the time of the exposure, ns.
    rgb
        (H, W, 3) uint8.
    label
        (H, W) uint8 true class ids, where they are known.
    instance
        (H, W) uint16 true instance ids (0 none), where they are known.
    frame
        TF frame of the camera, an optical frame.

    """

    stamp: int
    rgb: np.ndarray
    label: np.ndarray | None = None
    instance: np.ndarray | None = None
    frame: str = 'camera'


@dataclasses.dataclass(frozen=True)
class View:
    """
    One camera's picture of a cloud: what is needed to carry values between the two.

    Parameters
    ----------
    name
        Name of the camera.
    picture
        The image.
    camera
        Its camera model, of the size of the image.
    camera_from_lidar
        (4, 4): lidar frame at the cloud's stamp to optical frame at the exposure.
    offset
        How much later than the cloud the camera is stamped for the same instant, ns.

    """

    name: str
    picture: Picture
    camera: Camera
    camera_from_lidar: np.ndarray
    offset: int = 0

    @property
    def exposed(self) -> int:
        """Time of the exposure by the cloud's clock, ns."""
        return self.picture.stamp - self.offset


@dataclasses.dataclass(frozen=True)
class Frame:
    """
    A cloud and the views that were paired with it.

    Parameters
    ----------
    cloud
        The reference.
    views
        By camera name; a camera without an image near enough in time is absent.
    fixed_from_lidar
        (4, 4) pose of the lidar in the fixed frame at the cloud's stamp, or None.
    motion
        (4, 4) what the lidar moves in `MOTION_PERIOD`: its later pose in its earlier frame. None
        where that is not known.

    """

    cloud: Cloud
    views: Mapping[str, View]
    fixed_from_lidar: np.ndarray | None = None
    motion: np.ndarray | None = None

    @functools.cached_property
    def points_at_stamp(self) -> np.ndarray:
        """(N, 3) float32: the points where a lidar at rest at the stamp would have seen them."""
        return points_at_stamp(self.cloud, self.motion)


def points_at_stamp(cloud: Cloud, motion: np.ndarray | None) -> np.ndarray:
    """
    Return a sweep's points (N, 3), moved to its stamp where their times are known.

    A point of 0, 0, 0 is how some drivers write that nothing came back: it is nowhere, NaN.

    Parameters
    ----------
    cloud
        The sweep as it was measured.
    motion
        See `Frame`.

    """
    points = cloud.points
    if cloud.time_offset is not None and motion is not None:
        points = compensate_motion(points, cloud.time_offset, motion, MOTION_PERIOD)
    missing = np.flatnonzero(cloud.points[:, 0] == 0)
    missing = missing[~cloud.points[missing].any(1)]
    if len(missing):
        points = points.copy()
        points[missing] = np.nan
    return points


@dataclasses.dataclass(frozen=True)
class PointLabels:
    """
    What a point segmenter says, one row per input point, in input order.

    Parameters
    ----------
    label
        (N,) uint16 class ids; 0 for points that are not finite, or 0, 0, 0: no return.
    confidence
        (N,) float32 in 0..1; 0 for the same points.

    """

    label: np.ndarray
    confidence: np.ndarray


@dataclasses.dataclass(frozen=True)
class Detections:
    """
    What a video segmenter says about one image, best first, before tracking.

    Parameters
    ----------
    class_id
        (Q,) uint16 thing classes.
    score
        (Q,) float32 in 0..1.
    embedding
        (Q, E) float32, unit length: what the tracker compares.
    mask_logits
        (Q, h, w) float32 at the network's mask resolution, covering the whole image.
    size
        (H, W) of the image.

    """

    class_id: np.ndarray
    score: np.ndarray
    embedding: np.ndarray
    mask_logits: np.ndarray
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Tracks:
    """
    The tracked instances of one image.

    Parameters
    ----------
    track_id
        (T,) uint16, 1 and up.
    class_id
        (T,) uint16.
    score
        (T,) float32.
    box
        (T, 4) float32: x0, y0, x1, y1 in pixels, of the visible mask.
    id_map
        (H, W) uint16: track id by pixel, 0 none.

    """

    track_id: np.ndarray
    class_id: np.ndarray
    score: np.ndarray
    box: np.ndarray
    id_map: np.ndarray

    @property
    def class_of_id(self) -> np.ndarray:
        """(largest id + 1,) uint8: class by track id, 0 for ids that are not there."""
        table = np.zeros(int(self.track_id.max(initial=0)) + 1, np.uint8)
        table[self.track_id] = self.class_id
        return table


@dataclasses.dataclass(frozen=True)
class Boxes:
    """
    Upright 3D boxes of the points of each track, lidar frame.

    Parameters
    ----------
    track_id, class_id
        (B,) uint16.
    score
        (B,) float32.
    center, size
        (B, 3) float32, m; size is length, width, height.
    yaw
        (B,) float32, rad, about +z.

    """

    track_id: np.ndarray
    class_id: np.ndarray
    score: np.ndarray
    center: np.ndarray
    size: np.ndarray
    yaw: np.ndarray
