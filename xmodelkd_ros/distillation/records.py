"""Records of the distillation: what image teachers say of the points of a sweep."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from ..labels import ALL_CLASSES
from ..records import Cloud, points_at_stamp

CLASS_COUNT = len(ALL_CLASSES) - 1
"""Columns of `PointViews.probability`: the ids 1 to 16, without 'unlabelled'."""


@dataclasses.dataclass(frozen=True)
class PointViews:
    """
    What an image teacher says of the points of a sweep: a row for each point and picture of it.

    Parameters
    ----------
    point
        (V,) int32 rows of the cloud, ascending: the rows of a point follow one another.
    view
        (V,) uint8 indices into `names`.
    depth
        (V,) float32 distance of the point along the optical axis of the picture, m.
    delay
        (V,) float32 s that the picture was taken after the cloud's stamp.
    feature
        (V, D) float16 teacher's features at the point's pixel.
    probability
        (V, 16) float16 over the classes `ALL_CLASSES[1:]`, or None of a teacher without classes.
    names
        Name of each view: its camera, and for another instant how many keyframes later or
        earlier its picture was taken, as 'camera_02', 'camera_02+3' and 'camera_02-3'.

    Raises
    ------
    ValueError
        If arrays differ in length, have other dtypes, or `point` is not ascending.

    """

    point: np.ndarray
    view: np.ndarray
    depth: np.ndarray
    delay: np.ndarray
    feature: np.ndarray
    probability: np.ndarray | None
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = len(self.point)
        for name, dtype, shape in (
            ('point', np.int32, (rows,)), ('view', np.uint8, (rows,)),
            ('depth', np.float32, (rows,)), ('delay', np.float32, (rows,)),
            ('feature', np.float16, (rows, *self.feature.shape[1:2])),
            ('probability', np.float16, (rows, CLASS_COUNT)),
        ):
            array = getattr(self, name)
            if array is not None and (array.dtype != dtype or array.shape != shape):
                raise ValueError(
                    f'{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}')
        if rows and (self.point[0] < 0 or (np.diff(self.point) < 0).any()):
            raise ValueError('point is not ascending from 0')
        if rows and self.view.max() >= len(self.names):
            raise ValueError(f'view {self.view.max()} of only {len(self.names)} names')

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: np.ndarray) -> PointViews:
        """Return some rows: their numbers, ascending, or a mask."""
        probability = None if self.probability is None else self.probability[rows]
        return PointViews(
            self.point[rows], self.view[rows], self.depth[rows], self.delay[rows],
            self.feature[rows], probability, self.names)

    def mean_probability(self, count: int) -> np.ndarray:
        """Return (count, 16) float32: the mean over the views of each point, else 0."""
        mean = np.zeros((count, CLASS_COUNT), np.float32)
        if self.probability is None or len(self) == 0:
            return mean
        first = np.flatnonzero(np.diff(self.point, prepend=-1))
        sums = np.add.reduceat(self.probability.astype(np.float32), first)
        mean[self.point[first]] = sums / np.diff(first, append=len(self))[:, None]
        return mean


@dataclasses.dataclass(frozen=True)
class DistillationFrame:
    """
    A keyframe sweep with what the teacher says of its points.

    Parameters
    ----------
    cloud
        The sweep as it was measured, N points, with labels where the bag has them.
    views
        What the teacher says.
    fixed_from_lidar
        (4, 4) pose of the lidar at the cloud's stamp in a frame that does not move, or None.
    moving
        (N,) bool points that other sweeps found gone, or None where no other sweep tells.
    motion
        See `records.Frame`.
    segment
        Poses of frames with different segments have nothing to do with each other.

    Raises
    ------
    ValueError
        If `views` or `moving` are of another cloud.

    """

    cloud: Cloud
    views: PointViews
    fixed_from_lidar: np.ndarray | None
    moving: np.ndarray | None
    motion: np.ndarray | None = None
    segment: int = 0

    def __post_init__(self) -> None:
        count = len(self.cloud.points)
        if len(self.views) and self.views.point[-1] >= count:
            raise ValueError(f'a view of point {self.views.point[-1]} of {count}')
        if self.moving is not None and self.moving.shape != (count,):
            raise ValueError(f'moving has shape {self.moving.shape} for {count} points')

    @property
    def probability(self) -> np.ndarray:
        """(N, 16) float32: mean over the views of each point, 0 where there is none."""
        return self.views.mean_probability(len(self.cloud.points))

    @property
    def points_at_stamp(self) -> np.ndarray:
        """(N, 3) float32: the points where a lidar at rest at the stamp would have seen them."""
        return points_at_stamp(self.cloud, self.motion)


class FrameSource(Protocol):
    """A drive of the cache, or whatever else has frames."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def frame(self, index: int) -> DistillationFrame:
        """Return a frame."""
