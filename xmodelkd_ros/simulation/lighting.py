"""Light of the day and of the night, the sky, and how surfaces look under them."""

from __future__ import annotations

import dataclasses

import numpy as np

from .casting import Hits
from .materials import GLOSS, Material
from .textures import clouds


@dataclasses.dataclass(frozen=True)
class Light:
    """
    The light of one drive; colours are linear RGB.

    Parameters
    ----------
    sun
        (3,) unit vector towards the sun.
    sun_colour, sky_colour, bounce
        Irradiance from the sun, from straight above and from straight below.
    zenith, horizon
        Colours of the sky.
    fog
        1/m.
    exposure
        Factor from radiance to picture.
    lamps_on
        Whether it is so dark that lamps, windows and headlights are lit.

    """

    sun: np.ndarray
    sun_colour: np.ndarray
    sky_colour: np.ndarray
    bounce: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    fog: float
    exposure: float
    lamps_on: bool

    @property
    def has_sun(self) -> bool:
        """Whether the sun casts shadows."""
        return bool(self.sun_colour.max() > 0.05)


_LAMP_COLOUR = np.array([1, 0.72, 0.42], np.float32)
_BEAM_COLOUR = np.array([1, 0.95, 0.85], np.float32)
LIGHTS = ('day', 'overcast', 'dusk', 'night')
_LIGHT_SHARES = (0.45, 0.25, 0.15, 0.15)
# elevation of the sun, deg; sun, sky, bounce, zenith, horizon; exposure
_LOOKS = {
    'day': ((25, 62), (2.6, 2.4, 2.05), (0.72, 0.86, 1.10), (0.35, 0.33, 0.30),
            (0.20, 0.44, 1.00), (0.95, 1.10, 1.30), 0.66),
    'overcast': ((50, 80), (0, 0, 0), (1.35, 1.42, 1.50), (0.35, 0.35, 0.35),
                 (0.95, 1.0, 1.06), (1.30, 1.34, 1.38), 0.68),
    'dusk': ((5, 13), (1.5, 0.80, 0.35), (0.36, 0.38, 0.58), (0.20, 0.15, 0.14),
             (0.22, 0.30, 0.58), (1.05, 0.62, 0.38), 0.95),
    'night': ((30, 60), (0, 0, 0), (0.030, 0.036, 0.055), (0.016, 0.013, 0.010),
              (0.006, 0.008, 0.018), (0.045, 0.036, 0.034), 2.1),
}


def make_light(name: str, rng: np.random.Generator) -> Light:
    """Return the light of a drive: one of `LIGHTS`, or any of them for 'random'."""
    drawn = str(rng.choice(LIGHTS, p=_LIGHT_SHARES))
    name = drawn if name == 'random' else name
    elevations, *colours, exposure = _LOOKS[name]
    elevation, azimuth = np.radians(rng.uniform(*elevations)), rng.uniform(0, 2 * np.pi)
    sun = np.array([
        np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
        np.sin(elevation),
    ])
    tint = rng.uniform(0.93, 1.07, 3)
    sun_colour, sky, bounce, zenith, horizon = (
        (np.array(c) * tint).astype(np.float32) for c in colours
    )
    return Light(
        sun.astype(np.float32), sun_colour, sky, bounce, zenith, horizon,
        float(rng.uniform(0.0006, 0.0035)), exposure * float(rng.uniform(0.85, 1.15)),
        name == 'night' or name == 'dusk',
    )


def sky(light: Light, directions: np.ndarray) -> np.ndarray:
    """Return (M, 3) radiance of the sky along unit vectors (M, 3), ground colour below it."""
    up = np.clip(directions[:, 2], 0, 1)[:, None]
    colour = light.horizon + (light.zenith - light.horizon) * up**0.45
    plane = directions[:, :2] / np.maximum(up, 0.04)
    cover = np.clip(clouds(60 * plane[:, 0] + 200, 60 * plane[:, 1] + 90) * 2.2 - 0.3, 0, 1)
    white = light.sky_colour * 0.85 + 0.25 * light.sun_colour
    colour = colour + (white - colour) * (cover[:, None] * np.minimum(1, 4 * up) * 0.75)
    glow = np.maximum(directions @ light.sun, 0)[:, None] ** 40
    colour = colour + 0.35 * light.sun_colour * glow
    below = (directions[:, 2] < 0)[:, None]
    return np.where(below, 0.16 * (light.sky_colour + 0.5 * light.sun_colour), colour)


