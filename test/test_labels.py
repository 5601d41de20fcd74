"""The class table and its mappings from and to SemanticKITTI and Cityscapes."""

from __future__ import annotations

import numpy as np
from xmodelkd_ros import labels


def test_ids_are_the_index_into_every_table():
    assert [c.id for c in labels.ALL_CLASSES] == list(range(len(labels.ALL_CLASSES)))
    assert [c.id - 1 for c in labels.POINT_CLASSES] == list(range(len(labels.POINT_CLASSES)))
    assert len(labels.POINT_CLASSES) >= 12
    assert len({c.color for c in labels.ALL_CLASSES}) == len(labels.ALL_CLASSES)
    assert labels.PALETTE.shape == (len(labels.ALL_CLASSES), 3)


def test_channels_are_rows_of_the_classes_given():
    table = labels.channel_table(labels.THING_CLASSES[:2], -1)
    assert table.shape == (65536,) and np.flatnonzero(table >= 0).tolist() == [10, 11]
    assert (table[10], table[11], table[0]) == (0, 1, -1)
    assert np.flatnonzero(labels.IS_THING).tolist() == [c.id for c in labels.THING_CLASSES]


def test_every_class_survives_semantic_kitti():
    """Ours -> SemanticKITTI -> ours is the identity for every class a LiDAR can see."""
    ids = np.array([c.id for c in labels.POINT_CLASSES])
    assert (labels.ID_FROM_RAW[labels.RAW_FROM_ID[ids]] == ids).all()


def test_every_class_but_trunk_survives_cityscapes():
    ids = np.array([c.id for c in labels.ALL_CLASSES if c.name not in ('unlabelled', 'trunk')])
    assert (labels.ID_FROM_CITYSCAPES[labels.CITYSCAPES_FROM_ID[ids]] == ids).all()
    trunk = labels.CITYSCAPES_FROM_ID[labels.ID_BY_NAME['trunk']]
    assert labels.CITYSCAPES_NAMES[trunk] == 'vegetation'


def test_known_correspondences():
    """A few pairs anyone can check by hand, so that a shifted table cannot pass."""
    name = {c.id: c.name for c in labels.ALL_CLASSES}
    raw = {10: 'car', 40: 'road', 48: 'sidewalk', 50: 'building', 70: 'vegetation', 252: 'car',
           254: 'person', 81: 'sign', 32: 'rider', 44: 'road',
           0: 'unlabelled', 12345: 'unlabelled'}
    assert {k: name[int(labels.ID_FROM_RAW[k])] for k in raw} == raw
    cityscapes = dict(zip(labels.CITYSCAPES_NAMES, labels.ID_FROM_CITYSCAPES, strict=True))
    assert name[int(cityscapes['sky'])] == 'sky' and name[int(cityscapes['train'])] == 'bus'
