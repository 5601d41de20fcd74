"""Triangle meshes that know what they are made of, and the few solids they are built from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses

import numpy as np

Vector = Sequence[float] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Mesh:
    """
    A soup of T triangles.

    Parameters
    ----------
    corners
        (T, 3, 3) float32, triangle by corner by xyz, m; both sides are seen, wound either way.
    texture
        (T, 3, 3) float32 texture coordinates of the corners, by default the corners themselves
        in the frame in which the solid was built.
    material
        (T,) uint8, see `materials.Material`; triangles of NOTHING fill the gaps of a thing.
    color
        (T, 3) float32 linear RGB albedo, 0..1.
    label
        (T,) uint8 class ids.
    instance
        (T,) uint16 instance ids, 0 none.

    """

    corners: np.ndarray
    texture: np.ndarray
    material: np.ndarray
    color: np.ndarray
    label: np.ndarray
    instance: np.ndarray

    def __len__(self) -> int:
        return len(self.corners)

    def moved(self, transform: np.ndarray) -> Mesh:
        """Return the mesh under a (4, 4) transform; texture coordinates stay."""
        corners = self.corners @ transform[:3, :3].T.astype(np.float32)
        return dataclasses.replace(self, corners=corners + transform[:3, 3].astype(np.float32))

    def part(self, rows: np.ndarray) -> Mesh:
        """Return some of the triangles, by (T,) bool or their numbers."""
        fields = (f.name for f in dataclasses.fields(self))
        return Mesh(*(getattr(self, name)[rows] for name in fields))

    def named(self, label: int, instance: int = 0) -> Mesh:
        """Return the mesh with one label and instance everywhere."""
        size = len(self)
        return dataclasses.replace(
            self, label=np.full(size, label, np.uint8), instance=np.full(size, instance, np.uint16)
        )


def join(meshes: Iterable[Mesh]) -> Mesh:
    """Return one mesh of the triangles of all, in order."""
    parts = list(meshes)
    if not parts:
        return polygons(np.zeros((0, 3, 3)), 0, (0, 0, 0))
    fields = (f.name for f in dataclasses.fields(Mesh))
    return Mesh(*(np.concatenate([getattr(p, name) for p in parts]) for name in fields))


def placement(x: float, y: float, yaw: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Return the (4, 4) pose at (x, y, z), turned by `yaw` rad about z."""
    transform = np.eye(4)
    transform[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    transform[:3, 3] = x, y, z
    return transform


def polygons(
    corners: np.ndarray, material: int, color: Vector, texture: np.ndarray | None = None
) -> Mesh:
    """
    Return convex polygons as fans of triangles.

    Parameters
    ----------
    corners
        (P, K, 3) corners of P polygons in order, m.
    material, color
        Of all of them.
    texture
        (P, K, 3) texture coordinates, by default the corners.

    """
    corners = np.asarray(corners, np.float32)
    texture = corners if texture is None else np.asarray(texture, np.float32)
    count = corners.shape[1]
    fan = np.array([(0, k, k + 1) for k in range(1, count - 1)])
    triangles = corners[:, fan].reshape(-1, 3, 3)
    size = len(triangles)
    return Mesh(
        triangles,
        texture[:, fan].reshape(-1, 3, 3),
        np.full(size, material, np.uint8),
        np.full((size, 3), color, np.float32),
        np.zeros(size, np.uint8),
        np.zeros(size, np.uint16),
    )


def loft(rings: np.ndarray, material: int, color: Vector, closed: bool = True) -> Mesh:
    """
    Return the skin through rings of corners, with both ends closed.

    Parameters
    ----------
    rings
        (R, K, 3) rings of K corners, m.
    material, color
        Of the skin.
    closed
        Whether to close the two ends.

    """
    rings = np.asarray(rings, np.float32)
    following = rings[:, [*range(1, rings.shape[1]), 0]]
    sides = np.stack([rings[:-1], following[:-1], following[1:], rings[1:]], axis=2)
    parts = [polygons(sides.reshape(-1, 4, 3), material, color)]
    if closed:
        ends = np.stack([rings[0], rings[-1]])
        parts.append(polygons(ends, material, color))
    return join(parts)


def box(center: Vector, size: Vector, material: int, color: Vector) -> Mesh:
    """Return an upright box of `size` about `center`, m."""
    return tapered_box(center, size, size[:2], material, color)


def tapered_box(
    center: Vector, size: Vector, top: Vector, material: int, color: Vector, shift: float = 0.0
) -> Mesh:
    """Return a box whose top is `top` = (length, width), moved by `shift` along x."""
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    rings = np.zeros((2, 4, 3))
    rings[0, :, :2] = square * np.asarray(size[:2])
    rings[1, :, :2] = square * np.asarray(top) + (shift, 0)
    rings[:, :, 2] = np.array([-0.5, 0.5])[:, None] * size[2]
    return loft(rings + np.asarray(center), material, color)


def tube(
    start: Vector,
    end: Vector,
    radius: float | tuple[float, float],
    material: int,
    color: Vector,
    sides: int = 6,
) -> Mesh:
    """Return a tube from `start` to `end`, m; two radii make it taper."""
    first, last = np.asarray(start, float), np.asarray(end, float)
    radii = radius if isinstance(radius, tuple) else (radius, radius)
    x, y, z = (last - first) / np.linalg.norm(last - first)
    aside = np.array((y, -x, 0.0) if abs(z) < 0.9 else (0.0, z, -y))
    aside /= np.linalg.norm(aside)
    a, b, c = aside
    across = np.array((y * c - z * b, z * a - x * c, x * b - y * a))
    angle = np.arange(sides) * 2 * np.pi / sides
    circle = np.cos(angle)[:, None] * aside + np.sin(angle)[:, None] * across
    return loft(
        np.stack([first + radii[0] * circle, last + radii[1] * circle]), material, color
    )


def extrusion(
    outline: np.ndarray, half_width: float | np.ndarray, material: int, color: Vector
) -> Mesh:
    """
    Return the solid between y = -half_width and +half_width over an outline in the x-z plane.

    Parameters
    ----------
    outline
        (K, 2) x, z of an outline whose first corner sees all others, m.
    half_width
        One value, or (K,) by corner so that the sides may lean, m.
    material, color
        Of the skin.

    """
    outline = np.asarray(outline, float)
    width = np.broadcast_to(half_width, len(outline))
    right = np.stack([outline[:, 0], -width, outline[:, 1]], axis=1)
    left = np.stack([outline[:, 0], width, outline[:, 1]], axis=1)
    return loft(np.stack([left, right]), material, color)


def ellipsoid(
    center: Vector, radii: Vector, material: int, color: Vector, sides: int = 8, rows: int = 5
) -> Mesh:
    """Return an upright ellipsoid of `rows` bands with `sides` faces each."""
    latitude = np.linspace(-0.5 * np.pi, 0.5 * np.pi, rows + 1)
    angle = np.arange(sides) * 2 * np.pi / sides
    rings = np.stack(
        [
            np.cos(latitude)[:, None] * np.cos(angle),
            np.cos(latitude)[:, None] * np.sin(angle),
            np.broadcast_to(np.sin(latitude)[:, None], (rows + 1, sides)),
        ],
        axis=2,
    )
    return loft(rings * np.asarray(radii) + np.asarray(center), material, color, closed=False)
