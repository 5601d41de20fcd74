"""A spinning LiDAR: one sweep through moving scenes, with what each return loses and adds."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

import numpy as np

from .casting import cast_at_ground, finish, Hits, merge, Scene
from .ground import Ground
from .materials import GROUND_COLOUR, Material, REFLECTIVITY, RETROREFLECTIVE, SPREAD
from .profiles import LidarProfile
from .textures import add_detail

GROUPS = 8
"""Moving things stand still within each of this many parts of a sweep."""
_DYED = np.isin(
    np.arange(len(Material)),
    (Material.PAINT, Material.CLOTH, Material.PLASTER, Material.PLASTIC, Material.CANVAS),
)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """
    One turn of a LiDAR, returns only, beam by beam.

    Parameters
    ----------
    position
        (N, 3) float32 measured points in the fixed frame, at their own times, m.
    beam, column
        (N,) int64.
    intensity
        (N,) float32, 0..1.
    label, instance
        (N,) uint16 truth.

    """

    position: np.ndarray
    beam: np.ndarray
    column: np.ndarray
    intensity: np.ndarray
    label: np.ndarray
    instance: np.ndarray


def beam_directions(profile: LidarProfile, columns: int) -> np.ndarray:
    """Return (columns, beams, 3) unit vectors, lidar frame, clockwise from the rear."""
    azimuth = np.pi - (np.arange(columns) + 0.5) * (2 * np.pi / columns)
    elevation = np.radians(profile.elevations_deg)
    flat = np.cos(elevation)
    return np.stack(np.broadcast_arrays(
        flat * np.cos(azimuth)[:, None], flat * np.sin(azimuth)[:, None],
        np.sin(elevation) * np.ones((columns, 1)),
    ), axis=-1)


def column_times(columns: int, period: float) -> np.ndarray:
    """Return (columns,) s from the moment at which the unit faces forward."""
    return ((np.arange(columns) + 0.5) / columns - 0.5) * period


def sweep(
    profile: LidarProfile,
    poses: np.ndarray,
    world: Scene,
    ground: Ground,
    moving: Callable[[int], Scene],
    rng: np.random.Generator,
) -> Sweep:
    """
    Return one sweep.

    Parameters
    ----------
    profile
        The unit.
    poses
        (columns, 4, 4) fixed_from_lidar when each column fires.
    world, ground
        What stands still.
    moving
        Gives the scene of moving things for each of the `GROUPS` parts of the sweep.
    rng
        Source of noise and dropout.

    """
    origins, directions = _rays(profile, poses)
    hits = cast_at_ground(ground, origins, directions)
    merge(hits, world, origins, directions)
    beams = len(profile.elevations_deg)
    edges = np.linspace(0, len(poses), GROUPS + 1).round().astype(int) * beams
    for group in range(GROUPS):
        rows = slice(edges[group], edges[group + 1])
        merge(hits.part(rows), moving(group), origins[rows], directions[rows])
    finish(hits, origins, directions)
    add_detail(hits, ground)
    cosine = np.abs(np.einsum('ij,ij->i', hits.normal, directions))
    kept, intensity = returns(hits, cosine, profile, rng)
    noise = rng.normal(0, profile.range_noise, len(directions)).astype(np.float32)
    noise += rng.normal(0, 0.03, len(noise)).astype(np.float32) * (hits.material == Material.GRASS)
    position = hits.position + noise[:, None] * directions
    column, beam = np.divmod(np.arange(len(directions)), beams)
    order = np.flatnonzero(kept)
    order = order[np.lexsort((column[order], beam[order]))]
    return Sweep(
        position[order], beam[order], column[order], intensity[order],
        hits.label[order].astype(np.uint16), hits.instance[order],
    )


def _rays(profile: LidarProfile, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return origins and directions (columns * beams, 3) float32, fixed frame, by column."""
    local = beam_directions(profile, len(poses))
    directions = np.einsum('cij,cbj->cbi', poses[:, :3, :3], local)
    rise = np.array(profile.heights_m or (0.0,) * len(profile.elevations_deg))
    origins = poses[:, None, :3, 3] + rise[:, None] * poses[:, None, :3, 2]
    return (
        origins.reshape(-1, 3).astype(np.float32), directions.reshape(-1, 3).astype(np.float32)
    )


def returns(
    hits: Hits, cosine: np.ndarray, profile: LidarProfile, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return which rays come back (M,) bool and how strong (M,) float32, 0..1.

    A return is lost the more easily the weaker it is: dark, grazing or far surfaces, and glass.
    """
    material = hits.material
    tone = hits.color.mean(axis=1)
    usual = np.maximum(GROUND_COLOUR.mean(axis=1), 1e-3)[material]
    reflectivity = REFLECTIVITY[material] * np.where(_DYED[material], 0.35 + 1.6 * tone, 1)
    reflectivity *= np.where(hits.on_ground, tone / usual, 1)
    reflectivity *= 1 + (SPREAD / np.maximum(REFLECTIVITY, 1e-3))[material] * rng.normal(
        0, 0.7, len(material))
    retro = RETROREFLECTIVE[material]
    distance = np.where(np.isfinite(hits.distance), hits.distance, 1e6)
    signal = np.where(retro, 30, cosine) * np.maximum(reflectivity, 0.01) / distance**2
    lost = profile.dropout + (1 - profile.dropout) / (1 + (signal / profile.sensitivity) ** 2)
    lost = np.where(material == Material.GLASS, np.maximum(lost, 0.65), lost)
    kept = rng.random(len(material)) >= lost
    kept &= (distance > profile.min_range) & (distance < profile.max_range)
    shown = reflectivity * (0.6 + 0.4 * cosine) * signal / (signal + 2 * profile.sensitivity)
    shown = np.where(retro, 0.75 + 0.25 * cosine, shown) + rng.normal(0, 0.03, len(material))
    return kept, np.clip(shown - 0.03, 0, 1).astype(np.float32)
