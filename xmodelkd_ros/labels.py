"""
Semantic classes, their palette, and the mappings from and to SemanticKITTI and Cityscapes.

Class ids are what the `label` field of an output cloud holds; 0 is 'unlabelled'. A network's
output channel `c` stands for the class of row `c` in the table its checkpoint carries.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class SemanticClass:
    """
    One semantic class.

    Parameters
    ----------
    id
        Value in label arrays and messages.
    name
        Lower-case name.
    color
        Display colour, RGB, 0 to 255.
    is_thing
        Whether instances of the class are counted and tracked.

    """

    id: int  # noqa: A003
    name: str
    color: tuple[int, int, int]
    is_thing: bool = False


UNLABELLED = SemanticClass(0, 'unlabelled', (90, 90, 90))
SKY = SemanticClass(16, 'sky', (70, 130, 180))
POINT_CLASSES = (
    SemanticClass(1, 'road', (128, 64, 128)),
    SemanticClass(2, 'sidewalk', (244, 35, 232)),
    SemanticClass(3, 'terrain', (152, 251, 152)),
    SemanticClass(4, 'building', (105, 105, 125)),
    SemanticClass(5, 'fence', (190, 153, 153)),
    SemanticClass(6, 'vegetation', (60, 142, 35)),
    SemanticClass(7, 'trunk', (135, 70, 10)),
    SemanticClass(8, 'pole', (220, 200, 160)),
    SemanticClass(9, 'sign', (250, 220, 0)),
    SemanticClass(10, 'car', (60, 120, 255), is_thing=True),
    SemanticClass(11, 'truck', (0, 200, 200), is_thing=True),
    SemanticClass(12, 'bus', (0, 90, 130), is_thing=True),
    SemanticClass(13, 'person', (220, 20, 60), is_thing=True),
    SemanticClass(14, 'rider', (255, 100, 0), is_thing=True),
    SemanticClass(15, 'bicycle', (255, 130, 170), is_thing=True),
)
"""What a LiDAR can see; `POINT_CLASSES[c].id == c + 1`."""

THING_CLASSES = tuple(c for c in POINT_CLASSES if c.is_thing)
"""What the video segmenter finds and tracks."""

ALL_CLASSES = (UNLABELLED, *POINT_CLASSES, SKY)
"""Every class, indexed by id."""

TRUE_POINTS = '/ground_truth/points'
"""Topic of the clouds that have the label of each point, where no other is named."""

ID_BY_NAME = {c.name: c.id for c in ALL_CLASSES}

IS_THING = np.zeros(65536, bool)
"""(65536,) bool: whether a class id is that of a thing."""
IS_THING[[c.id for c in THING_CLASSES]] = True


def channel_table(classes: Sequence[SemanticClass], missing: int) -> np.ndarray:
    """Return (65536,) int64: the row of each class id in `classes`, else `missing`."""
    table = np.full(65536, missing, np.int64)
    table[[c.id for c in classes]] = np.arange(len(classes))
    return table


# SemanticKITTI's raw ids.
_RAW_FROM_NAME = {
    'unlabelled': 0, 'road': 40, 'sidewalk': 48, 'terrain': 72, 'building': 50, 'fence': 51,
    'vegetation': 70, 'trunk': 71, 'pole': 80, 'sign': 81, 'car': 10, 'truck': 18, 'bus': 20,
    'person': 30, 'rider': 31, 'bicycle': 11, 'sky': 0,
}
_NAME_FROM_RAW = {
    0: 'unlabelled', 1: 'unlabelled', 10: 'car', 11: 'bicycle', 13: 'bus', 15: 'bicycle',
    16: 'bus', 18: 'truck', 20: 'bus', 30: 'person', 31: 'rider', 32: 'rider', 40: 'road',
    44: 'road', 48: 'sidewalk', 49: 'terrain', 50: 'building', 51: 'fence',
    52: 'unlabelled', 60: 'road', 70: 'vegetation', 71: 'trunk', 72: 'terrain', 80: 'pole',
    81: 'sign', 99: 'unlabelled', 252: 'car', 253: 'rider', 254: 'person', 255: 'rider',
    256: 'bus', 257: 'bus', 258: 'truck', 259: 'bus',
}

# Cityscapes' 19 train classes in their usual order.
CITYSCAPES_NAMES = (
    'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign',
    'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train',
    'motorcycle', 'bicycle',
)
_NAME_FROM_CITYSCAPES = (
    'road', 'sidewalk', 'building', 'fence', 'fence', 'pole', 'sign', 'sign',
    'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'bus',
    'bicycle', 'bicycle',
)
_CITYSCAPES_FROM_NAME = {'sign': 'traffic sign', 'trunk': 'vegetation'}

ID_FROM_CITYSCAPES = np.array([ID_BY_NAME[name] for name in _NAME_FROM_CITYSCAPES], np.uint16)
"""(19,) uint16: our id of each Cityscapes train class; trains count as buses."""

CITYSCAPES_FROM_ID = np.array([
    255, *(CITYSCAPES_NAMES.index(_CITYSCAPES_FROM_NAME.get(c.name, c.name))
           for c in ALL_CLASSES[1:]),
], np.uint16)
"""(17,) uint16: Cityscapes train class of our id, 255 for 'unlabelled'."""

# What data sets and models of road users, COCO's and YouTube-VIS's, call our things.
_THING_SYNONYMS = {
    'sedan': 'car', 'vehicle': 'car', 'vehical': 'car', 'pedestrian': 'person',
    'bicyclist': 'rider', 'motorcyclist': 'rider', 'motorbike': 'bicycle', 'tram': 'bus',
}


def thing_id_of_name(name: str) -> int:
    """Return our id of a thing by another's name for it, whatever the case; 0 if it is none."""
    plain = name.strip().lower()
    if plain in CITYSCAPES_NAMES:
        plain = _NAME_FROM_CITYSCAPES[CITYSCAPES_NAMES.index(plain)]
    found = ID_BY_NAME.get(_THING_SYNONYMS.get(plain, plain), 0)
    return found if ALL_CLASSES[found].is_thing else 0


RAW_FROM_ID = np.array([_RAW_FROM_NAME[c.name] for c in ALL_CLASSES], np.uint16)
"""(17,) uint16: raw SemanticKITTI label id (10 car, 40 road, ...) of our id."""

RAW_IDS = tuple(_NAME_FROM_RAW)
"""All raw SemanticKITTI label ids."""

ID_FROM_RAW = np.zeros(65536, np.uint16)
"""(65536,) uint16: our id of a raw SemanticKITTI label id; unknown ids become 0."""
for _raw, _name in _NAME_FROM_RAW.items():
    ID_FROM_RAW[_raw] = ID_BY_NAME[_name]

PALETTE = np.array([c.color for c in ALL_CLASSES], np.uint8)
"""(17, 3) uint8: RGB colour by class id."""
