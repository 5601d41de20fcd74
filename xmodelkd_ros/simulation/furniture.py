"""Street furniture: lamps, signs, traffic lights, posts, bins and boxes."""

from __future__ import annotations

import numpy as np

from .materials import Material
from .meshes import box, join, Mesh, polygons, tube
from ..labels import ID_BY_NAME

POLE, SIGN = ID_BY_NAME['pole'], ID_BY_NAME['sign']
FENCE, BUILDING = ID_BY_NAME['fence'], ID_BY_NAME['building']
GREY = (0.28, 0.29, 0.30)


def lamp(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """Return a street lamp whose arm points along +x, and the (3,) place of its light."""
    height, reach = rng.uniform(5.0, 8.5), rng.uniform(0.8, 2.0)
    colour = np.array(GREY) * rng.uniform(0.4, 1.3)
    light = np.array([reach, 0, height - 0.1])
    parts = [
        tube((0, 0, -0.1), (0, 0, height), (0.09, 0.06), Material.METAL, colour, 8),
        tube((0, 0, height), (reach, 0, height + 0.05), 0.04, Material.METAL, colour, 5),
        box((reach, 0, height), (0.6, 0.25, 0.12), Material.METAL, colour),
        box((reach, 0, height - 0.08), (0.5, 0.2, 0.05), Material.LAMP, (0.9, 0.85, 0.7)),
    ]
    return join(parts).named(POLE), light


def post(rng: np.random.Generator) -> Mesh:
    """Return a telegraph pole or a bollard."""
    if rng.random() < 0.5:
        pole = tube((0, 0, -0.1), (0, 0, rng.uniform(6, 8)), (0.13, 0.1), Material.WOOD,
                    (0.16, 0.11, 0.08), 8)
        return pole.named(POLE)
    colour = (0.5, 0.05, 0.04) if rng.random() < 0.4 else GREY
    return tube((0, 0, 0), (0, 0, 1.0), 0.07, Material.METAL, colour, 8).named(POLE)


def _plate(outline: np.ndarray, height: float, style: float) -> list[Mesh]:
    """Return a sign facing -x: outline (K, 2) across and up in m, its style as texture seed."""
    reach = np.abs(outline).max()
    size = len(outline)
    front = np.stack([np.full(size, -0.06), outline[:, 0], outline[:, 1] + height], axis=1)
    texture = np.column_stack([outline / reach, np.full(size, style)])
    face = polygons(front[None], Material.SIGN, (0.8, 0.8, 0.8), texture[None])
    back = polygons(front[None] + (0.02, 0, 0), Material.METAL, (0.35, 0.35, 0.36))
    return [face, back]


def sign(rng: np.random.Generator) -> Mesh:
    """Return a traffic sign on its post, facing -x: round, triangle, square, board or stop."""
    style, height = int(rng.integers(6)), rng.uniform(2.0, 2.6)
    turn = np.arange(16) * np.pi / 8
    octagon = np.arange(8) * np.pi / 4 + np.pi / 8
    outlines = (
        0.32 * np.stack([np.sin(turn), np.cos(turn)], axis=1),
        0.40 * np.array([(-0.87, -0.5), (0.87, -0.5), (0, 1)]),
        0.32 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]),
        np.array([(-0.9, -0.35), (0.9, -0.35), (0.9, 0.35), (-0.9, 0.35)]),
        0.35 * np.stack([np.sin(octagon), np.cos(octagon)], axis=1),
        0.32 * np.array([(0, -1), (1, 0), (0, 1), (-1, 0)]),
    )
    pole = tube((0, 0, -0.1), (0, 0, height + 0.3), 0.035, Material.METAL, (0.4, 0.4, 0.41), 6)
    plate = join(_plate(outlines[style], height, style + 0.5)).named(SIGN)
    return join([pole.named(POLE), plate])


def traffic_light(rng: np.random.Generator) -> Mesh:
    """Return a traffic light facing -x; the housing counts as a sign."""
    height, lit = rng.uniform(2.3, 3.0), int(rng.choice(3, p=(0.5, 0.1, 0.4)))
    pole = tube((0, 0, -0.1), (0, 0, height), 0.06, Material.METAL, (0.12, 0.13, 0.12), 7)
    black = (0.02, 0.02, 0.02)
    housing = [box((-0.12, 0, height + 0.1), (0.2, 0.32, 0.95), Material.PLASTIC, black)]
    colours = np.array([(1.0, 0.03, 0.02), (1.0, 0.5, 0.02), (0.05, 0.9, 0.3)])
    turn = np.arange(8) * np.pi / 4
    for k in range(3):
        disc = np.stack(
            [np.full(8, -0.23), 0.11 * np.sin(turn), 0.11 * np.cos(turn) + height + 0.4 - 0.3 * k],
            axis=1,
        )
        shade = colours[k] if k == lit else 0.12 * colours[k]
        material = Material.SIGNAL if k == lit else Material.PLASTIC
        housing.append(polygons(disc[None], material, shade))
    return join([pole.named(POLE), join(housing).named(SIGN)])


def bin_or_box(rng: np.random.Generator) -> Mesh:
    """Return a bin, a skip or a switch box: low boxes, which count as fence."""
    kind = rng.integers(3)
    colours = np.array([
        (0.05, 0.15, 0.07), (0.05, 0.08, 0.2), (0.25, 0.25, 0.24), (0.3, 0.22, 0.03),
    ])
    colour = rng.choice(colours) * rng.uniform(0.7, 1.3)
    if kind == 0:
        body = box((0, 0, 0.5), (0.6, 0.6, 1.0), Material.PLASTIC, colour)
        lid = box((0, 0, 1.04), (0.66, 0.66, 0.08), Material.PLASTIC, 0.7 * colour)
        return join([body, lid]).named(FENCE)
    if kind == 1:
        return box((0, 0, 0.6), (1.0, 0.4, 1.2), Material.CONCRETE, (0.4, 0.41, 0.38)).named(FENCE)
    return box((0, 0, 0.65), (2.4, 1.4, 1.3), Material.METAL, colour).named(FENCE)