def shade(
    hits: Hits, albedo: np.ndarray, directions: np.ndarray, light: Light, visible: np.ndarray,
    extra: np.ndarray,
) -> np.ndarray:
    """
    Return the radiance along rays.

    Parameters
    ----------
    hits, albedo
        What the rays met and its colour (M, 3).
    directions
        (M, 3) unit vectors.
    light
        Light of the drive.
    visible
        (M,) 0..1: how much of the sun, or of an overcast sky, reaches the surface.
    extra
        (M, 3) irradiance from lamps.

    Returns
    -------
    np.ndarray
        (M, 3) linear RGB.

    """
    up = 0.5 + 0.5 * hits.normal[:, 2:]
    ambient = light.sky_colour * up + light.bounce * (1 - up)
    if light.has_sun:
        facing = np.maximum(hits.normal @ light.sun, 0) * visible
        irradiance = ambient * (0.75 + 0.25 * visible[:, None])
        irradiance += light.sun_colour * facing[:, None]
    else:
        irradiance = ambient * (0.35 + 0.65 * visible[:, None])
    radiance = albedo * (irradiance + extra)
    _add_reflections(radiance, hits, directions, light)
    _add_emission(radiance, hits, light)
    seen = np.exp(-light.fog * np.where(np.isfinite(hits.distance), hits.distance, 0))[:, None]
    radiance = radiance * seen + light.horizon * (1 - seen)
    missed = ~np.isfinite(hits.distance)
    radiance[missed] = sky(light, directions[missed])
    return radiance


def _add_reflections(
    radiance: np.ndarray, hits: Hits, directions: np.ndarray, light: Light
) -> None:
    rows = np.flatnonzero(GLOSS[hits.material] > 0.1)
    normal, ray = hits.normal[rows], directions[rows]
    cosine = -np.einsum('ij,ij->i', normal, ray)[:, None]
    mirrored = sky(light, ray + 2 * cosine * normal)
    share = GLOSS[hits.material[rows], None] * (0.22 + 0.78 * (1 - cosine) ** 3)
    radiance[rows] += mirrored * share * 0.8


def _add_emission(radiance: np.ndarray, hits: Hits, light: Light) -> None:
    strength = {Material.SIGNAL: 1.5, Material.LAMP: 0.0}
    if light.lamps_on:
        strength = {
            Material.SIGNAL: 1.5, Material.LAMP: 1.0, Material.HEADLIGHT: 2.0,
            Material.TAILLIGHT: 0.9,
        }
    for material, factor in strength.items():
        rows = np.flatnonzero(hits.material == material)
        radiance[rows] += factor * hits.color[rows]


def lamp_light(hits: Hits, lamps: np.ndarray, eye: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """
    Return the irradiance from street lamps and the own headlights.

    Parameters
    ----------
    hits
        What was met.
    lamps
        (L, 3) places of the lamps; only the nearest eight count.
    eye, forward
        (3,) place of the headlights and where they point.

    Returns
    -------
    np.ndarray
        (M, 3) linear RGB.

    """
    total = np.zeros((len(hits.distance), 3), np.float32)
    ahead = lamps @ forward - eye @ forward
    near = np.argsort(np.linalg.norm(lamps - (eye + 15 * forward), axis=1) + 99 * (ahead < -9))[:8]
    for lamp in lamps[near].astype(np.float32):
        rows = np.flatnonzero(np.abs(hits.position[:, :2] - lamp[:2]).max(axis=1) < 22)
        away = lamp - hits.position[rows]
        square = np.einsum('ij,ij->i', away, away) + 1
        facing = np.einsum('ij,ij->i', away, hits.normal[rows]) / np.sqrt(square)
        total[rows] += (14 * np.maximum(facing, 0) / square)[:, None] * _LAMP_COLOUR
    rows = np.flatnonzero(hits.distance < 90)
    away = hits.position[rows] - eye.astype(np.float32)
    square = np.einsum('ij,ij->i', away, away) + 4
    beam = (away @ forward.astype(np.float32)) / np.sqrt(square)
    facing = np.maximum(-np.einsum('ij,ij->i', away, hits.normal[rows]) / np.sqrt(square), 0.05)
    cone = np.clip((beam - 0.86) * 8, 0, 1) ** 2
    total[rows] += (130 * cone * facing / square)[:, None] * _BEAM_COLOUR
    return total
