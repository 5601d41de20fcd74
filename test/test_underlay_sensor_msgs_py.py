"""The stand-in for sensor_msgs_py: what its documentation and its upstream tests promise."""

import array
import copy
import sys

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

HEADER = Header(frame_id='frame')
ROWS = [(0.0, 0.1, 0.2), (1.0, 1.1, 1.2), (2.0, np.nan, 2.2), (3.0, 3.1, 3.2), (4.0, 4.1, 4.2),
        (5.0, 5.1, 5.2)]
POINTS = np.array(ROWS, np.float32)


def field(name, offset, datatype=PointField.FLOAT32, count=1):
    return PointField(name=name, offset=offset, datatype=datatype, count=count)


XYZ = [field('x', 0), field('y', 4), field('z', 8)]
MIXED = [field('a', 0), field('b', 4, PointField.FLOAT64), field('c', 12, PointField.UINT8)]
MIXED_TYPE = np.dtype([('a', np.float32), ('b', np.float64), ('c', np.uint8)])
MIXED_POINTS = np.array([(1.5, 2.5, 3), (4.5, 5.5, 6)], MIXED_TYPE)


def cloud(fields, data, width, step, height=1, big_endian=False, row_padding=0, dense=False):
    return PointCloud2(
        header=HEADER, height=height, width=width, fields=fields, point_step=step,
        row_step=step * width + row_padding, is_bigendian=big_endian, is_dense=dense,
        data=array.array('B', data),
    )


PLAIN = cloud(XYZ, POINTS.tobytes(), 6, 12)


def test_points_come_as_a_structured_view():
    points = point_cloud2.read_points(PLAIN)
    assert points.dtype.names == ('x', 'y', 'z')
    np.testing.assert_array_equal(structured_to_unstructured(points), POINTS)
    assert np.shares_memory(points, np.frombuffer(PLAIN.data, np.uint8))


def test_fields_can_be_chosen():
    points = point_cloud2.read_points(PLAIN, field_names=['z', 'x'])
    assert points.dtype.names == ('z', 'x')
    np.testing.assert_array_equal(structured_to_unstructured(points), POINTS[:, [2, 0]])
    with pytest.raises(AssertionError, match='rgb'):
        point_cloud2.read_points(PLAIN, field_names=['rgb'])


def test_points_with_nan_can_be_skipped():
    points = point_cloud2.read_points_numpy(PLAIN, skip_nans=True)
    np.testing.assert_array_equal(points, POINTS[[0, 1, 3, 4, 5]])
    # Only the chosen fields count, and a cloud that says it is dense is believed.
    assert len(point_cloud2.read_points(PLAIN, ['x', 'z'], skip_nans=True)) == 6
    dense = cloud(XYZ, POINTS.tobytes(), 6, 12, dense=True)
    assert len(point_cloud2.read_points(dense, skip_nans=True)) == 6


@pytest.mark.parametrize('uvs', [[0, 3, 5], (0, 3, 5), np.array([0, 3, 5]), iter([0, 3, 5])])
def test_points_can_be_chosen(uvs):
    points = point_cloud2.read_points_numpy(PLAIN, uvs=uvs)
    np.testing.assert_array_equal(points, POINTS[[0, 3, 5]])


def test_lists_hold_named_tuples():
    points = point_cloud2.read_points_list(PLAIN, skip_nans=True)
    assert len(points) == 5
    assert points[1].y == pytest.approx(1.1)
    assert points[0]._fields == ('x', 'y', 'z')


def test_organised_clouds():
    organised = point_cloud2.create_cloud_xyz32(HEADER, POINTS.reshape(2, 3, 3))
    assert (organised.width, organised.height) == (2, 3)
    assert point_cloud2.read_points(organised).shape == (6,)
    points = point_cloud2.read_points_numpy(organised, reshape_organized_cloud=True)
    np.testing.assert_array_equal(points, POINTS.reshape(2, 3, 3))


def test_types_may_differ_between_fields():
    mixed = cloud(MIXED, MIXED_POINTS.tobytes(), 2, 13)
    points = point_cloud2.read_points(mixed)
    assert points.dtype == MIXED_TYPE
    assert points.tolist() == MIXED_POINTS.tolist()
    with pytest.raises(AssertionError, match='same datatype'):
        point_cloud2.read_points_numpy(mixed)
    assert point_cloud2.read_points_numpy(mixed, field_names=['b']).tolist() == [[2.5], [5.5]]
    assert point_cloud2.create_cloud(HEADER, MIXED, MIXED_POINTS) == mixed


def test_fields_of_several_values_become_columns():
    several = cloud([field('v', 0, count=3)], POINTS.tobytes(), 6, 12)
    assert point_cloud2.read_points(several).dtype.names == ('v_0', 'v_1', 'v_2')
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(several), POINTS)
    assert point_cloud2.create_cloud(HEADER, [field('v', 0, count=3)], POINTS) == several


def test_padding_after_a_point_and_a_row_is_skipped():
    step = 123
    padded = np.full((6, step), 7, np.uint8)
    padded[:, :12] = POINTS.view(np.uint8)
    points = point_cloud2.read_points_numpy(cloud(XYZ, padded.tobytes(), 6, step))
    np.testing.assert_array_equal(points, POINTS)
    rows = np.hstack([POINTS.reshape(2, 9).view(np.uint8), np.full((2, 5), 7, np.uint8)])
    message = cloud(XYZ, rows.tobytes(), 3, 12, height=2, row_padding=5)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(message), POINTS)


def test_other_byte_order_is_read_and_left_alone():
    swapped = cloud(XYZ, POINTS.astype('>f4').tobytes(), 6, 12, big_endian=True)
    before = copy.deepcopy(swapped)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(swapped), POINTS)
    assert swapped == before


def test_clouds_are_made_of_tuples_and_arrays():
    for points in (ROWS, iter(ROWS), POINTS, point_cloud2.read_points(PLAIN)):
        made = point_cloud2.create_cloud(HEADER, XYZ, points)
        assert made == PLAIN
    assert point_cloud2.create_cloud_xyz32(HEADER, ROWS) == PLAIN
    assert PLAIN.is_bigendian == (sys.byteorder == 'big')
    assert not made.is_dense


def test_point_step_can_be_given():
    dtype = point_cloud2.dtype_from_fields(XYZ, point_step=20)
    assert dtype.itemsize == 20
    points = np.array(ROWS, dtype)
    with pytest.raises(AssertionError):
        point_cloud2.create_cloud(HEADER, XYZ, points)
    made = point_cloud2.create_cloud(HEADER, XYZ, points, 20)
    assert (made.point_step, made.row_step, len(made.data)) == (20, 120, 120)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(made), POINTS)


def test_impossible_fields_and_shapes():
    with pytest.raises(AssertionError, match='Duplicate'):
        point_cloud2.dtype_from_fields([field('x', 0), field('x', 4)])
    with pytest.raises(AssertionError, match='count = 0'):
        point_cloud2.dtype_from_fields([field('x', 0, count=0)])
    assert point_cloud2.dtype_from_fields([field('', 0)]).names == ('unnamed_field_0',)
    with pytest.raises(AssertionError, match='Too many dimensions'):
        point_cloud2.create_cloud(HEADER, XYZ, np.zeros((2, 2, 2, 3), np.float32))
    with pytest.raises(AssertionError, match='structured array'):
        point_cloud2.create_cloud(HEADER, MIXED, POINTS)
    with pytest.raises(AssertionError, match=r'sensor_msgs.msg.PointCloud2'):
        point_cloud2.read_points(POINTS)
