"""Masks of several instances brought together: each pixel belongs to one of them at most."""

from __future__ import annotations

import cv2
import numpy as np

from .image_boxes import bounding_boxes


def resolve_overlaps(logits: np.ndarray, score: np.ndarray) -> np.ndarray:
    """
    Give each cell to the mask of the highest probability times score.

    Parameters
    ----------
    logits
        (Q, h, w) float32.
    score
        (Q,) float32.

    Returns
    -------
    np.ndarray
        (Q, h, w) bool: cells of positive logit that the mask keeps.

    """
    inside = logits > 0
    contested = inside.sum(0, dtype=np.int16) > 1  # only there is something to settle
    rivals = logits[:, contested]  # Q x P
    if rivals.shape[1]:
        strength = np.where(rivals > 0, score[:, None] / (1 + np.exp(-np.abs(rivals))), -1)
        inside[:, contested] &= strength.argmax(0) == np.arange(len(logits))[:, None]
    return inside


def paint_instances(
    track_id: np.ndarray, logits: np.ndarray, score: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the id of each pixel of the image, and the box of each id's pixels.

    The logits are enlarged bilinearly, each inside its own box only; where masks overlap, the
    highest probability times score wins.

    Parameters
    ----------
    track_id
        (T,) uint16.
    logits
        (T, h, w) float32, covering the whole image.
    score
        (T,) float32.
    size
        (H, W) of the image.

    Returns
    -------
    id_map
        (H, W) uint16, 0 where there is none.
    boxes
        (T, 4) float32: x0, y0, x1, y1 in pixels; zeros where nothing is visible.

    """
    id_map = np.zeros(size, np.uint16)
    strength = np.zeros(size, np.float32)
    regions = [_region(box, logits.shape[1:], size) for box in bounding_boxes(logits > 0)]
    for identity, logit, weight, region in zip(track_id, logits, score, regions, strict=True):
        if region[1].stop > region[1].start:
            enlarged = _enlarge(logit, region, size)
            value = weight / (1 + cv2.exp(-enlarged))
            wins = (enlarged > 0) & (value > strength[region])
            np.copyto(strength[region], value, where=wins)
            np.copyto(id_map[region], identity, where=wins)
    boxes = np.zeros((len(regions), 4), np.float32)
    for row, (identity, region) in enumerate(zip(track_id, regions, strict=True)):
        box = bounding_boxes((id_map[region] == identity)[None])[0]
        if box[2] > box[0]:
            boxes[row] = box + np.array([region[1].start, region[0].start] * 2)
    return id_map, boxes


Region = tuple[slice, slice]


def _region(box: np.ndarray, grid: tuple[int, ...], size: tuple[int, int]) -> Region:
    """Return the rows and columns of the image that a box of cells reaches, half a cell wider."""
    ranges = []
    for first, last, cells, pixels in zip(box[1::-1], box[:1:-1], grid, size, strict=True):
        scale = pixels / cells if last > first else 0.0
        begin = int(np.floor((first - 0.5) * scale))
        end = int(np.ceil((last + 0.5) * scale))
        ranges.append(slice(max(begin, 0), min(end, pixels)))
    return ranges[0], ranges[1]


def _enlarge(logit: np.ndarray, region: Region, size: tuple[int, int]) -> np.ndarray:
    """Return the logits at the pixels of the region."""
    rows, columns = region
    step_y, step_x = logit.shape[0] / size[0], logit.shape[1] / size[1]
    to_cells = np.array(
        [
            [step_x, 0, (columns.start + 0.5) * step_x - 0.5],
            [0, step_y, (rows.start + 0.5) * step_y - 0.5],
        ]
    )
    return cv2.warpAffine(
        logit,
        to_cells,
        (columns.stop - columns.start, rows.stop - rows.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
