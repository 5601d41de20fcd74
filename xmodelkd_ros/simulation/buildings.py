"""Buildings with facades, and the fences and walls between plots."""

from __future__ import annotations

import numpy as np

from .materials import Material
from .meshes import box, join, Mesh, polygons, tube
from ..labels import ID_BY_NAME

BUILDING, FENCE = ID_BY_NAME['building'], ID_BY_NAME['fence']
PLASTERS = np.array([
    (0.62, 0.56, 0.44), (0.70, 0.68, 0.62), (0.55, 0.40, 0.25), (0.60, 0.48, 0.40),
    (0.45, 0.48, 0.50), (0.66, 0.58, 0.30), (0.50, 0.55, 0.46), (0.55, 0.32, 0.26),
])
BRICKS = np.array([(0.33, 0.13, 0.08), (0.28, 0.15, 0.10), (0.42, 0.30, 0.20), (0.22, 0.10, 0.08)])
ROOFS = np.array([(0.30, 0.10, 0.06), (0.12, 0.11, 0.11), (0.22, 0.12, 0.08), (0.16, 0.17, 0.18)])


def _facades(
    length: float, depth: float, height: float, floors: int, brick: bool, colour: np.ndarray,
    seed: float, rng: np.random.Generator,
) -> Mesh:
    """Return four walls whose texture counts windows along, floors up, and carries a seed."""
    x, y = 0.5 * length, 0.5 * depth
    ground = np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
    quads, texture = [], []
    pitch = rng.uniform(2.2, 3.4)
    for k in range(4):
        a, b = ground[k], ground[(k + 1) % 4]
        columns = max(1, round(float(np.linalg.norm(b - a)) / pitch))
        quads.append([(*a, -0.2), (*b, -0.2), (*b, height), (*a, height)])
        low = -0.2 * floors / height
        texture.append([(0, low, seed), (columns, low, seed), (columns, floors, seed),
                        (0, floors, seed)])
    material = Material.BRICK_FACADE if brick else Material.FACADE
    return polygons(np.array(quads), material, colour, np.array(texture))


def _gable(length: float, depth: float, height: float, colour: np.ndarray) -> Mesh:
    """Return a pitched roof with its ridge along x, its eaves reaching over the walls."""
    x, y, rise = 0.5 * length + 0.3, 0.5 * depth + 0.4, 0.38 * depth
    low, top = height - 0.1, height + rise
    slopes = np.array([
        [(-x, -y, low), (x, -y, low), (x, 0, top), (-x, 0, top)],
        [(x, y, low), (-x, y, low), (-x, 0, top), (x, 0, top)],
    ])
    x -= 0.35
    ends = np.array([
        [(-x, -y, low), (-x, y, low), (-x, 0, top)], [(x, -y, low), (x, y, low), (x, 0, top)],
    ])
    wall = polygons(ends, Material.PLASTER, (0.5, 0.46, 0.4))
    return join([polygons(slopes, Material.ROOF, colour), wall])


def building(
    length: float, depth: float, floors: int, gabled: bool, rng: np.random.Generator
) -> Mesh:
    """
    Return a building centred on the origin, its street side at y = -depth / 2.

    Parameters
    ----------
    length, depth
        Along x and y, m.
    floors
        Number of storeys.
    gabled
        Whether it has a pitched roof, else a flat one with a parapet.
    rng
        Source of its looks.

    """
    brick = rng.random() < 0.35
    colour = (rng.choice(BRICKS) if brick else rng.choice(PLASTERS)) * rng.uniform(0.75, 1.15)
    height = floors * rng.uniform(2.8, 3.4) + 0.4
    seed = float(rng.integers(1, 200)) + 0.5
    parts = [_facades(length, depth, height, floors, brick, colour, seed, rng)]
    roof = rng.choice(ROOFS) * rng.uniform(0.7, 1.3)
    if gabled:
        parts.append(_gable(length, depth, height, roof))
        chimney = (rng.uniform(-0.3, 0.3) * length, 0.1 * depth, height + 0.35 * depth)
        parts.append(box(chimney, (0.6, 0.6, 1.6), Material.BRICK, BRICKS[0]))
    else:
        lid = (length + 0.3, depth + 0.3, 0.5)
        parts.append(box((0, 0, height + 0.2), lid, Material.CONCRETE, 0.6 * colour + 0.1))
    plinth = (length + 0.1, depth + 0.1, 0.8)
    parts.append(box((0, 0, 0.2), plinth, Material.CONCRETE, 0.45 * colour))
    if floors > 2 and rng.random() < 0.4:
        parts += _balconies(length, depth, height, floors, rng)
    return join(parts).named(BUILDING)


