"""
From points to pixels: things of a sweep as instance masks of a picture.

Our reconstruction. Every point that the picture shows, of a thing or not, is a seed of its own
value. Between the seeds a watershed on the picture's edges (Meyer, 1992) decides, no farther from
a seed than the beams are apart; panes and other gaps that a mask encloses are its own.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from ...config import setting
from ...geometry.cameras import Camera
from ...geometry.pairing import Pairing


@dataclasses.dataclass(frozen=True)
class ThingMaskConfig:
    """How points become masks."""

    reach: float = setting(
        0.5, 'how far from a point a mask may go, a little over the spacing of the beams',
        unit='deg', low=0.01, high=10.0)
    closing: float = setting(
        0.6, 'gaps between points of one thing up to this are closed, as panes', unit='m',
        low=0.0, high=5.0)
    extension: float = setting(
        1.0, 'how far an image teacher may enlarge a mask where there are no points', unit='deg',
        low=0.0, high=180.0)


def grow_seeds(
    rgb: np.ndarray, pairing: Pairing, value: np.ndarray, camera: Camera, config: ThingMaskConfig
) -> np.ndarray:
    """
    Return the value of each pixel from the values of points.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    pairing
        The points that the picture shows.
    value
        (M,) int64 value of each of them, 0 and up.
    camera
        Camera model of the picture.
    config
        How far values reach.

    Returns
    -------
    np.ndarray
        (H, W) int32, -1 where no point is near.

    """
    row, column = np.floor(pairing.pixels[:, ::-1].T + 0.5).astype(np.int64)
    order = np.argsort(-pairing.depth, kind='stable')
    seed = np.full(rgb.shape[:2], -1, np.int32)
    seed[row[order], column[order]] = value[order]
    grown, away = nearest_value(seed)
    parted = cv2.watershed(rgb, seed + 1) - 1
    grown = np.where(parted >= 0, parted, grown)
    return np.where(away <= angle_in_pixels(config.reach, camera), grown, -1)


def nearest_value(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return for each pixel the value of the nearest pixel that has one, and how far that is.

    Parameters
    ----------
    value
        (H, W) int32, -1 none.

    Returns
    -------
    nearest : np.ndarray
        (H, W) int32, -1 where no pixel has a value.
    away : np.ndarray
        (H, W) float32, pixels.

    """
    known = value >= 0
    if not known.any():
        return value, np.full(value.shape, np.inf, np.float32)
    away, number = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_number = np.zeros(int(number.max()) + 1, np.int32)
    of_number[number[known]] = value[known]
    return of_number[number], away


def close_gaps(
    thing: np.ndarray, depth: np.ndarray, camera: Camera, config: ThingMaskConfig
) -> np.ndarray:
    """
    Make masks whole: gaps are closed and holes filled, but where a nearer thing is.

    Parameters
    ----------
    thing
        (H, W) int32 thing of each pixel, -1 none.
    depth
        (K,) float32 depth of each thing, m.
    camera
        Camera model of the picture.
    config
        Which gaps are closed.

    Returns
    -------
    np.ndarray
        (H, W) int32: each thing in one piece.

    """
    whole = np.full_like(thing, -1)
    present = np.unique(thing[thing >= 0])
    for one in present[np.argsort(-depth[present], kind='stable')]:
        angle = np.degrees(np.arctan2(config.closing, depth[one]))
        width = 1 + 2 * round(angle_in_pixels(max(angle, 2 * config.reach), camera) / 2)
        region = _around(thing == one, width)
        mask = np.pad((thing[region] == one).astype(np.uint8), width)
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((width, width), np.uint8))
        inner = closed[width:-width, width:-width]
        whole[region][_solid(inner) > 0] = one
    return whole


def largest_parts(thing: np.ndarray) -> np.ndarray:
    """Return masks (H, W) int32, -1 none, of which only the largest connected part is left."""
    kept = np.full_like(thing, -1)
    for one in np.unique(thing[thing >= 0]):
        region = _around(thing == one, 0)
        mask = thing[region] == one
        kept[region][(_solid(mask.astype(np.uint8)) > 0) & mask] = one
    return kept


def angle_in_pixels(angle: float, camera: Camera) -> float:
    """Return how many pixels in the middle of the picture an angle, deg, takes."""
    return float(camera.matrix[0, 0] * np.radians(angle))


def _around(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns of a mask with a margin."""
    ranges = []
    for covered in (mask.any(1), mask.any(0)):
        places = np.flatnonzero(covered)
        ranges.append(slice(max(int(places[0]) - margin, 0), int(places[-1]) + margin + 1))
    return ranges[0], ranges[1]


def _solid(mask: np.ndarray) -> np.ndarray:
    """Return the largest part of a mask (H, W) uint8, with its holes filled."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outlines, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(mask), [largest], 0, 1, cv2.FILLED)
