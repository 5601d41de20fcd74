"""PointCloud2 to `Cloud` and back, against a slow reader."""

import array
import copy

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from point_cloud_layouts import build, layouts, read_slowly, STAMP, xyz
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from xmodelkd_ros.errors import MessageError
from xmodelkd_ros.messages.clouds import cloud_from_message, cloud_message
from xmodelkd_ros.messages.stamps import header_message
from xmodelkd_ros.records import Cloud


@given(layouts())
@settings(max_examples=60, deadline=None)
def test_any_layout_reads_as_the_slow_reader_does(message):
    before = copy.deepcopy(message)
    cloud = cloud_from_message(message)
    names = {field.name for field in message.fields}
    slow = np.array([read_slowly(message, name) for name in 'xyz'])[..., 0].T
    assert cloud.points.dtype == np.float32
    assert cloud.points.flags.c_contiguous
    np.testing.assert_array_equal(cloud.points, slow.astype(np.float32))
    assert (cloud.stamp, cloud.frame) == (STAMP, 'lidar')
    for attribute, name, dtype in (
        ('intensity', 'intensity', np.float32), ('ring', 'ring', np.uint16),
        ('time_offset', 't', np.int64), ('label', 'label', np.uint16),
        ('instance', 'instance', np.uint16),
    ):
        values = getattr(cloud, attribute)
        assert (values is not None) == (name in names)
        if name in names:
            assert values.dtype == dtype
            np.testing.assert_array_equal(values, np.array(read_slowly(message, name))[:, 0])
    assert message == before


@pytest.mark.parametrize(('name', 'datatype', 'values', 'expected'), [
    ('intensity', 7, [0.0, 0.25, 1.0], [0.0, 0.25, 1.0]),
    ('intensity', 7, [0.0, 51.0, 255.0], [0.0, 0.2, 1.0]),
    ('intensity', 7, [-1.0, 51.0, 4000.0], [0.0, 0.2, 1.0]),
    ('intensity', 7, [float('nan'), 0.5, float('inf')], [0.0, 0.5, 1.0]),
    ('intensity', 2, [0, 1, 255], [0.0, 1 / 255, 1.0]),
    ('reflectivity', 4, [0, 51, 700], [0.0, 0.2, 1.0]),
    ('i', 8, [0.0, 0.5, 1.0], [0.0, 0.5, 1.0]),
    ('intensity', 3, [-5, 51, 255], [0.0, 0.2, 1.0]),
])
def test_intensity_is_scaled_to_one(name, datatype, values, expected):
    cloud = cloud_from_message(build(xyz(3) + [(name, datatype, values)]))
    assert cloud.intensity.dtype == np.float32
    np.testing.assert_allclose(cloud.intensity, expected, rtol=1e-6)


def test_calibrated_reflectivity_goes_before_intensity():
    columns = [('intensity', 7, [900.0, 30.0]), ('reflectivity', 2, [255, 51])]
    cloud = cloud_from_message(build(xyz(2) + columns))
    np.testing.assert_allclose(cloud.intensity, [1.0, 0.2], rtol=1e-6)


@pytest.mark.parametrize(('name', 'datatype', 'values', 'expected', 'tolerance'), [
    ('t', 6, [0, 50_000_000], [0, 50_000_000], 0),
    ('time', 7, [0.0, 0.05], [0, 50_000_000], 2),
    ('time', 7, [-0.05, 0.0], [-50_000_000, 0], 2),
    ('time_offset', 8, [0.0, float('nan')], [0, 0], 0),
    ('timestamp', 8, [STAMP / 1e9, STAMP / 1e9 + 0.05], [0, 50_000_000], 500),
    ('timestamp', 8, [float(STAMP), float(STAMP) + 5e7], [0, 50_000_000], 500),
    ('timestamp', 8, [float('nan'), STAMP / 1e9 + 0.05], [0, 50_000_000], 500),
    ('timestamp', 8, [STAMP / 1e9 + 0.05, 0.0], [50_000_000, 0], 500),
    ('timestamp', 8, [0.0, float(STAMP) + 5e7], [0, 50_000_000], 500),
    ('time_stamp', 6, [7, 4_000_000_000], [7, 4_000_000_000], 0),
])
def test_times_become_offsets_from_the_stamp(name, datatype, values, expected, tolerance):
    cloud = cloud_from_message(build(xyz(2) + [(name, datatype, values)]))
    assert cloud.time_offset.dtype == np.int64
    np.testing.assert_allclose(cloud.time_offset, expected, rtol=0, atol=tolerance)


def test_semantic_kitti_number_in_one_field_gives_the_label():
    cloud = cloud_from_message(build(xyz(2) + [('label', 6, [10 | 7 << 16, 40])]))
    assert cloud.label.tolist() == [10, 40]
    assert cloud.ring is None


def test_points_that_are_not_finite_stay_in_their_rows():
    columns = xyz(4)
    columns[1][2][2] = float('nan')
    columns[2][2][3] = float('inf')
    cloud = cloud_from_message(build(columns))
    assert np.isnan(cloud.points[2, 1])
    assert np.isinf(cloud.points[3, 2])
    assert len(cloud.points) == 4


def changed(**changes):
    message = build(xyz(4), height=2)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def with_field(field_name, **changes):
    message = build(xyz(4), height=2)
    field = next(field for field in message.fields if field.name == field_name)
    for key, value in changes.items():
        setattr(field, key, value)
    return message


