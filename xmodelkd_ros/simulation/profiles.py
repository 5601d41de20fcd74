"""
Records of real LiDAR units: where their beams point and how well they see.

Importable without a ray caster: a point network's projection reads the same records.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ..config import from_mapping, read_mapping, setting
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


@dataclasses.dataclass(frozen=True)
class LidarFile:
    """What a YAML file says of a unit: each beam, or the outer two and their number."""

    elevations_deg: tuple[float, ...] = setting(
        (), 'Elevation of each beam.', unit='deg', low=-90, high=90)
    high_deg: float = setting(0.0, 'Elevation of the highest beam.', unit='deg', low=-90, high=90)
    low_deg: float = setting(0.0, 'Elevation of the lowest beam.', unit='deg', low=-90, high=90)
    beams: int = setting(0, 'Number of beams, at equal steps.', low=0, high=1024)
    columns: int = setting(2048, 'Firings per turn.', low=64, high=8192)
    min_range: float = setting(0.9, 'Nearest return.', unit='m', low=0)
    max_range: float = setting(120.0, 'Farthest return.', unit='m', low=1)


def lidar_profile(name: str) -> LidarProfile:
    """
    Return the profile of a unit.

    Parameters
    ----------
    name
        One of `PROFILES`, or a YAML file with the keys of `LidarFile`.

    Raises
    ------
    ConfigurationError
        If there is none of that name, or the file is wrong.

    """
    if name in PROFILES:
        return PROFILES[name]
    if Path(name).suffix not in ('.yaml', '.yml'):
        raise ConfigurationError('lidar', name, f'a YAML file, or one of {", ".join(PROFILES)}')
    given = from_mapping(LidarFile, read_mapping(name, 'lidar'))
    beams = tuple(sorted(given.elevations_deg, reverse=True)) or _spread(
        given.high_deg, given.low_deg, given.beams)
    if len(beams) < 2 or len(set(beams)) < len(beams) or beams[0] < beams[-1]:
        allowed = 'a file with elevations_deg, or high_deg above low_deg and beams, 2 or more'
        raise ConfigurationError('lidar', name, allowed)
    return LidarProfile(
        Path(name).stem, beams, given.columns, given.max_range, given.min_range)
