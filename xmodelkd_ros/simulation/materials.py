"""What surfaces are made of: how each material meets a laser and how its grain looks."""

from __future__ import annotations

import enum

import numpy as np

from ..labels import ID_BY_NAME


class Material(enum.IntEnum):
    """Materials by the value that meshes and ground maps hold."""

    NOTHING = 0
    GRASS = 1
    DIRT = 2
    ASPHALT = 3
    PATCH = 4
    MARKING = 5
    PAVING = 6
    KERB = 7
    COBBLES = 8
    GRAVEL = 9
    MANHOLE = 10
    SLABS = 11
    PLASTER = 12
    BRICK = 13
    FACADE = 14
    BRICK_FACADE = 15
    ROOF = 16
    CONCRETE = 17
    WOOD = 18
    LEAVES = 19
    BARK = 20
    METAL = 21
    PAINT = 22
    GLASS = 23
    RUBBER = 24
    PLASTIC = 25
    HEADLIGHT = 26
    TAILLIGHT = 27
    PLATE = 28
    SIGN = 29
    LAMP = 30
    SKIN = 31
    CLOTH = 32
    SIGNAL = 33
    CANVAS = 34


_M = Material
# reflectivity to 905 nm, its spread, grain amplitude, grain per metre, gloss
_PROPERTIES = {
    _M.NOTHING: (0.0, 0.0, 0.0, 1, 0.0),
    _M.GRASS: (0.44, 0.16, 0.55, 9, 0.0),
    _M.DIRT: (0.33, 0.10, 0.35, 4, 0.0),
    _M.ASPHALT: (0.25, 0.10, 0.22, 14, 0.02),
    _M.PATCH: (0.18, 0.07, 0.20, 14, 0.02),
    _M.MARKING: (0.75, 0.20, 0.18, 6, 0.0),
    _M.PAVING: (0.34, 0.10, 0.16, 5, 0.0),
    _M.KERB: (0.38, 0.10, 0.15, 5, 0.0),
    _M.COBBLES: (0.30, 0.12, 0.30, 4, 0.0),
    _M.GRAVEL: (0.36, 0.13, 0.45, 12, 0.0),
    _M.MANHOLE: (0.12, 0.06, 0.20, 12, 0.05),
    _M.SLABS: (0.38, 0.10, 0.12, 3, 0.0),
    _M.PLASTER: (0.40, 0.05, 0.10, 0.7, 0.0),
    _M.BRICK: (0.28, 0.07, 0.22, 3, 0.0),
    _M.FACADE: (0.40, 0.05, 0.10, 0.7, 0.0),
    _M.BRICK_FACADE: (0.28, 0.07, 0.22, 3, 0.0),
    _M.ROOF: (0.22, 0.06, 0.25, 2, 0.0),
    _M.CONCRETE: (0.36, 0.05, 0.14, 1.3, 0.0),
    _M.WOOD: (0.33, 0.08, 0.30, 3, 0.0),
    _M.LEAVES: (0.45, 0.16, 0.60, 3, 0.0),
    _M.BARK: (0.25, 0.08, 0.40, 6, 0.0),
    _M.METAL: (0.30, 0.10, 0.08, 2, 0.15),
    _M.PAINT: (0.35, 0.15, 0.03, 1, 0.22),
    _M.GLASS: (0.05, 0.05, 0.02, 1, 0.75),
    _M.RUBBER: (0.05, 0.02, 0.15, 9, 0.02),
    _M.PLASTIC: (0.12, 0.05, 0.06, 3, 0.05),
    _M.HEADLIGHT: (0.70, 0.20, 0.05, 3, 0.40),
    _M.TAILLIGHT: (0.85, 0.15, 0.05, 3, 0.20),
    _M.PLATE: (1.00, 0.05, 0.10, 9, 0.05),
    _M.SIGN: (1.00, 0.05, 0.03, 1, 0.05),
    _M.LAMP: (0.30, 0.10, 0.02, 1, 0.30),
    _M.SKIN: (0.40, 0.05, 0.05, 3, 0.03),
    _M.CLOTH: (0.38, 0.18, 0.18, 5, 0.0),
    _M.SIGNAL: (0.30, 0.10, 0.02, 1, 0.20),
    _M.CANVAS: (0.45, 0.08, 0.12, 1, 0.03),
}
_TABLE = np.array([_PROPERTIES[m] for m in Material], np.float32)

REFLECTIVITY, SPREAD, GRAIN, GRAIN_SCALE, GLOSS = _TABLE.T.copy()
"""(35,) float32 each, by material."""

RETROREFLECTIVE = np.isin(np.arange(len(Material)), (_M.SIGN, _M.PLATE, _M.TAILLIGHT))
"""(35,) bool: whether a material sends light back to where it came from."""

ROAD_SURFACES = (_M.ASPHALT, _M.PATCH, _M.MARKING, _M.MANHOLE, _M.COBBLES)
SIDEWALK_SURFACES = (_M.PAVING, _M.SLABS, _M.KERB)

GROUND_LABEL = np.full(len(Material), ID_BY_NAME['terrain'], np.uint8)
"""(35,) uint8: class id of the ground by its material."""
GROUND_LABEL[list(ROAD_SURFACES)] = ID_BY_NAME['road']
GROUND_LABEL[list(SIDEWALK_SURFACES)] = ID_BY_NAME['sidewalk']

IS_RAISED: np.ndarray = ~np.isin(np.arange(len(Material)), ROAD_SURFACES)
"""(35,) bool: whether the ground of a material lies at kerb height."""

_GROUND_COLOURS = {
    _M.GRASS: (0.10, 0.17, 0.04), _M.DIRT: (0.20, 0.14, 0.09), _M.ASPHALT: (0.13, 0.13, 0.135),
    _M.PATCH: (0.075, 0.075, 0.08), _M.MARKING: (0.62, 0.62, 0.60), _M.PAVING: (0.30, 0.28, 0.26),
    _M.KERB: (0.40, 0.39, 0.37), _M.COBBLES: (0.17, 0.155, 0.15), _M.GRAVEL: (0.33, 0.30, 0.25),
    _M.MANHOLE: (0.07, 0.065, 0.06), _M.SLABS: (0.36, 0.33, 0.29),
}
GROUND_COLOUR = np.zeros((len(Material), 3), np.float32)
"""(35, 3) float32 linear RGB: usual albedo of the ground by material."""
for _material, _colour in _GROUND_COLOURS.items():
    GROUND_COLOUR[_material] = _colour
