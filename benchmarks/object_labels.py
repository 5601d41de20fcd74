"""KITTI's object labels: hand-made 3D boxes of single frames, and regions that nobody labelled."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from tracklets import CLASS_NAMES
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.geometry.transforms import invert, transform_points
from xmodelkd_ros.labels import ID_BY_NAME
from xmodelkd_ros.records import Boxes

_NUMBERS = 14


@dataclasses.dataclass(frozen=True)
class ObjectLabels:
    """
    What is labelled in a frame.

    Parameters
    ----------
    boxes
        Of objects, lidar frame; the class is 0 for objects of other kinds. Upright in the lidar
        frame, though KITTI's stand on the camera's plane: at 0.5 degrees between the two, 2 cm
        at the ends of a car.
    unlabelled
        (R, 4) float32 left, top, right, bottom, pixels: regions with objects without a box.

    """

    boxes: Boxes
    unlabelled: np.ndarray


def read_object_labels(path: Path | str, rectified0_from_lidar: np.ndarray) -> ObjectLabels:
    """
    Read a file of `label_2`.

    Parameters
    ----------
    path
        The file.
    rectified0_from_lidar
        (4, 4) lidar frame to that of the boxes, rectified camera 0.

    Raises
    ------
    BagError
        If the file is missing or is no object label file.

    """
    try:
        lines = [line.split() for line in Path(path).read_text().splitlines() if line.strip()]
        values = np.array([line[1:1 + _NUMBERS] for line in lines], float).reshape(-1, _NUMBERS)
    except (OSError, ValueError) as error:
        raise BagError(f'cannot read object labels from {path}: {error}') from None
    kinds = np.array([line[0] for line in lines])
    is_region = kinds == 'DontCare'
    boxes = _boxes(kinds[~is_region].tolist(), values[~is_region], invert(rectified0_from_lidar))
    return ObjectLabels(boxes, values[is_region, 3:7].astype(np.float32))


def _boxes(kinds: list[str], values: np.ndarray, lidar_from_rectified0: np.ndarray) -> Boxes:
    """values: B x (2, alpha, image box 4, height, width, length, place 3, rotation_y)."""
    height, width, length = values[:, 7:10].T
    middle = values[:, 10:13] - np.stack([0 * height, height / 2, 0 * height], 1)  # y is down
    turn = values[:, 13]
    ahead = np.stack([np.cos(turn), 0 * turn, -np.sin(turn)], 1)
    ahead = ahead @ lidar_from_rectified0[:3, :3].T
    names = [CLASS_NAMES.get(kind.replace('_', ' '), 'unlabelled') for kind in kinds]
    return Boxes(
        track_id=np.arange(1, len(kinds) + 1, dtype=np.uint16),
        class_id=np.array([ID_BY_NAME[name] for name in names], np.uint16),
        score=np.ones(len(kinds), np.float32),
        center=transform_points(lidar_from_rectified0, middle).astype(np.float32),
        size=np.stack([length, width, height], 1).astype(np.float32),
        yaw=np.arctan2(ahead[:, 1], ahead[:, 0]).astype(np.float32),
    )