@pytest.mark.parametrize(('message', 'reason'), [
    (changed(width=0), 'empty cloud'),
    (changed(data=array.array('B', bytes(40))), 'truncated data: 40 bytes, 48 needed'),
    (changed(row_step=20), 'row_step is 20 bytes, less than 2 points of 12'),
    (changed(point_step=8, row_step=24), "'z' ends at byte 12, after point_step 8"),
    (changed(header=Header()), 'stamp is zero'),
    (changed(fields=[]), "'x' is missing, the cloud has: no fields"),
    (with_field('y', name='Y'), "'y' is missing, the cloud has: x, Y, z"),
    (with_field('x', datatype=6), "'x' is 1 x uint32"),
    (with_field('x', count=2), "'x' is 2 x float32"),
    (with_field('x', datatype=9), 'unknown datatype 9'),
    (build(xyz(0)), 'empty cloud: 1 rows of 0 points'),
])
def test_bad_clouds_are_refused_with_the_reason(message, reason):
    with pytest.raises(MessageError) as caught:
        cloud_from_message(message)
    assert reason in str(caught.value)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_other_cloud_is_read_or_refused(data):
    names = ('x', 'y', 'z', 'intensity', 't', 'timestamp', 'ring', 'label')
    message = PointCloud2(
        header=header_message(STAMP, 'lidar'), is_bigendian=data.draw(st.booleans()),
        height=data.draw(st.integers(0, 3)), width=data.draw(st.integers(0, 3)),
        point_step=data.draw(st.sampled_from([46, 46, 46, 40, 0])),
        row_step=data.draw(st.sampled_from([150, 150, 100, 0])),
        data=array.array('B', data.draw(st.binary(min_size=440, max_size=460))),
        fields=[
            PointField(
                name=name, offset=data.draw(st.integers(0, 30)),
                datatype=data.draw(st.sampled_from([7, 7, 7, 8, 8, 6, 1, 9])),
                count=data.draw(st.sampled_from([1, 1, 1, 1, 0, 2])),
            )
            for name in data.draw(st.permutations(names))
        ],
    )
    try:
        assert len(cloud_from_message(message).points) == message.height * message.width
    except MessageError as error:
        assert str(error)


@pytest.mark.filterwarnings('error')
def test_numbers_beyond_float32_become_infinite_without_a_warning():
    columns = xyz(2, PointField.FLOAT64)
    columns[0][2][1] = 1e300
    columns += [('time', 8, [0.0, 1e300]), ('intensity', 8, [0.0, 1e300])]
    cloud = cloud_from_message(build(columns))
    assert np.isinf(cloud.points[1, 0])


def test_a_field_of_several_values_is_no_intensity():
    message = build(xyz(2) + [('intensity', 2, [1, 2]), ('pad', 2, [0, 0])])
    message.fields[3].count = 2
    with pytest.raises(MessageError, match="'intensity' holds 2 values"):
        cloud_from_message(message)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 30), st.booleans())
@settings(max_examples=60, deadline=None)
def test_written_clouds_read_back(seed, height, width, complete):
    random = np.random.default_rng(seed)
    count = height * width
    extra = {
        'intensity': random.random(count, np.float32),
        'ring': random.integers(0, 64, count).astype(np.uint16),
        'time_offset': random.integers(0, 2**32, count),
        'label': random.integers(0, 17, count).astype(np.uint16),
        'instance': random.integers(0, 65536, count).astype(np.uint16),
    }
    cloud = Cloud(STAMP, random.normal(size=(count, 3)).astype(np.float32), frame='top',
                  **(extra if complete else {}))
    message = cloud_message(cloud, height)
    again = cloud_from_message(message)
    assert (message.height, message.width, again.stamp, again.frame) == (
        height, width, STAMP, 'top'
    )
    np.testing.assert_array_equal(again.points, cloud.points)
    for name in extra:
        np.testing.assert_array_equal(getattr(again, name), getattr(cloud, name))


def test_written_kitti_cloud_is_sixteen_bytes_a_point():
    cloud = Cloud(STAMP, np.ones((3, 3), np.float32), np.ones(3, np.float32))
    message = cloud_message(cloud)
    assert message.point_step == 16
    assert message.is_dense
    assert [field.name for field in message.fields] == ['x', 'y', 'z', 'intensity']
    assert not cloud_message(Cloud(STAMP, np.full((3, 3), np.nan, np.float32))).is_dense


def test_clouds_that_cannot_be_written_say_why():
    points = np.zeros((4, 3), np.float32)
    with pytest.raises(MessageError, match='4 points do not make 3 equal rows'):
        cloud_message(Cloud(STAMP, points), height=3)
    with pytest.raises(MessageError, match='-5000000000 to 0 ns do not fit'):
        cloud_message(Cloud(STAMP, points, time_offset=np.array([0, -5_000_000_000, 0, 0])))


def test_points_measured_before_the_stamp_keep_their_times():
    offsets = np.array([-50_000_000, -1, 0, 50_000_000])
    cloud = cloud_from_message(
        cloud_message(Cloud(STAMP, np.zeros((4, 3), np.float32), time_offset=offsets)))
    np.testing.assert_array_equal(cloud.time_offset, offsets)


def test_reading_shares_no_memory_with_the_message():
    message = build(xyz(3) + [('intensity', 7, [0.1, 0.2, 0.3]), ('t', 6, [1, 2, 3])])
    cloud = cloud_from_message(message)
    data = np.frombuffer(message.data, np.uint8)
    for values in (cloud.points, cloud.intensity, cloud.time_offset):
        assert not np.shares_memory(values, data)
