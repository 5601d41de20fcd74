"""Whether the sweeps are those of the sensor that a student is made for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import logging

import numpy as np
import torch

from ..cache import CachedDistillationDrive
from ...networks.point_projection import RangeProjection, RangeViewConfig
from ...training.point.training import range_view

LEAST_SHARE = 0.9
"""Of the points that the beams of a profile reach, where it is that of the sensor."""

_SWEEPS = 8


def warn_of_misfits(drives: Sequence[CachedDistillationDrive], lidar: str) -> None:
    """Say for each drive whose points a sensor profile does not reach how many, and where."""
    view = range_view(lidar)
    beams = view.elevations_deg
    for drive in drives:
        every = max(1, len(drive) // _SWEEPS)
        points = (drive.frame(index).cloud.points for index in range(0, len(drive), every))
        share, low, high = measure_fit(points, view)
        if share < LEAST_SHARE:
            logging.getLogger(__name__).warning(
                '%s: the beams of %s, %.1f to %.1f degrees, reach only %.0f %% of the points, '
                'which lie at %.1f to %.1f degrees; the student does not see the others. Name '
                'the sensor with `lidar`',
                drive.folder.name, view.sensor, min(beams), max(beams), 100 * share, low, high)


def measure_fit(
    clouds: Iterable[np.ndarray], view: RangeViewConfig
) -> tuple[float, float, float]:
    """
    Return the share of the points that a range view shows, and their elevations.

    Parameters
    ----------
    clouds
        (N, 3) float32, lidar frame, m; rows may be NaN. Points out of range do not count.
    view
        The range view.

    Returns
    -------
    tuple of float
        Share, 1 without points; elevations below and above which one point of 200 lies, degrees.

    """
    project = RangeProjection(view)
    inside, elevations = [np.zeros(0, bool)], [np.zeros(0)]
    for points in clouds:
        distance = np.linalg.norm(points, axis=1)
        in_range = (distance >= view.min_range_m) & (distance <= view.max_range_m)
        seen = np.ascontiguousarray(points[in_range])  # NaN is in no range
        inside.append(project(torch.from_numpy(seen)).inside.numpy())
        elevations.append(np.degrees(np.arcsin(seen[:, 2] / distance[in_range])))
    shown, measured = np.concatenate(inside), np.concatenate(elevations)
    if not len(shown):
        return 1.0, 0.0, 0.0
    low, high = np.percentile(measured, (0.5, 99.5))
    return float(shown.mean()), float(low), float(high)
