"""Labels added to clouds of any layout, against a slow reader."""

import copy
import struct

from hypothesis import given, settings
import numpy as np
from point_cloud_layouts import build, layouts, read_slowly, xyz
import pytest
from xmodelkd_ros.errors import MessageError
from xmodelkd_ros.labels import PALETTE
from xmodelkd_ros.messages.labelled_clouds import labelled_cloud_message
from xmodelkd_ros.records import PointLabels


def labels_for(count, seed=0):
    random = np.random.default_rng(seed)
    labels = PointLabels(
        random.integers(0, 16, count).astype(np.uint16), random.random(count, np.float32)
    )
    return labels, random.integers(0, 65536, count).astype(np.uint16)


@given(layouts())
@settings(max_examples=60, deadline=None)
def test_labelled_cloud_keeps_every_value_of_the_source(message):
    count = message.height * message.width
    labels, instance = labels_for(count)
    before = copy.deepcopy((message, labels.label, labels.confidence, instance))
    result = labelled_cloud_message(message, labels, instance)
    assert (result.height, result.width) == (message.height, message.width)
    assert (result.header, result.is_dense) == (message.header, message.is_dense)
    assert not result.is_bigendian
    assert result.row_step == result.width * result.point_step
    assert len(result.data) == result.height * result.row_step
    for field in message.fields:
        if field.name not in ('label', 'instance'):
            assert read_slowly(result, field.name) == read_slowly(message, field.name)
            assert field in result.fields
    names = [field.name for field in result.fields]
    assert names[-4:] == ['label', 'instance', 'confidence', 'rgb']
    assert len(set(names)) == len(names)
    np.testing.assert_array_equal(np.array(read_slowly(result, 'label'))[:, 0], labels.label)
    np.testing.assert_array_equal(np.array(read_slowly(result, 'instance'))[:, 0], instance)
    np.testing.assert_array_equal(
        np.float32(read_slowly(result, 'confidence'))[:, 0], labels.confidence
    )
    np.testing.assert_array_equal(before[1], labels.label)
    np.testing.assert_array_equal(before[3], instance)
    assert message == before[0]


def test_label_and_instance_read_as_one_semantic_kitti_number():
    message = build(xyz(5))
    labels, instance = labels_for(5)
    result = labelled_cloud_message(message, labels, instance)
    offset = {field.name: field.offset for field in result.fields}
    assert (offset['label'], offset['instance']) == (12, 14)
    data = bytes(result.data)
    for point in range(5):
        (number,) = struct.unpack_from('<I', data, point * result.point_step + offset['label'])
        assert number & 0xFFFF == labels.label[point]
        assert number >> 16 == instance[point]


def test_rgb_is_the_palette_colour_of_the_label():
    labels = PointLabels(np.arange(20, dtype=np.uint16), np.ones(20, np.float32))
    result = labelled_cloud_message(build(xyz(20)), labels, np.zeros(20, np.uint16))
    field = next(field for field in result.fields if field.name == 'rgb')
    data = bytes(result.data)
    for label in range(20):
        (packed,) = struct.unpack_from('<I', data, label * result.point_step + field.offset)
        color = (packed >> 16, packed >> 8 & 255, packed & 255)
        assert color == tuple(PALETTE[label] if label < len(PALETTE) else PALETTE[0])


def test_labelling_twice_replaces_and_does_not_grow():
    message = build(xyz(6) + [('ring', 4, [1, 2, 3, 4, 5, 6])])
    once = labelled_cloud_message(message, *labels_for(6, 1))
    twice = labelled_cloud_message(once, *labels_for(6, 2))
    assert twice == labelled_cloud_message(message, *labels_for(6, 2))


def test_source_padding_after_the_last_field_is_not_carried_on():
    message = build(xyz(3), end_padding=20)
    result = labelled_cloud_message(message, *labels_for(3))
    assert (message.point_step, result.point_step) == (32, 24)


def test_labels_of_another_length_are_refused():
    labels, instance = labels_for(4)
    with pytest.raises(MessageError, match='5 points, but 4 labels'):
        labelled_cloud_message(build(xyz(5)), labels, instance)
