"""
Records of real LiDAR units: where their beams point and how well they see.

Importable without a ray caster: a point network's projection reads the same records.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class LidarProfile:
    """
    One spinning LiDAR.

    Parameters
    ----------
    name
        Short name of the unit.
    elevations_deg
        Elevation of each beam, degrees, highest first.
    columns
        Firings per turn at 10 Hz.
    max_range, min_range
        Farthest and nearest return, m.
    range_noise
        Standard deviation of a range at good signal, m.
    sensitivity
        Signal (reflectivity times cosine of incidence over squared range, 1/m^2) at which half
        of the returns are lost.
    dropout
        Share of returns lost at any signal.
    heights_m
        Height of each beam's optical centre above the origin of the unit, m; none means 0.

    """

    name: str
    elevations_deg: tuple[float, ...]
    columns: int
    max_range: float
    min_range: float = 0.9
    range_noise: float = 0.02
    sensitivity: float = 1e-5
    dropout: float = 0.03
    heights_m: tuple[float, ...] = ()


def _spread(high: float, low: float, count: int) -> tuple[float, ...]:
    return tuple(float(e) for e in np.linspace(high, low, count))


_VLP32C = (
    15.0, 10.333, 7.0, 4.667, 3.333, 2.333, 1.667, 1.333, 1.0, 0.667, 0.333, 0.0, -0.333,
    -0.667, -1.0, -1.333, -1.667, -2.0, -2.333, -2.667, -3.0, -3.333, -3.667, -4.0, -4.667,
    -5.333, -6.148, -7.254, -8.843, -11.31, -15.639, -25.0,
)

PROFILES = {
    profile.name: profile
    for profile in (
        LidarProfile(
            'hdl64e', _spread(2.0, -8.33, 32) + _spread(-8.83, -24.9, 32), 2048, 120.0,
            heights_m=(0.2,) * 32 + (0.12,) * 32,  # as fitted to the sweeps of the KITTI car
        ),
        LidarProfile('vlp32c', _VLP32C, 1800, 200.0, range_noise=0.03, sensitivity=5e-6),
        LidarProfile('os1_128', _spread(22.5, -22.5, 128), 1024, 120.0, range_noise=0.03),
    )
}
"""Profiles by name: Velodyne HDL-64E (two blocks of 32), VLP-32C, and Ouster OS1-128."""


def lidar_profile(name: str) -> LidarProfile:
    """
    Return the profile of a unit.

    Raises
    ------
    ConfigurationError
        If there is none of that name.

    """
    if name not in PROFILES:
        raise ConfigurationError('lidar', name, 'one of ' + ', '.join(PROFILES))
    return PROFILES[name]
