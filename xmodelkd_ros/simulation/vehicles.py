"""Motor vehicles: cars of several bodies, vans, lorries and buses, x forward, origin on ground."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .materials import Material
from .meshes import box, extrusion, join, loft, Mesh, polygons, tube

CAR_COLOURS = np.array([
    (0.75, 0.75, 0.75), (0.9, 0.9, 0.88), (0.02, 0.02, 0.025), (0.10, 0.11, 0.12),
    (0.32, 0.33, 0.35), (0.45, 0.03, 0.03), (0.03, 0.07, 0.30), (0.02, 0.16, 0.35),
    (0.25, 0.24, 0.20), (0.03, 0.16, 0.08), (0.55, 0.28, 0.04), (0.62, 0.50, 0.05),
    (0.20, 0.05, 0.10), (0.05, 0.25, 0.28),
])
GLASS = (0.03, 0.04, 0.045)
DARK = (0.02, 0.02, 0.02)
_TURN = np.arange(10) * np.pi / 5
_CIRCLE = np.stack([np.cos(_TURN), np.zeros(10), np.sin(_TURN)], axis=1)


class Body(NamedTuple):
    """Side view of a car: m, and places along it as shares of the half length, -1 the rear."""

    length: float
    width: float
    height: float
    belt: float
    bonnet: float
    screen: float
    roof_front: float
    roof_rear: float
    rear: float
    tail: float


CARS = {
    'hatchback': Body(3.95, 1.72, 1.50, 0.92, 0.82, 0.42, 0.05, -0.70, -0.95, 0.92),
    'sedan': Body(4.65, 1.80, 1.44, 0.92, 0.80, 0.38, 0.05, -0.42, -0.72, 0.94),
    'estate': Body(4.70, 1.80, 1.48, 0.92, 0.82, 0.40, 0.08, -0.82, -0.96, 0.92),
    'suv': Body(4.55, 1.88, 1.72, 1.08, 1.02, 0.42, 0.14, -0.78, -0.95, 1.06),
    'coupe': Body(4.35, 1.80, 1.30, 0.84, 0.72, 0.30, -0.05, -0.35, -0.85, 0.88),
    'mpv': Body(4.40, 1.82, 1.66, 0.98, 0.94, 0.66, 0.22, -0.84, -0.97, 0.98),
    'van': Body(5.20, 1.98, 2.15, 1.15, 1.05, 0.76, 0.50, -0.96, -0.98, 1.12),
}


def _panel(face: np.ndarray, u: tuple[float, float], v: tuple[float, float]) -> np.ndarray:
    """Return the (4, 3) part of a quad (4, 3) between shares u along and v up, 1 cm before it."""
    a, b, c, d = face
    normal = np.cross(b - a, d - a)
    normal *= 0.01 / np.linalg.norm(normal)

    def at(s: float, t: float) -> np.ndarray:
        return (1 - t) * ((1 - s) * a + s * b) + t * ((1 - s) * d + s * c) + normal

    return np.stack([at(u[0], v[0]), at(u[1], v[0]), at(u[1], v[1]), at(u[0], v[1])])


def _wheels(axles: tuple[float, ...], width: float, radius: float) -> list[Mesh]:
    parts = []
    for x in axles:
        for side in (-1, 1):
            y = side * (0.5 * width - 0.10)
            inner, outer = (x, y - side * 0.11, radius), (x, y + side * 0.11, radius)
            parts.append(tube(inner, outer, radius, Material.RUBBER, DARK, 12))
            hub = 0.62 * radius * _CIRCLE + (x, y + side * 0.125, radius)
            parts.append(polygons(hub[None], Material.METAL, (0.35, 0.35, 0.36)))
    return parts


def _lights(length: float, width: float, height: float, wide: float) -> list[Mesh]:
    """Return head and tail lights and both plates."""
    parts = []
    for side in (-1, 1):
        y = side * (0.5 * width - 0.5 * wide - 0.04)
        front, rear = (0.5 * length - 0.03, y, height), (-0.5 * length + 0.03, y, height + 0.08)
        parts.append(box(front, (0.12, wide, 0.14), Material.HEADLIGHT, (0.85, 0.85, 0.8)))
        parts.append(box(rear, (0.10, 0.8 * wide, 0.2), Material.TAILLIGHT, (0.5, 0.01, 0.01)))
    plates = (0.5 * length + 0.015, -0.5 * length - 0.015)
    return parts + [
        box((x, 0, 0.48), (0.02, 0.5, 0.12), Material.PLATE, (0.85, 0.85, 0.8)) for x in plates
    ]


def car(kind: str, paint: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Return a car of one of `CARS`, its measures varied by a few per cent."""
    body = CARS[kind]
    scale = rng.uniform(0.94, 1.06, 3)
    length, width, height = (body.length, body.width, body.height) * scale
    half = 0.5 * length
    outline = np.array([
        (0, 0.22), (-half + 0.15, 0.24), (-half, 0.45), (-half + 0.04, body.tail),
        (body.rear * half, body.belt + 0.02), (body.screen * half, body.belt),
        (half - 0.25, body.bonnet), (half - 0.03, body.bonnet - 0.16), (half, 0.48),
        (half - 0.12, 0.24),
    ])
    lean = np.array([0.90, 0.86, 0.95, 0.92, 0.95, 0.95, 0.86, 0.84, 0.90, 0.86])
    parts = [extrusion(outline, 0.5 * width * lean, Material.PAINT, paint)]
    parts += _greenhouse(body, half, width, height, paint)
    radius = 0.29 + 0.03 * (body.height > 1.6)
    parts += _wheels((-0.60 * half, 0.62 * half), width, radius)
    parts += _lights(2 * half, 0.92 * width, body.bonnet - 0.2, 0.32)
    for x in (-half + 0.03, half - 0.03):
        parts.append(box((x, 0, 0.34), (0.1, 0.9 * width, 0.16), Material.PLASTIC, DARK))
    for side in (-1, 1):
        mirror = (body.screen * half - 0.15, side * (0.5 * width + 0.04), body.belt + 0.05)
        parts.append(box(mirror, (0.1, 0.2, 0.14), Material.PAINT, paint))
        for x in (-0.16 * half, 0.24 * half):
            seam = (x, side * 0.478 * width, 0.5 * (0.36 + body.belt))
            parts.append(box(seam, (0.025, 0.012, body.belt - 0.42), Material.PLASTIC, DARK))
    return join(parts)


