"""The ground: a painted map of materials on two levels, the road and what lies at kerb height."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from .materials import GROUND_COLOUR, IS_RAISED, Material
from .streets import EXTENT, JUNCTION, Network, STEP, Street

CELL = 0.05
"""Side of a cell of the map, m."""
SIZE = round(2 * EXTENT / CELL)
_SHIFT = 4


@dataclasses.dataclass(frozen=True)
class Ground:
    """
    Materials by place, and the height of the kerbs.

    Parameters
    ----------
    surface
        (SIZE, SIZE) uint8 materials; row counts along y, column along x, from -EXTENT.
    kerb
        Height of pavements and verges over the road, m.
    colours
        (35, 3) float32 linear albedo of each material in this town.

    """

    surface: np.ndarray
    kerb: float
    colours: np.ndarray

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the materials (M,) at places in m; outside the map it is grass."""
        column = ((x + EXTENT) * np.float32(1 / CELL)).astype(np.int32)
        row = ((y + EXTENT) * np.float32(1 / CELL)).astype(np.int32)
        inside = (column >= 0) & (row >= 0) & (column < SIZE) & (row < SIZE)
        found = self.surface[np.where(inside, row, 0), np.where(inside, column, 0)]
        return np.where(inside, found, np.uint8(Material.GRASS))

    def heights(self, places: np.ndarray) -> np.ndarray:
        """Return the heights, shape (M,), of the ground at places, shape (M, 2), in m."""
        return self.kerb * IS_RAISED[self.at(places[:, 0], places[:, 1])]

    def cast(
        self, origins: np.ndarray, directions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return where rays meet the ground.

        Parameters
        ----------
        origins, directions
            (M, 3) float32, m and unit vectors.

        Returns
        -------
        distance : np.ndarray
            (M,) float32, m; infinite where a ray points up.
        material : np.ndarray
            (M,) uint8.
        normal : np.ndarray
            (M, 3) float32, up but on the face of a kerb.

        """
        down = np.minimum(directions[:, 2], -1e-6)
        rows = np.flatnonzero((directions[:, 2] <= -1e-4) & (-origins[:, 2] / down <= 400))
        distance = np.full(len(directions), np.inf, np.float32)
        material = np.zeros(len(directions), np.uint8)
        normal = np.zeros_like(directions)
        normal[:, 2] = 1
        reach, material[rows], faces = self._meet(origins[rows], directions[rows])
        distance[rows] = reach
        kerb = rows[faces]
        normal[kerb] = -directions[kerb] * np.array([1, 1, 0], np.float32)
        normal[kerb] /= np.linalg.norm(normal[kerb], axis=1, keepdims=True) + 1e-9
        return distance, material, normal

    def _meet(
        self, origins: np.ndarray, directions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return where rays that point down end, on what, and which of them at kerb faces."""
        upper = (self.kerb - origins[:, 2]) / directions[:, 2]
        lower = -origins[:, 2] / directions[:, 2]
        material = self._along(origins, directions, upper)
        distance: np.ndarray = np.where(IS_RAISED[material], upper, lower)
        sunk = np.flatnonzero(~IS_RAISED[material])
        material[sunk] = self._along(origins[sunk], directions[sunk], lower[sunk])
        face = sunk[IS_RAISED[material[sunk]]]
        distance[face] = self._kerb_face(origins[face], directions[face], upper[face], lower[face])
        material[face] = Material.KERB
        return distance, material, face

    def _along(self, origins: np.ndarray, directions: np.ndarray, t: np.ndarray) -> np.ndarray:
        return self.at(
            origins[:, 0] + t * directions[:, 0], origins[:, 1] + t * directions[:, 1]
        )

    def _kerb_face(
        self, origins: np.ndarray, directions: np.ndarray, near: np.ndarray, far: np.ndarray
    ) -> np.ndarray:
        """Return by bisection where rays that enter below kerb height first meet raised ground."""
        near, far = near.copy(), far.copy()
        for _ in range(6):
            middle = 0.5 * (near + far)
            raised = IS_RAISED[self._along(origins, directions, middle)]
            far = np.where(raised, middle, far)
            near = np.where(raised, near, middle)
        return far


def _fill(surface: np.ndarray, polygon: np.ndarray, material: int) -> None:
    pixels = (polygon[:, :2] + EXTENT) / CELL - 0.5
    cv2.fillPoly(
        surface, [np.round(pixels * 2**_SHIFT).astype(np.int32)], int(material), shift=_SHIFT
    )


def disc(surface: np.ndarray, middle: np.ndarray, radius: float, material: int) -> None:
    """Paint a disc of `radius` m about a place (2,)."""
    angle = np.arange(48) * np.pi / 24
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    _fill(surface, middle + radius * circle, material)


def strip(
    surface: np.ndarray, street: Street, near: float, far: float, material: int,
    first: float = 0.0, last: float = 0.0,
) -> None:
    """Paint the band between two offsets from the middle of a street, piece by piece."""
    a, b = street.offset(near, first, last), street.offset(far, first, last)
    for k in range(0, len(a) - 1, 12):
        _fill(surface, np.concatenate([a[k:k + 13], b[k:k + 13][::-1]]), material)


def make_ground(network: Network, rng: np.random.Generator) -> Ground:
    """Paint the map of a town: plots, pavements, roads, then markings."""
    surface = np.full((SIZE, SIZE), Material.GRASS, np.uint8)
    _plots(surface, network, rng)
    for street in network.streets:
        _pavements(surface, street, rng)
    for middle in network.junctions:
        disc(surface, middle, 10.5, Material.PAVING)
    for street in network.streets:
        strip(surface, street, -street.lane, street.lane, Material.ASPHALT)
    for middle in network.junctions:
        disc(surface, middle, 6.8, Material.ASPHALT)
    for street in network.streets:
        _road(surface, street, rng)
        _markings(surface, street, rng)
    tint = rng.uniform(0.92, 1.08, GROUND_COLOUR.shape)
    tone = rng.uniform(0.72, 1.25, (len(Material), 1))
    colours = (GROUND_COLOUR * (tint * tone)).astype(np.float32)
    return Ground(surface, float(rng.uniform(0.05, 0.13)), colours)


def _plots(surface: np.ndarray, network: Network, rng: np.random.Generator) -> None:
    """Vary what lies between the streets: lawns, bare earth, gravel and paved yards."""
    yards = (Material.DIRT, Material.GRAVEL, Material.SLABS, Material.GRASS)
    for _ in range(90):
        middle = rng.uniform(-EXTENT, EXTENT, 2)
        angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
        reach = rng.uniform(3, 12) * rng.uniform(0.6, 1.2, 9)
        shape = middle + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        _fill(surface, shape, rng.choice(yards, p=(0.35, 0.3, 0.2, 0.15)))


def _pavements(surface: np.ndarray, street: Street, rng: np.random.Generator) -> None:
    slabs = Material.PAVING if rng.random() < 0.6 else Material.SLABS
    for side, sign in (('left', 1), ('right', -1)):
        border = getattr(street, side)
        kerb, walk = street.edge(side), street.edge(side) + 0.15 + border.verge
        if border.frontage == 'row':
            strip(surface, street, sign * walk, sign * (walk + border.sidewalk + 3), slabs)
        strip(surface, street, sign * kerb, sign * (kerb + 0.15), Material.KERB)
        strip(surface, street, sign * walk, sign * (walk + border.sidewalk), slabs)
        if border.frontage == 'gardens':
            strip(surface, street, sign * (walk + border.sidewalk),
                  sign * (walk + border.sidewalk + 0.4), Material.DIRT)


def _road(surface: np.ndarray, street: Street, rng: np.random.Generator) -> None:
    """Paint parking bays, patches of newer asphalt and manholes."""
    ends = (JUNCTION + 2, JUNCTION + 2 if street.end >= 0 else 0)
    for side, sign in (('left', 1), ('right', -1)):
        if getattr(street, side).parking:
            material = Material.COBBLES if rng.random() < 0.5 else Material.ASPHALT
            strip(surface, street, sign * street.lane, sign * street.edge(side), material, *ends)
    room = street.length - 2 * JUNCTION
    for _ in range(rng.integers(2, 6)):
        first = JUNCTION + rng.uniform(0, room - 8)
        last = street.length - first - rng.uniform(2, 8)
        d = rng.uniform(-street.lane, street.lane - 1.5)
        strip(surface, street, d, d + rng.uniform(0.6, 1.8), Material.PATCH, first, last)
    for k in rng.integers(len(street.line), size=5):
        spot = street.line[k, :2] + rng.uniform(-2, 2, 2)
        disc(surface, spot, 0.33, Material.MANHOLE)


def _markings(surface: np.ndarray, street: Street, rng: np.random.Generator) -> None:
    """Paint the middle line, edge lines, bay lines, zebra crossings and stop lines."""
    if rng.random() < 0.8:
        solid = rng.random() < 0.25
        period, dash = (6.0, 6.0) if solid else (7.0, 3.5)
        for first in np.arange(JUNCTION + 4, street.length - JUNCTION - 7, period).tolist():
            last = street.length - first - dash
            strip(surface, street, -0.07, 0.07, Material.MARKING, first, last)
    for side, sign in (('left', 1), ('right', -1)):
        if getattr(street, side).parking:
            for first in np.arange(JUNCTION + 2, street.length - JUNCTION - 2, 5.5).tolist():
                last = street.length - first - STEP
                _bar(surface, street, first, sign * street.lane, sign * street.edge(side))
                strip(surface, street, sign * (street.lane - 0.05), sign * (street.lane + 0.05),
                      Material.MARKING, first, last - 1)
    entries = ((JUNCTION - 1.5, True), (street.length - JUNCTION - 1.5, street.end >= 0))
    for first, crossed in entries:
        if crossed and rng.random() < 0.6:
            for d in np.arange(-street.lane + 0.3, street.lane - 0.3, 1.0).tolist():
                strip(surface, street, d, d + 0.5, Material.MARKING, first,
                      street.length - first - 3)
        elif crossed:
            strip(surface, street, -street.lane + 0.2, street.lane - 0.2, Material.MARKING,
                  first + 1.0, street.length - first - 1.5)


def _bar(surface: np.ndarray, street: Street, at: float, near: float, far: float) -> None:
    """Paint a thin line across a street."""
    a, b = (street.offset(d, at)[0] for d in (near, far))
    ahead = 0.05 * np.array([np.cos(a[2]), np.sin(a[2])])
    _fill(surface, np.stack([a[:2] - ahead, b[:2] - ahead, b[:2] + ahead, a[:2] + ahead]),
          Material.MARKING)
