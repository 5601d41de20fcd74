"""A camera that looks into the scenes: radiance, exposure, vignette, noise, and true labels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .casting import cast, Hits, merge, Scene
from .ground import Ground
from .lighting import lamp_light, Light, shade
from .textures import add_detail, albedo
from ..geometry.cameras import Camera
from ..labels import SKY


def pixel_rays(camera: Camera) -> np.ndarray:
    """Return (H, W, 3) float32 unit vectors of the pixels; straight ahead where it has none."""
    rays = camera.rays()
    return np.where(np.isfinite(rays), rays, (0.0, 0.0, 1.0)).astype(np.float32)


def render(
    rays: np.ndarray,
    pose: np.ndarray,
    scenes: Sequence[Scene],
    ground: Ground,
    light: Light,
    lamps: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return a picture and its truth.

    Parameters
    ----------
    rays
        (H, W, 3) float32 unit vectors of the pixels, optical frame.
    pose
        (4, 4) fixed_from_camera at the exposure, optical frame.
    scenes, ground
        The world at the exposure.
    light, lamps
        Light of the drive and (L, 3) street lights.
    rng
        Source of noise.

    Returns
    -------
    rgb : np.ndarray
        (H, W, 3) uint8.
    label : np.ndarray
        (H, W) uint8 class ids; the sky has its own. What is seen through the wheels and the
        frame of a bicycle has the bicycle's, as whoever outlines one by hand gives it.
    instance : np.ndarray
        (H, W) uint16.

    """
    shape = rays.shape[:2]
    directions = rays.reshape(-1, 3) @ pose[:3, :3].T.astype(np.float32)
    origins = np.tile(pose[:3, 3].astype(np.float32), (len(directions), 1))
    hits = cast(scenes, ground, origins, directions)
    add_detail(hits, ground, 0.35 if light.lamps_on else 0.0)
    visible = _visibility(hits, scenes, light, shape, rng)
    extra = np.zeros(3, np.float32)
    if light.lamps_on:
        extra = lamp_light(hits, lamps, pose[:3, 3] - (0, 0, 0.9), pose[:3, 2])
    radiance = shade(hits, albedo(hits), directions, light, visible, extra)
    rgb = expose(radiance.reshape(*shape, 3), light.exposure, rng)
    for scene in scenes:
        merge(hits, scene.gaps, origins, directions)
    label = np.where(np.isfinite(hits.distance), hits.label, np.uint8(SKY.id))
    return rgb, label.reshape(shape), hits.instance.reshape(shape)


def _visibility(
    hits: Hits, scenes: Sequence[Scene], light: Light, shape: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return (M,) 0..1: one ray per pixel to the sun, or to a random place of a dull sky."""
    near = np.isfinite(hits.distance) & (hits.distance < 90)
    if light.has_sun:
        rows = np.flatnonzero(near & (hits.normal @ light.sun > 0))
        directions = np.tile(light.sun, (len(rows), 1))
    else:
        rows = np.flatnonzero(near)
        directions = hits.normal[rows] + rng.normal(0, 0.6, (len(rows), 3)) + (0, 0, 0.6)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = np.ascontiguousarray(directions, np.float32)
    origins = hits.position[rows] + 0.03 * hits.normal[rows]
    blocked = np.zeros(len(rows), bool)
    for scene in scenes:
        blocked |= scene.blocked(origins, directions)
    visible = np.ones(len(hits.distance), np.float32)
    visible[rows[blocked]] = 0
    if light.has_sun:
        return visible
    return cv2.blur(visible.reshape(shape), (5, 5)).ravel()


def expose(radiance: np.ndarray, exposure: float, rng: np.random.Generator) -> np.ndarray:
    """Return (H, W, 3) uint8 from linear radiance: lens blur and glare, vignette, noise, tone."""
    height, width = radiance.shape[:2]
    image: np.ndarray = cv2.GaussianBlur(radiance.astype(np.float32), (3, 3), 0.55)
    image += 0.10 * cv2.GaussianBlur(np.maximum(image * exposure - 1, 0), (0, 0), width / 80)
    y, x = np.ogrid[-1:1:height * 1j, -1:1:width * 1j]
    vignette = 1 - 0.22 * (x**2 + y**2) / 2
    image *= (vignette * (exposure * rng.uniform(0.96, 1.04))).astype(np.float32)[..., None]
    noise = rng.standard_normal(image.shape, np.float32)
    image = image + noise * np.sqrt(0.00010 * np.maximum(image, 0) + 0.00002)
    curved = np.maximum(image, 0)
    curved = curved * (1 + curved / 9) / (1 + 0.45 * curved)
    return np.round(255 * np.clip(curved, 0, 1) ** (1 / 2.2)).astype(np.uint8)