def _balconies(
    length: float, depth: float, height: float, floors: int, rng: np.random.Generator
) -> list[Mesh]:
    storey, y = height / floors, -0.5 * depth - 0.6
    parts = []
    for x in (-0.25 * length, 0.25 * length):
        for floor in range(1, floors):
            centre = (x, y, floor * storey + 0.45)
            parts.append(box(centre, (2.2, 1.2, 1.0), Material.PLASTER, (0.55, 0.55, 0.52)))
    return parts


def kiosk(rng: np.random.Generator) -> Mesh:
    """Return a kiosk or a bus shelter of some 3 m, which counts as a building."""
    colour = rng.choice(PLASTERS) * rng.uniform(0.4, 1.1)
    parts = [
        box((0, 0, 1.15), (2.6, 1.7, 2.3), Material.PLASTIC, colour),
        box((0, -0.3, 2.4), (3.0, 2.6, 0.15), Material.METAL, (0.25, 0.26, 0.27)),
    ]
    hatch = np.array([(-1, -0.87, 1), (1, -0.87, 1), (1, -0.87, 1.9), (-1, -0.87, 1.9)])
    parts.append(polygons(hatch[None], Material.GLASS, (0.04, 0.05, 0.05)))
    return join(parts).named(BUILDING)


def fence(length: float, rng: np.random.Generator) -> Mesh:
    """Return a picket, plank, rail or mesh fence or a wall along x, centred on the origin."""
    kind = rng.integers(5)
    if kind == 0:
        height, colour = rng.uniform(0.7, 2.0), rng.choice([*BRICKS, *PLASTERS[:3]])
        material = Material.BRICK if rng.random() < 0.6 else Material.CONCRETE
        wall = box((0, 0, 0.5 * height), (length, 0.24, height), material, colour)
        cap = box((0, 0, height + 0.03), (length, 0.34, 0.08), Material.CONCRETE, (0.4, 0.4, 0.38))
        return join([wall, cap]).named(FENCE)
    height = rng.uniform(0.9, 1.8)
    wood = kind < 3
    colour = np.array([(0.25, 0.15, 0.08), (0.65, 0.63, 0.58), (0.08, 0.10, 0.09)])[
        rng.integers(2) if wood else 2
    ] * rng.uniform(0.7, 1.2)
    material = Material.WOOD if wood else Material.METAL
    gap, width = ((0.14, 0.13), (0.16, 0.09), (0.13, 0.022))[min(int(kind), 3) - 1]
    return join(_pickets(length, height, gap, width, material, colour)).named(FENCE)


def _pickets(
    length: float, height: float, gap: float, width: float, material: int, colour: np.ndarray
) -> list[Mesh]:
    x = np.arange(-0.5 * length, 0.5 * length, gap)[:, None] + np.array([0, width, width, 0])
    z = np.broadcast_to((0.06, 0.06, height, height), x.shape)
    pales = polygons(np.stack([x, np.full_like(x, 0.02), z], axis=2), material, colour)
    parts = [pales]
    parts += [
        box((0, 0, level), (length, 0.05, 0.08), material, 0.9 * colour)
        for level in (0.2 * height, 0.8 * height)
    ]
    for post in np.linspace(-0.5 * length, 0.5 * length, max(2, int(length / 2.5))):
        start, end = (post, -0.03, 0), (post, -0.03, height + 0.08)
        parts.append(tube(start, end, 0.05, material, 0.8 * colour, 5))
    return parts
