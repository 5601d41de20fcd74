"""Truth of points from hand-made 3D boxes, where a camera looks: vehicle, person or neither."""

from __future__ import annotations

import numpy as np
from xmodelkd_ros.evaluation.segmentation import ConfusionMatrix
from xmodelkd_ros.geometry.boxes import points_in_boxes
from xmodelkd_ros.geometry.pairing import Pairing
from xmodelkd_ros.labels import ID_BY_NAME, SemanticClass
from xmodelkd_ros.records import Boxes

VEHICLES = tuple(ID_BY_NAME[name] for name in ('car', 'truck', 'bus'))
PEOPLE = tuple(ID_BY_NAME[name] for name in ('person', 'rider', 'bicycle'))
"""A cyclist's box holds the bicycle too."""

VEHICLE = SemanticClass(1, 'vehicle', (60, 120, 255), is_thing=True)
PERSON = SemanticClass(2, 'person', (220, 20, 60), is_thing=True)
NEITHER = SemanticClass(3, 'neither', (110, 110, 110))
BOX_CLASSES = (VEHICLE, PERSON, NEITHER)
IGNORED = 0
"""Truth of a point that does not count."""

RIM = 0.2
"""
Boxes are about so exact, m: points that are outside a box by less count for nothing, nor do those
that are less above its bottom, where every twelfth point of KITTI's boxes of vehicles is road.
"""

_BOX_CLASS = np.full(65536, NEITHER.id, np.uint16)
_BOX_CLASS[list(VEHICLES)] = VEHICLE.id
_BOX_CLASS[list(PEOPLE)] = PERSON.id


def box_truth(
    points: np.ndarray, shown: Pairing, boxes: Boxes, unlabelled: np.ndarray, rim: float = RIM
) -> np.ndarray:
    """
    Return what the boxes say of the points that a picture shows.

    Parameters
    ----------
    points
        (N, 3) lidar frame, m.
    shown
        The M points in the picture's view; with those that are hidden, found without an
        occlusion test.
    boxes
        Lidar frame; of class 0, objects that are neither vehicle nor person nor anything else.
    unlabelled
        (R, 4) left, top, right, bottom, pixels: regions with objects without a box.
    rim
        Points outside a box, or above its bottom, by less than this do not count, m.

    Returns
    -------
    np.ndarray
        (M,) uint16 ids of `BOX_CLASSES`, or `IGNORED`.

    """
    places, kinds = points[shown.index], _BOX_CLASS[boxes.class_id]
    up = np.array([0, 0, rim], np.float32)
    inside = points_in_boxes(places, boxes.center + up / 2, boxes.size - up, boxes.yaw)
    near = points_in_boxes(places, boxes.center, boxes.size + 2 * rim, boxes.yaw)
    truth = np.full(len(places), NEITHER.id, np.uint16)
    truth[near.any(0) | _in_regions(shown.pixels, unlabelled)] = IGNORED
    is_vehicle, is_person, is_other = (
        inside[kinds == kind.id].any(0) for kind in (VEHICLE, PERSON, NEITHER))
    truth[is_vehicle], truth[is_person] = VEHICLE.id, PERSON.id
    truth[(is_vehicle & is_person) | is_other] = IGNORED
    return truth


class BoxScores:
    """Confusion of labels with the truth of boxes, over any number of sweeps."""

    def __init__(self) -> None:
        self._confusion = ConfusionMatrix(BOX_CLASSES)

    def add(self, truth: np.ndarray, label: np.ndarray) -> None:
        """Count the labels (M,) uint16 of the points that `box_truth` spoke of; 0 is neither."""
        self._confusion.add(truth, _BOX_CLASS[label])

    @property
    def vehicle_iou(self) -> float:
        """Intersection over union of vehicle, 0..1; NaN where there is none."""
        return float(self._confusion.iou[0])

    @property
    def person_iou(self) -> float:
        """Intersection over union of person, 0..1; NaN where there is none."""
        return float(self._confusion.iou[1])

    @property
    def points(self) -> int:
        """How many points counted."""
        return int(self._confusion.counts.sum())


def _in_regions(pixels: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return (M,) bool: which pixels (M, 2) lie in any of the regions (R, 4)."""
    low, high = regions[:, None, :2], regions[:, None, 2:]
    return np.asarray(((pixels >= low) & (pixels <= high)).all(2).any(0))
