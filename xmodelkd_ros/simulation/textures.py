"""Procedural detail by place: grain, joints, bricks, windows, and the faces of signs."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from .casting import Hits
from .ground import Ground
from .materials import GRAIN, GRAIN_SCALE, Material

_TILE = 512
_M = Material


@functools.cache
def _noise() -> tuple[np.ndarray, np.ndarray]:
    """Return (512, 512) float32 tiles in -1..1: clouds of several octaves, and white noise."""
    rng = np.random.default_rng(7)
    clouds = np.zeros((_TILE, _TILE), np.float32)
    for octave in range(2, 9):
        size = 2**octave
        coarse = rng.uniform(-1, 1, (size, size)).astype(np.float32)
        wrapped = np.pad(coarse, 2, mode='wrap')
        scale = _TILE // size
        fine = cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        clouds += fine[2 * scale: 2 * scale + _TILE, 2 * scale: 2 * scale + _TILE] * 0.62**octave
    return clouds / np.abs(clouds).max(), rng.uniform(-1, 1, (_TILE, _TILE)).astype(np.float32)


def clouds(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return smooth noise (M,) in -1..1; features are about 1 down to 1/64 of 128 units."""
    return _noise()[0][y.astype(np.int32) % _TILE, x.astype(np.int32) % _TILE]


