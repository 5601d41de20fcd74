"""Trees, bushes and hedges: twigs of leaves about a core, so that a laser reaches into them."""

from __future__ import annotations

import numpy as np

from .materials import Material
from .meshes import box, ellipsoid, join, Mesh, polygons, tube
from ..labels import ID_BY_NAME

VEGETATION, TRUNK = ID_BY_NAME['vegetation'], ID_BY_NAME['trunk']
GREENS = np.array([
    (0.10, 0.20, 0.04), (0.15, 0.24, 0.06), (0.07, 0.16, 0.05), (0.20, 0.24, 0.05),
    (0.12, 0.18, 0.09), (0.28, 0.20, 0.04), (0.24, 0.09, 0.04),
])
"""Linear RGB of foliage; the last two are autumn leaves and copper beech."""
_GREEN_SHARES = np.array([0.22, 0.2, 0.2, 0.14, 0.14, 0.06, 0.04])


def foliage(
    center: np.ndarray, radii: np.ndarray, count: int, size: float, rng: np.random.Generator
) -> np.ndarray:
    """Return (count, 3, 3) random leaf triangles of `size` m near an ellipsoid's surface."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    middle = direction * rng.uniform(0.72, 1.08, (count, 1)) * radii + center
    return middle[:, None] + rng.normal(size=(count, 3, 3)) * (0.5 * size)


def _leaves(triangles: np.ndarray, green: np.ndarray, rng: np.random.Generator) -> Mesh:
    mesh = polygons(triangles, Material.LEAVES, green)
    mesh.color[:] *= rng.uniform(0.6, 1.4, (len(mesh), 1)).astype(np.float32)
    return mesh


def _blob(
    center: tuple[float, float, float], radii: tuple[float, float, float], leaves: int,
    size: float, green: np.ndarray, rng: np.random.Generator,
) -> list[Mesh]:
    middle, extent = np.array(center), np.array(radii)
    core = ellipsoid(center, 0.8 * extent, Material.LEAVES, 0.75 * green, 7, 4)
    return [core, _leaves(foliage(middle, extent, leaves, size, rng), green, rng)]


def _green(rng: np.random.Generator) -> np.ndarray:
    return rng.choice(GREENS, p=_GREEN_SHARES) * rng.uniform(0.8, 1.2)


def tree(rng: np.random.Generator) -> Mesh:
    """Return a broad-leaved tree, a poplar, a conifer or a sapling, 3 to 13 m high."""
    kind = rng.choice(4, p=(0.5, 0.12, 0.18, 0.2))
    green, height = _green(rng), rng.uniform(6, 11)
    bark = np.array((0.12, 0.09, 0.06)) * rng.uniform(0.6, 1.6)
    if kind == 0:
        crown, stem = _broad_crown(height, green, rng), 0.45 * height
    elif kind == 1:
        radii = (0.13 * height, 0.13 * height, 0.45 * height)
        crown, stem = _blob((0, 0, 0.62 * height), radii, 150, 0.5, green, rng), 0.3 * height
    elif kind == 2:
        crown, stem = _cone_crown(height, 0.7 * green, rng), 0.25 * height
    else:
        height = rng.uniform(3, 5)
        radii = (0.2 * height, 0.2 * height, 0.24 * height)
        crown, stem = _blob((0, 0, 0.75 * height), radii, 90, 0.3, green, rng), 0.6 * height
    thick = 0.022 * height + 0.02
    lean = rng.normal(0, 0.02 * height, 2)
    trunk = tube((0, 0, -0.1), (*lean, stem + 0.5), (thick, 0.7 * thick), Material.BARK, bark, 7)
    return join([trunk.named(TRUNK), join(crown).named(VEGETATION)])


def _broad_crown(height: float, green: np.ndarray, rng: np.random.Generator) -> list[Mesh]:
    parts: list[Mesh] = []
    width = rng.uniform(0.2, 0.3) * height
    for _ in range(rng.integers(4, 7)):
        x, y = rng.normal(0, 0.55 * width, 2)
        z = rng.uniform(0.55, 0.85) * height
        radius = width * rng.uniform(0.6, 0.9)
        radii = (radius, radius, 0.8 * radius)
        parts += _blob((x, y, z), radii, 60, 0.55, green, rng)
    return parts


def _cone_crown(height: float, green: np.ndarray, rng: np.random.Generator) -> list[Mesh]:
    parts: list[Mesh] = []
    for share in np.linspace(0.22, 0.92, 6):
        radius = 0.24 * height * (1.02 - share)
        parts.append(
            tube((0, 0, share * height), (0, 0, (share + 0.17) * height), (radius, 0.15 * radius),
                 Material.LEAVES, green, 8)
        )
        middle, extent = np.array((0, 0, (share + 0.04) * height)), np.array((radius, radius, 0.4))
        parts.append(_leaves(foliage(middle, extent, 25, 0.4, rng), green, rng))
    return parts


def bush(rng: np.random.Generator) -> Mesh:
    """Return a bush 0.6 to 2 m high."""
    height, green, parts = rng.uniform(0.6, 2.0), _green(rng), []
    for _ in range(rng.integers(1, 4)):
        x, y = rng.normal(0, 0.3 * height, 2)
        radii = (0.5 * height, 0.5 * height, 0.5 * height)
        parts += _blob((x, y, 0.45 * height), radii, 45, 0.25, green, rng)
    return join(parts).named(VEGETATION)


def hedge(length: float, rng: np.random.Generator) -> Mesh:
    """Return a cut hedge along x, centred on the origin."""
    height, depth, green = rng.uniform(0.8, 2.0), rng.uniform(0.5, 0.9), _green(rng)
    core = box((0, 0, 0.5 * height), (length, depth, height), Material.LEAVES, 0.85 * green)
    count = int(22 * length)
    middle = rng.uniform(-0.5, 0.5, (count, 3)) * (length, depth, height) + (0, 0, 0.5 * height)
    side = rng.integers(3, size=count)
    middle[side < 2, 1] = (side[side < 2] - 0.5) * depth
    middle[side == 2, 2] = height
    twigs = middle[:, None] + rng.normal(size=(count, 3, 3)) * 0.09
    return join([core, _leaves(twigs, green, rng)]).named(VEGETATION)
