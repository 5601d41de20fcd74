"""PointCloud2 messages to structured NumPy arrays and back."""

import array
from collections import namedtuple
import sys

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField

_DTYPES = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}

DUMMY_FIELD_PREFIX = 'unnamed_field'


def read_points(cloud, field_names=None, skip_nans=False, uvs=None, reshape_organized_cloud=False):
    """
    Return the points as a structured array (N,), native byte order.

    Parameters
    ----------
    cloud
        The message; the result is a view of its data where nothing has to be moved.
    field_names
        Fields to read; by default all.
    skip_nans
        Leave out points with a NaN in one of the fields, unless the cloud says it is dense.
    uvs
        Indices of the points to return.
    reshape_organized_cloud
        Return an organised cloud as (width, height), the shape that `create_cloud` takes.

    """
    assert isinstance(cloud, PointCloud2), 'Cloud is not a sensor_msgs.msg.PointCloud2'
    points = _view(cloud)
    if field_names is not None:
        missing = [name for name in field_names if name not in points.dtype.names]
        assert not missing, f'{missing} are not fields of the cloud: {points.dtype.names}'
        points = points[list(field_names)]
    if cloud.is_bigendian != (sys.byteorder == 'big'):
        points = points.byteswap()
    if skip_nans and not cloud.is_dense:
        valid = np.ones(len(points), bool)
        for name in points.dtype.names:
            valid &= ~np.isnan(points[name])
        points = points[valid]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def _view(cloud):
    """Return all points as they lie in memory, (N,)."""
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    padded = cloud.height > 1 and cloud.row_step > cloud.width * cloud.point_step
    row_step = cloud.row_step if padded else cloud.width * cloud.point_step
    rows = np.ndarray(
        (cloud.height, cloud.width), dtype, cloud.data, strides=(row_step, cloud.point_step)
    )
    return rows.reshape(-1)


def read_points_numpy(
    cloud, field_names=None, skip_nans=False, uvs=None, reshape_organized_cloud=False
):
    """Return fields of one type as a plain array (N, fields); arguments as of `read_points`."""
    types = {
        field.datatype for field in cloud.fields
        if field_names is None or field.name in field_names
    }
    assert len(types) <= 1, 'All fields need to have the same datatype. Use `read_points()`'
    return structured_to_unstructured(
        read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    )


def read_points_list(cloud, field_names=None, skip_nans=False, uvs=None):
    """Return a list with a named tuple for each point; arguments as of `read_points`."""
    points = read_points(cloud, field_names, skip_nans, uvs)
    make = namedtuple('Point', points.dtype.names)._make
    return [make(point) for point in points.tolist()]


def dtype_from_fields(fields, point_step=None):
    """
    Return the structured type of a point.

    A field that holds several values becomes one column for each, named name_0, name_1, ...
    """
    names, formats, offsets = [], [], []
    for index, field in enumerate(fields):
        assert field.count > 0, "Can't process fields with count = 0."
        name = field.name or f'{DUMMY_FIELD_PREFIX}_{index}'
        dtype = _DTYPES[field.datatype]
        names += [name] if field.count == 1 else [f'{name}_{k}' for k in range(field.count)]
        formats += [dtype] * field.count
        offsets += [field.offset + k * dtype.itemsize for k in range(field.count)]
    assert len(set(names)) == len(names), 'Duplicate field names are not allowed!'
    layout = {'names': names, 'formats': formats, 'offsets': offsets}
    return np.dtype(layout if point_step is None else {**layout, 'itemsize': point_step})


def create_cloud(header, fields, points, point_step=None):
    """
    Return the message of some points.

    Parameters
    ----------
    header
        Header of the message.
    fields
        Fields of a point.
    points
        (N, fields) or (width, height, fields) plain array of fields of one type, a structured
        array (N,) or (width, height) of just these fields, or an iterable of tuples.
    point_step
        Size of a point in bytes; by default up to the end of its last field.

    """
    fields = list(fields)
    points = _structured(points, fields, dtype_from_fields(fields, point_step))
    assert points.ndim <= 2, 'Too many dimensions: points lie in one or two dimensions'
    width, height = points.shape if points.ndim == 2 else (len(points), 1)
    cloud = PointCloud2(
        header=header,
        height=height,
        width=width,
        is_dense=False,
        is_bigendian=sys.byteorder == 'big',
        fields=fields,
        point_step=points.dtype.itemsize,
        row_step=points.dtype.itemsize * width,
    )
    # Outside the constructor an array.array is taken as it is.
    cloud.data = array.array('B', np.ascontiguousarray(points).tobytes())
    return cloud


def _structured(points, fields, dtype):
    if not isinstance(points, np.ndarray):
        return np.array(list(map(tuple, points)), dtype)
    if points.dtype.names is None:
        types = {field.datatype for field in fields}
        assert len(types) == 1, 'Fields of several datatypes need a structured array'
        return unstructured_to_structured(points, dtype)
    assert points.dtype == dtype, f'fields {dtype} are not those of the points, {points.dtype}'
    return points


def create_cloud_xyz32(header, points):
    """Return the message of points with x, y, z float32."""
    fields = [
        PointField(name=name, offset=4 * axis, datatype=PointField.FLOAT32, count=1)
        for axis, name in enumerate('xyz')
    ]
    return create_cloud(header, fields, points)
