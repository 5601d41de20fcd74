"""Text on pictures: tags and legends."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .colors import CLASS_COLORS
from ..labels import SemanticClass

FONT = cv2.FONT_HERSHEY_SIMPLEX
TAG_SIZE = 0.4
Color = tuple[int, int, int]


def as_color(color: np.ndarray) -> Color:
    """Return a colour (3,) as the plain integers that OpenCV asks for."""
    red, green, blue = color.tolist()
    return red, green, blue


def write(
    rgb: np.ndarray, text: str, left: float, baseline: float, color: Color = (235, 235, 235),
    size: float = 0.45,
) -> None:
    """Write text on a picture (H, W, 3), in place, with its baseline at the given pixel."""
    place = (round(left), round(baseline))
    cv2.putText(rgb, text, place, FONT, size, color, 1, cv2.LINE_AA)


def text_width(text: str, size: float = TAG_SIZE) -> int:
    """Return how wide a text is, pixels."""
    return cv2.getTextSize(text, FONT, size, 1)[0][0]


def write_tag(rgb: np.ndarray, text: str, left: float, bottom: float, color: Color) -> None:
    """Write text on a filled label, in place, kept inside the picture."""
    (width, height), base = cv2.getTextSize(text, FONT, TAG_SIZE, 1)
    column = min(max(round(left), 0), max(rgb.shape[1] - width - 4, 0))
    row = min(max(round(bottom), height + base + 2), rgb.shape[0] - 1)
    top_left = (column, row - height - base - 1)
    cv2.rectangle(rgb, top_left, (column + width + 3, row), color, cv2.FILLED)
    luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    ink = (0, 0, 0) if luminance > 120 else (255, 255, 255)
    write(rgb, text, column + 2, row - base, ink, TAG_SIZE)


def legend(classes: Sequence[SemanticClass], width: int) -> np.ndarray:
    """
    Return a strip (h, width, 3) uint8 with the colour and name of each class.

    Parameters
    ----------
    classes
        What to show, in order; as many rows as they need.
    width
        Pixels.

    """
    row_height, swatch, size = 20, 12, 0.42
    places: list[tuple[int, int]] = []
    left, row = 8, 0
    for semantic_class in classes:
        extent = swatch + 20 + text_width(semantic_class.name, size)
        if left + extent > width and left > 8:
            left, row = 8, row + 1
        places.append((left, row))
        left += extent
    strip = np.full(((row + 1) * row_height + 6, width, 3), 24, np.uint8)
    for semantic_class, (left, row) in zip(classes, places, strict=True):
        top = 3 + row * row_height + (row_height - swatch) // 2
        color = as_color(CLASS_COLORS[semantic_class.id])
        corner = (left + swatch, top + swatch)
        cv2.rectangle(strip, (left, top), corner, color, cv2.FILLED)
        write(strip, semantic_class.name, left + swatch + 6, top + swatch - 1, size=size)
    return strip
