"""Casting rays at meshes and at the ground, and what is known of each hit."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools

import numpy as np

from .ground import Ground
from .materials import GROUND_LABEL, Material
from .meshes import Mesh
from ..errors import needed

with needed('simulate drives'):
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene


@dataclasses.dataclass
class Hits:
    """
    What M rays met first.

    Parameters
    ----------
    distance
        (M,) float32, m; infinite where a ray met nothing.
    position
        (M, 3) float32, in the frame of the rays.
    normal
        (M, 3) float32 unit vectors towards the origin of the ray.
    texture
        (M, 3) float32 texture coordinates.
    material, label
        (M,) uint8.
    instance
        (M,) uint16.
    color
        (M, 3) float32 linear albedo before texture; of no meaning on the ground.
    on_ground
        (M,) bool.

    """

    distance: np.ndarray
    position: np.ndarray
    normal: np.ndarray
    texture: np.ndarray
    material: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    color: np.ndarray
    on_ground: np.ndarray

    def part(self, rows: slice) -> Hits:
        """Return some rows as a view: changing it changes these."""
        fields = (f.name for f in dataclasses.fields(self))
        return Hits(*(getattr(self, name)[rows] for name in fields))


class Scene:
    """
    A mesh that rays can be cast at.

    Parameters
    ----------
    mesh
        Triangles of any material; rays pass those of NOTHING.

    """

    def __init__(self, mesh: Mesh) -> None:
        gap = mesh.material == Material.NOTHING
        self.mesh = mesh.part(~gap) if gap.any() else mesh
        self._gaps = mesh.part(gap)
        self._scene = EmbreeScene()
        if len(self.mesh):
            self._geometry = TriangleMesh(self._scene, np.ascontiguousarray(self.mesh.corners))

    @functools.cached_property
    def gaps(self) -> Scene:
        """Return what fills the gaps of the things, such as the inside of a wheel, as a scene."""
        gaps = self._gaps
        return Scene(dataclasses.replace(
            gaps, material=np.full(len(gaps), Material.PLASTIC, np.uint8)
        ))

    def nearest(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        """Return embree's primID (-1 for none), tfar, u, v and Ng of each ray's first hit."""
        if not len(self.mesh):
            return {'primID': np.full(len(origins), -1, np.int32)}
        return self._scene.run(origins, directions, output=True)

    def blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return (M,) bool, whether anything lies along each ray."""
        if not len(self.mesh):
            return np.zeros(len(origins), bool)
        return self._scene.run(origins, directions, query='OCCLUDED') == 0


def cast(
    scenes: Sequence[Scene], ground: Ground, origins: np.ndarray, directions: np.ndarray
) -> Hits:
    """
    Return the first hit of each ray on any of the scenes and the ground.

    Parameters
    ----------
    scenes
        Scenes in one frame.
    ground
        The ground in the same frame.
    origins, directions
        (M, 3) float32, m and unit vectors.

    """
    hits = cast_at_ground(ground, origins, directions)
    for scene in scenes:
        merge(hits, scene, origins, directions)
    finish(hits, origins, directions)
    return hits


def cast_at_ground(ground: Ground, origins: np.ndarray, directions: np.ndarray) -> Hits:
    """Return the hits on the ground alone, to be merged with those on scenes, then finished."""
    size = len(origins)
    distance, material, normal = ground.cast(origins, directions)
    met = np.isfinite(distance)
    material = np.where(met, material, np.uint8(Material.NOTHING))
    return Hits(
        distance, np.zeros((size, 3), np.float32), normal, np.zeros((size, 3), np.float32),
        material, np.where(met, GROUND_LABEL[material], 0).astype(np.uint8),
        np.zeros(size, np.uint16), np.ones((size, 3), np.float32), met,
    )


def finish(hits: Hits, origins: np.ndarray, directions: np.ndarray) -> None:
    """Fill in positions and turn all normals towards the rays."""
    reach = np.where(np.isfinite(hits.distance), hits.distance, 0)
    hits.position[:] = origins + reach[:, None] * directions
    hits.texture[hits.on_ground] = hits.position[hits.on_ground]
    away = np.einsum('ij,ij->i', hits.normal, directions) > 0
    hits.normal[away] *= -1


def merge(hits: Hits, scene: Scene, origins: np.ndarray, directions: np.ndarray) -> None:
    """Replace the hits that a scene has nearer."""
    found = scene.nearest(origins, directions)
    rows = np.flatnonzero(found['primID'] >= 0)
    rows = rows[found['tfar'][rows] < hits.distance[rows]] if len(rows) else rows
    if not len(rows):
        return
    triangle, mesh = found['primID'][rows], scene.mesh
    u, v = found['u'][rows, None], found['v'][rows, None]
    corners = np.take(mesh.texture, triangle, axis=0)
    hits.distance[rows] = found['tfar'][rows]
    hits.texture[rows] = (1 - u - v) * corners[:, 0] + u * corners[:, 1] + v * corners[:, 2]
    normal = found['Ng'][rows]
    hits.normal[rows] = normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)
    hits.on_ground[rows] = False
    for name in ('material', 'label', 'instance', 'color'):
        getattr(hits, name)[rows] = np.take(getattr(mesh, name), triangle, axis=0)
