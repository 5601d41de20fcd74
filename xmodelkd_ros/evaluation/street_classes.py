"""The few classes that a LiDAR network and an image network can be compared in."""

from __future__ import annotations

import numpy as np

from .segmentation import ConfusionMatrix
from ..labels import ALL_CLASSES, ID_BY_NAME, PALETTE, SemanticClass

_MEMBERS = {
    'road': ('road',),
    'sidewalk': ('sidewalk',),
    'building': ('building',),
    'vegetation, terrain': ('vegetation', 'terrain', 'trunk'),
    'pole, sign': ('pole', 'sign'),
    'person': ('person', 'rider'),
    'vehicle': ('car', 'truck', 'bus'),
}
STREET_CLASSES = tuple(
    SemanticClass(number, name, tuple(PALETTE[ID_BY_NAME[members[0]]].tolist()))
    for number, (name, members) in enumerate(_MEMBERS.items(), 1)
)
"""A trunk is vegetation, as in Cityscapes; fence, bicycle and sky belong to none."""

STREET_FROM_ID = np.zeros(len(ALL_CLASSES), np.uint16)
"""(17,) uint16: street class of our class id, 0 for none."""
for _row in STREET_CLASSES:
    STREET_FROM_ID[[ID_BY_NAME[name] for name in _MEMBERS[_row.name]]] = _row.id


class StreetScores(ConfusionMatrix):
    """
    Agreement of labels with reference labels, where the reference is a street class.

    Where the reference comes from an image network this is agreement with a teacher, not truth.
    """

    def __init__(self) -> None:
        super().__init__(STREET_CLASSES)

    def add(self, true: np.ndarray, predicted: np.ndarray) -> None:
        """Count our class ids of any one shape; a label of no street class is wrong."""
        super().add(STREET_FROM_ID[true], STREET_FROM_ID[predicted])
