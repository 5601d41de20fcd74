"""
Augmentation of sweeps.

The defaults are those of the shipped weights; stronger ones cost a score on simulated drives.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...config import setting


@dataclasses.dataclass(frozen=True)
class PointAugmentation:
    """How sweeps are varied in training; each draw is uniform unless said otherwise."""

    scale: float = setting(0.05, 'Largest change of scale.', low=0, high=0.5)
    tilt_deg: float = setting(0.6, 'Largest roll and pitch.', unit='deg', low=0, high=20)
    height_m: float = setting(0.08, 'Largest shift of the sensor height.', unit='m', low=0, high=2)
    jitter_m: float = setting(0.01, 'Largest deviation of the range noise.', unit='m', low=0)
    drop: float = setting(0.1, 'Largest share of points lost at random.', low=0, high=1)
    bands: int = setting(1, 'Largest number of elevation bands lost.', low=0)
    thin: float = setting(0.4, 'Probability of losing every second column.', low=0, high=1)
    gain: float = setting(0.25, 'Largest relative change of the intensity.', low=0, high=1)
    growth: float = setting(
        0.06, 'Largest growth of the intensity with range, for half of the sweeps; real units '
        'even out its fall with range, each in its way.', unit='1/m', low=0, high=1
    )
    mute: float = setting(0.1, 'Largest share of intensities set to 0.', low=0, high=1)
    blind: float = setting(0.08, 'Probability of losing the intensity.', low=0, high=1)


def augment(
    points: np.ndarray,
    intensity: np.ndarray | None,
    config: PointAugmentation,
    columns: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """
    Return a varied sweep and which of its points are left.

    Parameters
    ----------
    points
        (N, 3) float32, lidar frame, m; finite.
    intensity
        (N,) float32 or None.
    config
        How strongly.
    columns
        Columns per turn of the sensor, for the loss of every second one.
    rng
        Source of randomness.

    Returns
    -------
    points
        (M, 3) float32.
    intensity
        (M,) float32 or None.
    kept
        (M,) int64 index into the input.

    """
    kept = np.flatnonzero(_kept(points, config, columns, rng))
    moved = _moved(points[kept], config, rng)
    if intensity is None or rng.random() < config.blind:
        return moved, None, kept
    return moved, _varied(intensity[kept], moved, config, rng), kept


def front(
    points: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """
    Turn a sweep by a random angle and keep a sector about the front.

    Parameters
    ----------
    points
        (N, 3) float32, lidar frame, m.
    share
        Share of the turn that is kept.
    rng
        Source of randomness.

    Returns
    -------
    points
        (M, 3) float32.
    kept
        (M,) int64 index into the input.

    """
    yaw = rng.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    turned = points @ turn.T.astype(np.float32)
    kept = np.flatnonzero(np.abs(np.arctan2(turned[:, 1], turned[:, 0])) <= share * np.pi)
    return turned[kept], kept


def _kept(
    points: np.ndarray, config: PointAugmentation, columns: int, rng: np.random.Generator
) -> np.ndarray:
    kept = rng.random(len(points), np.float32) >= rng.uniform(0, config.drop)
    if rng.random() < config.thin:
        turn = np.arctan2(points[:, 1], points[:, 0]) * (columns / (2 * np.pi))
        kept &= np.floor(turn).astype(np.int64) % 2 == 0
    slope = points[:, 2] / np.hypot(points[:, 0], points[:, 1]).clip(1e-3)
    for _ in range(rng.integers(0, config.bands + 1)):
        low = rng.uniform(-0.45, 0.05)
        kept &= (slope < low) | (slope > low + rng.uniform(0.005, 0.015))
    return kept


def _moved(
    points: np.ndarray, config: PointAugmentation, rng: np.random.Generator
) -> np.ndarray:
    roll, pitch = np.radians(rng.uniform(-config.tilt_deg, config.tilt_deg, 2))
    lean = np.array([[1, 0, pitch], [0, 1, -roll], [-pitch, roll, 1]])
    mirror = np.diag([1, rng.choice([-1, 1]), 1])
    scale = rng.uniform(1 - config.scale, 1 + config.scale)
    moved = points @ (scale * lean @ mirror).T.astype(np.float32)
    moved[:, 2] += np.float32(rng.uniform(-config.height_m, config.height_m))
    noise = rng.standard_normal(len(points), np.float32) * rng.uniform(0, config.jitter_m)
    distance = np.linalg.norm(moved, axis=1).clip(0.1)
    return moved * (1 + noise / distance)[:, None].astype(np.float32)


def _varied(
    intensity: np.ndarray, points: np.ndarray, config: PointAugmentation, rng: np.random.Generator
) -> np.ndarray:
    gain = rng.uniform(1 - config.gain, 1 + config.gain)
    power = np.exp(rng.uniform(-config.gain, config.gain))
    growth = rng.uniform(0, config.growth) * rng.integers(2)
    distance = np.linalg.norm(points, axis=1)
    heard = rng.random(len(points), np.float32) >= rng.uniform(0, config.mute)
    noise = rng.normal(0, 0.03, len(points))
    varied = gain * intensity**power * np.exp(growth * distance.clip(0, 50)) + noise
    return (varied * heard).clip(0, 1).astype(np.float32)
