"""Labels of a picture from the things of its sweep, as the training on videos reads them."""

from __future__ import annotations

import numpy as np

from .grouping import Things
from .masks import (
    angle_in_pixels,
    close_gaps,
    grow_seeds,
    largest_parts,
    nearest_value,
    ThingMaskConfig,
)
from ...geometry.projection import project_points
from ...geometry.transforms import transform_points
from ...inference.painting import SUITS
from ...labels import IS_THING
from ...records import View

TALLEST = 4.0
"""How high above its lowest point a thing that is cut off by the highest beam may go, m."""


def label_picture(
    view: View,
    points: np.ndarray,
    label: np.ndarray,
    things: Things,
    track_id: np.ndarray,
    class_id: np.ndarray,
    config: ThingMaskConfig = ThingMaskConfig(),  # noqa: B008
    seen: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return what a picture shows, by the things of its sweep.

    Parameters
    ----------
    view
        The picture, and where it is seen from the sweep.
    points, label
        (N, 3) float32, m, and (N,) class ids of the sweep.
    things
        Of the sweep.
    track_id
        (K,) uint16 id of each thing; 0 for those that are not to be learned from.
    class_id
        (K,) class of each thing.
    config
        How points become masks.
    seen
        (H, W) class of each pixel as an image teacher sees it, 0 unknown; None without a teacher.

    Returns
    -------
    label : np.ndarray
        (H, W) uint8 class ids, 0 unknown.
    instance : np.ndarray
        (H, W) uint16 track ids. A pixel of a thing class without one is of a thing that was seen
        but not masked well enough: neither an example nor background.

    """
    thing, background = _masks(view, points, label, things, config)
    trusted, above = track_id > 0, np.full(thing.shape, -1)
    if seen is None:
        trusted, above = trusted & ~things.cut, _above(view, things, thing)
    else:
        limit = np.where(things.cut, np.inf, angle_in_pixels(config.extension, view.camera))
        thing, trusted = _agree(thing, seen, class_id, trusted)
        fits = np.where(background == 0, seen, 0)  # where no point tells
        thing, background = _extend(thing, fits, class_id, limit), seen
    identity = np.append(np.where(trusted, track_id, 0), 0).astype(np.uint16)
    covered = np.where(thing >= 0, thing, above)
    classes = np.append(class_id, 0)[covered]
    return np.where(covered >= 0, classes, background).astype(np.uint8), identity[thing]


def _masks(
    view: View, points: np.ndarray, label: np.ndarray, things: Things, config: ThingMaskConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return the thing of each pixel, -1 none, and the class of what is behind, 0 unknown."""
    pairing = project_points(points, view.camera_from_lidar, view.camera)
    count = len(things)
    value = count + label.astype(np.int32)
    value[things.index] = things.thing
    value = value[pairing.index]
    grown = grow_seeds(view.picture.rgb, pairing, value, view.camera, config)
    depth = np.full(count, np.inf)
    np.minimum.at(depth, value[value < count], pairing.depth[value < count])
    thing = close_gaps(np.where(grown < count, grown, -1), depth, view.camera, config)
    return thing, np.where(grown >= count, grown - count, 0)


def _above(view: View, things: Things, thing: np.ndarray) -> np.ndarray:
    """Return (H, W) int: where a thing that is cut off by the highest beam may go on, else -1."""
    above = np.full(thing.shape, -1)
    for one in np.flatnonzero(things.cut):
        rows, columns = np.nonzero(thing == one)
        if not len(rows):
            continue
        middle = 0.5 * (things.low[one] + things.high[one])
        middle[2] = things.low[one][2] + TALLEST
        pixel, in_front = view.camera.project(
            transform_points(view.camera_from_lidar, middle[None]))
        top = max(int(pixel[0, 1]), 0) if in_front[0] else 0
        above[top:rows.max() + 1, columns.min():columns.max() + 1] = one
    return above


def _agree(
    thing: np.ndarray, seen: np.ndarray, class_id: np.ndarray, trusted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the masks without what an image teacher takes for something else.

    Masks that keep less than half are not trusted and lose it all.
    """
    alike = (thing >= 0) & SUITS[np.append(class_id, 0)[thing], seen]
    had, kept = (np.bincount(thing[m], minlength=len(class_id)) for m in (thing >= 0, alike))
    trusted = trusted & (2 * kept > had)
    return np.where(alike & np.append(trusted, False)[thing], thing, -1), trusted


def _extend(
    thing: np.ndarray, seen: np.ndarray, class_id: np.ndarray, limit: np.ndarray
) -> np.ndarray:
    """Return masks with the pixels near them that the teacher takes for the same kind."""
    nearest, away = nearest_value(thing.astype(np.int32))
    fits = IS_THING[seen] & SUITS[np.append(class_id, 0)[nearest], seen]
    gained = (nearest >= 0) & fits & (away <= np.append(limit, 0)[nearest])
    return largest_parts(np.where(gained, nearest, thing))