def _greenhouse(
    body: Body, half: float, width: float, height: float, paint: np.ndarray
) -> list[Mesh]:
    low, high = 0.455 * width, 0.375 * width
    base_z, top_z = body.belt - 0.02, height
    x = np.array([body.rear, body.screen, body.roof_front, body.roof_rear]) * half
    base = np.array([(x[0], low), (x[1], low), (x[1], -low), (x[0], -low)])
    roof = np.array([(x[3], high), (x[2], high), (x[2], -high), (x[3], -high)])
    rings = np.zeros((2, 4, 3))
    rings[0, :, :2], rings[1, :, :2] = base, roof
    rings[:, :, 2] = np.array([base_z, top_z])[:, None]
    a, b, c, d = rings[0]
    e, f, g, h = rings[1]
    left, right = np.stack([b, a, e, f]), np.stack([d, c, g, h])
    front, rear = np.stack([c, b, f, g]), np.stack([a, d, h, e])
    glass = [_panel(front, (0.05, 0.95), (0.04, 0.94))]
    if body.length < 5:
        glass.append(_panel(rear, (0.08, 0.92), (0.25, 0.9)))
    windows = ((0.06, 0.49), (0.53, 0.94)) if body.length < 5 else ((0.04, 0.28),)
    for window in windows:
        glass.append(_panel(left, window, (0.12, 0.88)))
        glass.append(_panel(right, (1 - window[1], 1 - window[0]), (0.12, 0.88)))
    return [
        loft(rings, Material.PAINT, paint),
        polygons(np.stack(glass), Material.GLASS, GLASS),
    ]


def _windows(length: float, width: float, low: float, high: float, count: int) -> Mesh:
    """Return rows of `count` windows on both sides of a box body."""
    edges = np.linspace(-0.5 * length + 0.3, 0.5 * length - 0.3, count + 1)
    quads = []
    for side in (-1, 1):
        y = side * (0.5 * width + 0.01)
        for x0, x1 in zip(edges[:-1] + 0.05, edges[1:] - 0.05, strict=True):
            quads.append([(x0, y, low), (x1, y, low), (x1, y, high), (x0, y, high)])
    return polygons(np.array(quads), Material.GLASS, GLASS)


