"""What was found, drawn on the camera's picture."""

from __future__ import annotations

import cv2
import numpy as np

from .colors import CLASS_COLORS, depth_colors, TRACK_COLORS, track_number
from .points import draw_points
from .text import as_color, text_width, write_tag
from ..geometry.pairing import Pairing
from ..labels import ALL_CLASSES
from ..records import Tracks

OPACITY = 0.45
NARROW = 30
"""Masks narrower than this and than their tag show their id alone, pixels."""


def draw_overlay(
    rgb: np.ndarray,
    tracks: Tracks | None = None,
    pairing: Pairing | None = None,
    label: np.ndarray | None = None,
    zoom: int = 1,
    colors: np.ndarray | None = None,
) -> np.ndarray:
    """
    Draw tracked masks, their ids and classes, and the points of a cloud on a copy of a picture.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    tracks
        Masks; a track keeps its colour as long as it keeps its id.
    pairing
        Points that the picture shows.
    label
        (N,) class ids of the whole cloud: points have their class's colour. Without it they
        have their depth's: red near, blue far.
    zoom
        How much larger than the picture the drawing is, so that text on a small one can be read.
    colors
        (N, 3) uint8 of the points of the whole cloud, instead.

    Returns
    -------
    np.ndarray
        (zoom H, zoom W, 3) uint8.

    """
    size = (rgb.shape[1] * zoom, rgb.shape[0] * zoom)
    drawn = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC) if zoom > 1 else rgb.copy()
    if tracks is not None:
        number = track_number(tracks.id_map)
        if zoom > 1:
            number = cv2.resize(number, size, interpolation=cv2.INTER_NEAREST)
        drawn = _tint(drawn, number)
    if pairing is not None:
        if colors is not None:
            own = colors[pairing.index]
        else:
            own = depth_colors(pairing.depth) if label is None else (
                CLASS_COLORS[label[pairing.index]])
        order = np.argsort(-pairing.depth)
        draw_points(drawn, (pairing.pixels[order] + 0.5) * zoom - 0.5, own[order])
    if tracks is not None:
        _tag(drawn, tracks, zoom)
    return drawn


def _tint(rgb: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the picture with its masks filled and outlined; `number` is (H, W) uint8."""
    color = cv2.applyColorMap(number, TRACK_COLORS[:, None])
    filled = cv2.addWeighted(rgb, 1 - OPACITY, color, OPACITY, 0)
    tinted = cv2.copyTo(filled, number, rgb)
    kernel = np.ones((3, 3), np.uint8)
    edge = cv2.compare(cv2.erode(number, kernel), cv2.dilate(number, kernel), cv2.CMP_NE)
    return cv2.copyTo(color, cv2.bitwise_and(edge, number), tinted)


def _tag(rgb: np.ndarray, tracks: Tracks, zoom: int) -> None:
    """Write id and class over each mask that can be seen, over narrow ones the id alone."""
    numbers = track_number(tracks.track_id)
    extent = tracks.box[:, 2:] - tracks.box[:, :2]
    for track in np.argsort(extent.prod(1)):
        if (extent[track] <= 0).any():
            continue
        left, top = (zoom * float(edge) for edge in tracks.box[track, :2])
        text, name = str(tracks.track_id[track]), ALL_CLASSES[tracks.class_id[track]].name
        if text_width(f'{text} {name}') <= zoom * max(extent[track, 0], NARROW):
            text = f'{text} {name}'
        write_tag(rgb, text, left, top - 1, as_color(TRACK_COLORS[numbers[track]]))