def white(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return noise (M,) in -1..1 that is constant within unit cells."""
    return _noise()[1][
        np.floor(y).astype(np.int32) % _TILE, np.floor(x).astype(np.int32) % _TILE
    ]


def _plane(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
    """Return two coordinates (M,) along each surface, m."""
    x, y, z = hits.texture.T
    return x + np.float32(0.73) * z, y + np.float32(0.91) * z


def add_detail(hits: Hits, ground: Ground, lit_windows: float = 0.0) -> None:
    """
    Put colours on the ground and windows into facades, in place, before `albedo`.

    Parameters
    ----------
    hits
        Finished hits; their materials and colours change.
    ground
        The ground, for its colours.
    lit_windows
        Share of windows with the light on.

    """
    rows = np.flatnonzero(hits.on_ground)
    hits.color[rows] = ground.colours[hits.material[rows]]
    rows = np.flatnonzero((hits.material == _M.FACADE) | (hits.material == _M.BRICK_FACADE))
    if len(rows):
        _open_windows(hits, rows, lit_windows)
    rows = np.flatnonzero(hits.material == _M.SIGN)
    if len(rows):
        hits.color[rows] = _sign_faces(hits.texture[rows])


def _open_windows(hits: Hits, rows: np.ndarray, lit_windows: float) -> None:
    across, up, seed = hits.texture[rows].T
    brick = hits.material[rows] == _M.BRICK_FACADE
    u, v = across - np.floor(across), up - np.floor(up)
    style = np.floor(seed)
    half = 0.20 + 0.10 * (style % 4) / 3
    sill, head = 0.26 + 0.06 * (style % 3) / 2, 0.80 + 0.04 * (style % 2)
    shop = (up < 1) & (style % 5 < 2)
    door = (up < 1) & ~shop & (white(across + style, style) > 0.55)
    half, sill = np.where(shop, 0.44, np.where(door, 0.2, half)), np.where(shop, 0.12, sill)
    sill = np.where(door, -0.1, sill)
    aside = np.abs(u - 0.5)
    frame = (aside < half + 0.05) & (v > sill - 0.05) & (v < head + 0.04)
    pane = (aside < half) & (v > sill) & (v < head)
    bar = (aside < 0.018) | (np.abs(v - 0.62) < 0.012)
    pane &= ~bar | shop
    chance = white(across + 31 * style, up + 17 * style)
    colour = np.where(chance[:, None] > 0.6, (0.30, 0.28, 0.25), (0.05, 0.06, 0.075))
    trim = np.where((style % 3 == 0)[:, None], (0.62, 0.6, 0.56), 0.55 * hits.color[rows])
    hits.color[rows] = np.where(frame[:, None], trim, hits.color[rows])
    hits.material[rows] = np.where(brick & ~frame, _M.BRICK, _M.PLASTER)
    hits.texture[rows] = np.stack([2.7 * across, style, 3.1 * up], axis=1)
    wood = pane & door
    hits.color[rows[wood]] = (0.16, 0.09, 0.05)
    glass = pane & ~door
    hits.material[rows[glass]] = _M.GLASS
    hits.color[rows[glass]] = colour[glass]
    lit = glass & (0.5 + 0.5 * white(across + 7 * style, up + 29 * style) < lit_windows)
    hits.material[rows[lit]] = _M.LAMP
    hits.color[rows[lit]] = (0.55, 0.40, 0.20)


_WHITE, _RED, _BLUE = (0.8, 0.8, 0.8), (0.60, 0.02, 0.03), (0.02, 0.08, 0.45)
_BLACK, _YELLOW = (0.02, 0.02, 0.02), (0.75, 0.52, 0.02)


def _sign_faces(texture: np.ndarray) -> np.ndarray:
    """Return (M, 3) colours of sign faces from (M, 3) across and up in -1..1 and style."""
    x, y, style = texture.T
    style, reach = np.floor(style), np.hypot(x, y)
    symbol = ((np.abs(x) < 0.14) & (np.abs(y) < 0.45)) | ((np.abs(y) < 0.14) & (np.abs(x) < 0.35))
    lines = (np.abs(np.mod(6 * y, 1.0) - 0.5) < 0.22) & (np.abs(x) < 0.8)
    text = lines & (white(14 * x, 6 * y) > -0.6)
    rim = np.minimum(y + 0.5, 1 - y - 1.73 * np.abs(x)) < 0.16
    looks = (
        (style == 0, reach > 0.74, _RED, symbol, _BLACK, _WHITE),
        (style == 1, rim, _RED, symbol & (np.abs(x) < 0.14), _BLACK, _WHITE),
        (style == 2, np.maximum(np.abs(x), np.abs(y)) > 0.9, _WHITE, symbol, _WHITE, _BLUE),
        (style == 3, reach > 5, _WHITE, text, _WHITE, _BLUE),
        (style == 4, reach > 0.98, _WHITE, (np.abs(y) < 0.2) & (np.abs(x) < 0.75), _WHITE, _RED),
        (style == 5, np.abs(x) + np.abs(y) > 0.78, _WHITE, reach > 5, _WHITE, _YELLOW),
    )
    colour: np.ndarray = np.zeros((len(x), 3), np.float32)
    for chosen, border, border_colour, mark, mark_colour, field in looks:
        inner = np.where(mark[:, None], mark_colour, field)
        face = np.where(border[:, None], border_colour, inner)
        colour = np.where(chosen[:, None], face, colour)
    return colour.astype(np.float32)


def albedo(hits: Hits) -> np.ndarray:
    """Return (M, 3) float32 linear albedo with grain and joints, which fade with distance."""
    a, b = _plane(hits)
    scale = 8 * GRAIN_SCALE[hits.material]
    fade = np.minimum(np.float32(1), 14 / np.maximum(hits.distance, 1))
    grain = 0.75 * clouds(a * scale, b * scale) + 0.25 * white(a * scale, b * scale)
    blotch = clouds(a * 24, b * 24)
    tone = 1 + 1.3 * GRAIN[hits.material] * (fade * grain + 0.6 * blotch)
    tone = tone * _joints(hits, a, b, fade)
    return hits.color * np.maximum(tone, 0.05)[:, None]


def _joints(hits: Hits, a: np.ndarray, b: np.ndarray, fade: np.ndarray) -> np.ndarray:
    """Return (M,) tone of slabs, cobbles, bricks, tiles and planks against their joints."""
    tone = np.ones(len(a), np.float32)
    up = hits.texture[:, 2]
    for material, (wide, high, gap, vary) in (
        (_M.PAVING, (0.5, 0.5, 0.05, 0.10)), (_M.SLABS, (0.9, 0.6, 0.03, 0.10)),
        (_M.COBBLES, (0.16, 0.16, 0.16, 0.35)), (_M.KERB, (1.0, 1.0, 0.02, 0.08)),
    ):
        rows = np.flatnonzero(hits.material == material)
        tone[rows] = _cells(a[rows] / wide, b[rows] / high, gap, vary, fade[rows])
    courses = ((_M.BRICK, 0.30, 0.11), (_M.ROOF, 0.35, 0.30), (_M.WOOD, 0.14, 9.0))
    for material, wide, high in courses:
        rows = np.flatnonzero(hits.material == material)
        course = up[rows] / high
        flat = hits.texture[rows, 0] + hits.texture[rows, 1]
        along = flat + 0.5 * wide * (np.floor(course) % 2)
        tone[rows] = _cells(along / wide, course, 0.10, 0.25, fade[rows])
    return tone


def _cells(
    u: np.ndarray, v: np.ndarray, gap: float, vary: float, fade: np.ndarray
) -> np.ndarray:
    joint = (u - np.floor(u) < gap) | (v - np.floor(v) < gap)
    return 1 + fade * (vary * white(u, v) - 0.40 * joint)
