"""Pedestrians, bicycles and cyclists, with limbs that swing."""

from __future__ import annotations

import dataclasses

import numpy as np

from .materials import Material
from .meshes import box, ellipsoid, join, Mesh, polygons, tapered_box, tube

SKIN_COLOURS = np.array([
    (0.55, 0.35, 0.25), (0.42, 0.24, 0.15), (0.20, 0.10, 0.06), (0.62, 0.42, 0.32),
])
CLOTH_COLOURS = np.array([
    (0.03, 0.03, 0.04), (0.10, 0.12, 0.20), (0.5, 0.05, 0.05), (0.55, 0.5, 0.4), (0.7, 0.7, 0.7),
    (0.05, 0.25, 0.12), (0.6, 0.45, 0.05), (0.25, 0.08, 0.3), (0.08, 0.2, 0.5), (0.2, 0.12, 0.07),
    (0.75, 0.25, 0.35), (0.3, 0.32, 0.33),
])


@dataclasses.dataclass(frozen=True)
class Articulated:
    """
    A mesh whose triangles swing about crosswise axes.

    Parameters
    ----------
    mesh
        T triangles at rest, x forward.
    pivot
        (T, 2) float32 x, z of each triangle's axis, m.
    swing
        (T,) float32 largest angle, rad; 0 for what stands still.

    """

    mesh: Mesh
    pivot: np.ndarray
    swing: np.ndarray

    def at(self, phase: float) -> Mesh:
        """Return the mesh at a phase of the stride, rad."""
        angle = self.swing * np.float32(np.sin(phase))
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        corners = self.mesh.corners.copy()
        x = corners[..., 0] - self.pivot[:, :1]
        z = corners[..., 2] - self.pivot[:, 1:]
        corners[..., 0] = self.pivot[:, :1] + cos * x - sin * z
        corners[..., 2] = self.pivot[:, 1:] + sin * x + cos * z
        return dataclasses.replace(self.mesh, corners=corners)

    def named(self, label: int, instance: int) -> Articulated:
        """Return it with one label and instance everywhere."""
        return dataclasses.replace(self, mesh=self.mesh.named(label, instance))


def rigid(mesh: Mesh) -> Articulated:
    """Return a mesh as one of which nothing swings."""
    return Articulated(
        mesh, np.zeros((len(mesh), 2), np.float32), np.zeros(len(mesh), np.float32)
    )


def assemble(limbs: list[tuple[Mesh, tuple[float, float], float]]) -> Articulated:
    """Return one figure of (mesh, pivot x and z, swing) parts."""
    meshes, pivots, swings = zip(*limbs, strict=True)
    sizes = [len(mesh) for mesh in meshes]
    return Articulated(
        join(meshes),
        np.repeat(np.array(pivots, np.float32), sizes, axis=0),
        np.repeat(np.array(swings, np.float32), sizes),
    )


def pedestrian(rng: np.random.Generator) -> Articulated:
    """Return a walking person of 1.1 to 1.95 m, some with a coat, a skirt or a backpack."""
    height = rng.uniform(1.55, 1.95) if rng.random() < 0.88 else rng.uniform(1.1, 1.4)
    stout = rng.uniform(0.85, 1.25)
    skin, hair = rng.choice(SKIN_COLOURS), rng.choice(CLOTH_COLOURS[[0, 3, 9]])
    top, trousers = rng.choice(CLOTH_COLOURS, 2) * rng.uniform(0.7, 1.2)
    hip, shoulder = 0.50 * height, 0.82 * height
    still = (0.0, 0.0)
    torso_size = (0.22 * stout, 0.34 * stout, shoulder - hip + 0.06)
    torso = tapered_box(
        (0, 0, 0.5 * (hip + shoulder)), torso_size, (0.24 * stout, 0.44 * stout),
        Material.CLOTH, top,
    )
    head = ellipsoid((0.02, 0, 0.925 * height), (0.1, 0.085, 0.12), Material.SKIN, skin, 6, 4)
    scalp = ellipsoid((-0.02, 0, 0.95 * height), (0.1, 0.095, 0.1), Material.CLOTH, hair, 6, 3)
    limbs = [(torso, still, 0.0), (head, still, 0.0), (scalp, still, 0.0)]
    for side in (-1, 1):
        limbs += _leg(side, hip, 0.085 * stout, trousers)
        limbs += _arm(side, shoulder, hip, 0.25 * stout, top, skin)
    if rng.random() < 0.3:
        coat = tapered_box(
            (0, 0, hip - 0.12), (0.3 * stout, 0.42 * stout, 0.4), (0.22, 0.34), Material.CLOTH, top
        )
        limbs.append((coat, still, 0.0))
    if rng.random() < 0.3:
        colour = rng.choice(CLOTH_COLOURS)
        bag = box((-0.22, 0, shoulder - 0.2), (0.18, 0.3, 0.42), Material.CLOTH, colour)
        limbs.append((bag, still, 0.0))
    return assemble(limbs)