def bus(paint: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Return a city bus, 10 to 12.5 m long."""
    length, width, height = rng.uniform(10, 12.5), 2.5, rng.uniform(2.9, 3.2)
    second = paint if rng.random() < 0.5 else np.full(3, 0.75)
    parts = [
        box((0, 0, 0.95), (length, width, 1.3), Material.PAINT, paint),
        box((0, 0, 0.5 * (1.6 + height)), (length, width, height - 1.6), Material.PAINT, second),
        _windows(length, width, 1.35, height - 0.55, 7),
        box((0.5, 0, height + 0.12), (3.0, 1.6, 0.24), Material.PLASTIC, (0.5, 0.5, 0.5)),
    ]
    for x, low in ((0.5 * length + 0.012, 1.0), (-0.5 * length - 0.012, 1.6)):
        y, high = 0.46 * width, height - 0.5
        face = np.array([[(x, -y, low), (x, y, low), (x, y, high), (x, -y, high)]])
        parts.append(polygons(face, Material.GLASS, GLASS))
    sign = (0.5 * length + 0.02, 0, height - 0.25)
    parts.append(box(sign, (0.02, 1.6, 0.28), Material.LAMP, (0.5, 0.25, 0.02)))
    parts += _wheels((-0.28 * length, 0.33 * length), width, 0.48)
    parts += _lights(length + 0.04, width, 0.75, 0.3)
    return join(parts)


def truck(paint: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Return a lorry with a box, a canvas or a tipper body, or a small delivery truck."""
    length = rng.uniform(6.2, 10.0)
    width, height = 2.45, rng.uniform(2.9, 3.8)
    cab, front = 1.9, 0.5 * length
    cargo = (length - cab - 0.25, width, height - 1.05)
    parts = [
        box((front - 0.5 * cab, 0, 1.55), (cab, 0.95 * width, 2.1), Material.PAINT, paint),
        box((-0.2, 0, 0.8), (length - 0.6, 0.9, 0.3), Material.METAL, (0.06, 0.06, 0.06)),
    ]
    middle, style = -0.5 * (cab + 0.25), rng.integers(3)
    if style == 2:
        earth = (0.25, 0.18, 0.12)
        parts.append(box((middle, 0, 1.5), (cargo[0], width, 1.1), Material.PAINT, paint * 0.7))
        heap = (0.8 * cargo[0], 0.8 * width, 0.4)
        parts.append(box((middle, 0, 2.1), heap, Material.DIRT, earth))
    else:
        colour = rng.choice(CAR_COLOURS[[0, 1, 1, 5, 6, 9, 10]])
        material = (Material.PAINT, Material.CANVAS)[style]
        parts.append(box((middle, 0, 1.05 + 0.5 * cargo[2]), cargo, material, colour))
    x, y = front + 0.012, 0.43 * width
    screen = np.array([[(x, -y, 1.6), (x, y, 1.6), (x, y, 2.45), (x, -y, 2.45)]])
    parts.append(polygons(screen, Material.GLASS, GLASS))
    parts += _tail(0.5 * length, width, 1.05, min(height, 2.05) if style == 2 else height)
    side = _windows(1.5, 0.95 * width, 1.65, 2.35, 1)
    parts.append(side.moved(_shift(front - 0.85)))
    parts.append(box((front + 0.02, 0, 0.95), (0.05, 1.8, 0.35), Material.PLASTIC, DARK))
    parts += _wheels((front - 1.1, -0.5 * length + 1.2, -0.5 * length + 2.3), width, 0.5)
    parts += _lights(length + 0.04, 0.95 * width, 0.75, 0.3)
    return join(parts)


def _tail(reach: float, width: float, low: float, high: float) -> list[Mesh]:
    """Return the doors, the hazard plates and the underride bar at the rear of a lorry."""
    bar = (0.08, 0.9 * width, 0.14)
    parts = [box((-reach + 0.1, 0, 0.55), bar, Material.METAL, (0.3, 0.3, 0.3))]
    for y in (-0.47 * width, 0, 0.47 * width):
        seam = (-reach - 0.005, y, 0.5 * (low + high))
        parts.append(box(seam, (0.02, 0.05, high - low - 0.1), Material.PLASTIC, DARK))
    for y in (-0.3 * width, 0.3 * width):
        plate = (-reach - 0.005, y, low + 0.12)
        parts.append(box(plate, (0.02, 0.55, 0.14), Material.TAILLIGHT, (0.6, 0.12, 0.02)))
    return parts


def _shift(x: float) -> np.ndarray:
    transform = np.eye(4)
    transform[0, 3] = x
    return transform
