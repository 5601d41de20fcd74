"""Colours of tracks, depths and classes, RGB 0 to 255."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from ..labels import PALETTE

_GOLDEN = 0.6180339887498949
_NEAREST, _FARTHEST = 3.0, 60.0
"""Depths beyond these have the colours of these, m."""
_SAMPLE = 5000
_COUNT = 233
"""How many colours there are before they repeat: a Fibonacci number, so the circle closes."""


def _track_color(number: int) -> tuple[float, float, float]:
    """
    Return the colour of the `number`th track: the golden angle keeps neighbours far apart.

    Red to violet only in hue would repeat after a dozen; lightness and saturation go round too.
    """
    lightness = (0.60, 0.75, 0.45)[number % 3]
    saturation = (1.0, 0.75)[number // 3 % 2]
    return colorsys.hls_to_rgb(number * _GOLDEN % 1.0, lightness, saturation)


TRACK_COLORS = np.round([
    (0.0, 0.0, 0.0), *(tuple(255 * c for c in _track_color(n)) for n in range(1, _COUNT + 1)),
    *[(0.0, 0.0, 0.0)] * (255 - _COUNT),
]).astype(np.uint8)
"""(256, 3) uint8: colour by track number, 1 to 233; 0, no track, is black."""

CLASS_COLORS = np.round(255 * (PALETTE / 255.0) ** 0.7).astype(np.uint8)
"""(17, 3) uint8: the palette, brightened for dark backgrounds."""

_NUMBERS = np.append(0, np.arange(65535) % _COUNT + 1).astype(np.uint8)


def track_number(track_id: np.ndarray) -> np.ndarray:
    """Return the row (uint8) of `TRACK_COLORS` of uint16 track ids: 0 for 0, else 1 to 233."""
    return _NUMBERS[track_id]


def depth_colors(depth: np.ndarray) -> np.ndarray:
    """Return colours (M, 3) uint8 of depths (M,), m: red is near, blue far, on a log scale."""
    share = np.log(np.clip(depth, _NEAREST, _FARTHEST) / _NEAREST) / np.log(_FARTHEST / _NEAREST)
    level = np.round(255 * (1 - share)).astype(np.uint8)
    return cv2.applyColorMap(level[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1]


def feature_colors(features: np.ndarray) -> np.ndarray:
    """Return colours (N, 3) uint8 of features (N, D): their three principal components."""
    values = np.asarray(features, np.float32)
    if not len(values):
        return np.zeros((0, 3), np.uint8)
    values = np.pad(values, ((0, 0), (0, max(0, 3 - values.shape[1]))))
    values = values - values.mean(0)
    some = values[::max(1, len(values) // _SAMPLE)].astype(np.float64)
    axes = np.linalg.eigh(some.T @ some)[1][:, :-4:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(3)])  # else either way round
    main = values @ axes.astype(np.float32)
    low, high = np.percentile(main, (2, 98), axis=0)
    share = np.clip((main - low) / np.maximum(high - low, 1e-6), 0, 1)
    return np.round(40 + 215 * share).astype(np.uint8)