def _leg(side: int, hip: float, radius: float, colour: np.ndarray) -> list:
    y = side * 0.1
    leg = tube((0, y, 0.06), (0, y, hip + 0.04), (0.6 * radius, radius), Material.CLOTH, colour)
    shoe = box((0.05, y, 0.04), (0.26, 0.1, 0.08), Material.RUBBER, (0.05, 0.04, 0.04))
    return [(leg, (0.0, hip), 0.45 * side), (shoe, (0.0, hip), 0.45 * side)]


def _arm(
    side: int, shoulder: float, hip: float, y: float, sleeve: np.ndarray, skin: np.ndarray
) -> list:
    wrist, joint = (0.03, side * y, hip + 0.05), (0, side * 0.92 * y, shoulder)
    arm = tube(wrist, joint, 0.05, Material.CLOTH, sleeve, 5)
    hand = ellipsoid((0.04, side * y, hip), (0.05, 0.04, 0.08), Material.SKIN, skin, 4, 2)
    return [(arm, (0.0, shoulder), -0.4 * side), (hand, (0.0, shoulder), -0.4 * side)]


def _wheel(x: float, radius: float) -> Mesh:
    angle = np.arange(13) * 2 * np.pi / 12
    circle = np.stack([np.cos(angle), np.zeros(13), np.sin(angle)], axis=1)
    outer, inner = radius * circle, (radius - 0.05) * circle
    centre = np.array([x, 0, radius])
    tread = np.array([0, 0.02, 0])
    strips = [
        (outer + tread, inner + tread), (outer - tread, inner - tread),
        (outer + tread, outer - tread),
    ]
    quads = [np.stack([a[:-1], a[1:], b[1:], b[:-1]], axis=1) for a, b in strips]
    black = (0.03, 0.03, 0.03)
    rim = polygons(np.concatenate(quads) + centre, Material.RUBBER, black)
    return join([rim, polygons(inner[None, :-1] + centre, Material.NOTHING, black)])


def bicycle(rng: np.random.Generator) -> Mesh:
    """Return a bicycle of 1.7 m, x forward."""
    colour, metal = rng.choice(CLOTH_COLOURS) * 0.9, Material.METAL
    rear, front, crank = (-0.52, 0, 0.34), (0.55, 0, 0.34), (-0.08, 0, 0.3)
    seat, head, bar = (-0.22, 0, 0.85), (0.36, 0, 0.9), (0.33, 0, 1.02)
    frame = [
        (rear, crank), (rear, seat), (crank, seat), (crank, head), (seat, head), (head, front),
    ]
    parts = [tube(a, b, 0.025, metal, colour, 4) for a, b in frame]
    parts += [_wheel(-0.52, 0.34), _wheel(0.55, 0.34)]
    within = [(rear, seat, crank), (crank, seat, head)]
    parts.append(polygons(np.array(within), Material.NOTHING, colour))
    parts.append(tube((0.33, -0.27, 1.02), (0.33, 0.27, 1.02), 0.02, metal, (0.1, 0.1, 0.1), 4))
    parts.append(tube(head, bar, 0.02, metal, (0.1, 0.1, 0.1), 4))
    parts.append(box((-0.24, 0, 0.93), (0.26, 0.16, 0.07), Material.PLASTIC, (0.03, 0.03, 0.03)))
    parts.append(box((-0.56, 0, 0.72), (0.03, 0.07, 0.07), Material.TAILLIGHT, (0.5, 0.02, 0.02)))
    if rng.random() < 0.4:
        basket = box((0.5, 0, 0.88), (0.3, 0.36, 0.25), Material.PLASTIC, (0.12, 0.09, 0.06))
        parts.append(basket)
    return join(parts)


def cyclist(rng: np.random.Generator) -> Articulated:
    """Return a person on a bicycle, leaning forward, legs on the pedals."""
    skin, top = rng.choice(SKIN_COLOURS), rng.choice(CLOTH_COLOURS)
    trousers, still = rng.choice(CLOTH_COLOURS[[0, 1, 3, 11]]), (0.0, 0.0)
    limbs = [(bicycle(rng), still, 0.0)]
    torso = tube((-0.2, 0, 0.95), (0.08, 0, 1.48), (0.16, 0.2), Material.CLOTH, top, 7)
    head = ellipsoid((0.16, 0, 1.66), (0.11, 0.09, 0.13), Material.SKIN, skin, 6, 4)
    limbs += [(torso, still, 0.0), (head, still, 0.0)]
    if rng.random() < 0.6:
        colour = rng.choice(CLOTH_COLOURS)
        helmet = ellipsoid((0.14, 0, 1.73), (0.14, 0.11, 0.09), Material.PLASTIC, colour, 6, 3)
        limbs.append((helmet, still, 0.0))
    for side in (-1, 1):
        y = 0.11 * side
        knee, foot = (0.2, y, 0.72), (-0.02, y, 0.25)
        thigh = tube((-0.2, y, 0.95), knee, 0.08, Material.CLOTH, trousers, 5)
        shin = tube(knee, foot, (0.065, 0.05), Material.CLOTH, trousers, 5)
        arm = tube((0.06, 2 * y, 1.42), (0.33, 2 * y, 1.05), 0.045, Material.CLOTH, top, 5)
        limbs += [(thigh, (-0.2, 0.95), 0.28 * side), (shin, (-0.2, 0.95), 0.28 * side)]
        limbs.append((arm, still, 0.0))
    return assemble(limbs)
