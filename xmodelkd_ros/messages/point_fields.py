"""
The memory layout of PointCloud2: checked once, then read and written through strided views.

A view costs nothing; every copy below moves whole columns, never single points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import sys

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from ..errors import MessageError

DTYPES: dict[int, np.dtype] = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}
"""NumPy type by `PointField.datatype`."""

DATATYPES: dict[np.dtype, int] = {dtype: datatype for datatype, dtype in DTYPES.items()}


def field_end(field: PointField) -> int:
    """Return the offset of the first byte after `field`; a count of 0 is read as 1."""
    return field.offset + max(field.count, 1) * DTYPES[field.datatype].itemsize


def check_layout(message: PointCloud2) -> None:
    """
    Check that every point of every field lies inside the data.

    Raises
    ------
    MessageError
        For an empty cloud, truncated data, or a layout that contradicts itself.

    """
    if message.width * message.height == 0:
        raise MessageError(f'empty cloud: {message.height} rows of {message.width} points')
    for field in message.fields:
        _check_field(field, message.point_step)
    if message.row_step < message.width * message.point_step:
        raise MessageError(
            f'row_step is {message.row_step} bytes, less than {message.width} points of '
            f'{message.point_step} bytes'
        )
    needed = message.height * message.row_step
    if len(message.data) < needed:
        raise MessageError(
            f'truncated data: {len(message.data)} bytes, {needed} needed for {message.height} '
            f'rows of {message.row_step} bytes'
        )


def _check_field(field: PointField, point_step: int) -> None:
    if field.datatype not in DTYPES:
        raise MessageError(f'field {field.name!r} has the unknown datatype {field.datatype}')
    if field_end(field) > point_step:
        raise MessageError(
            f'field {field.name!r} ends at byte {field_end(field)}, after point_step '
            f'{point_step}'
        )


def named_field(message: PointCloud2, names: Sequence[str]) -> PointField | None:
    """Return the field that has the first of `names` that is there, or None."""
    by_name = {field.name: field for field in message.fields}
    return next((by_name[name] for name in names if name in by_name), None)


def is_native(message: PointCloud2) -> bool:
    """Return whether the data has the byte order of this machine."""
    return message.is_bigendian == (sys.byteorder == 'big')


def field_view(message: PointCloud2, field: PointField) -> np.ndarray:
    """
    Return one field of a checked message without copying.

    Returns
    -------
    np.ndarray
        (height, width) of the field's datatype and byte order, a view of the message's data;
        (height, width, count) where the field holds several values.

    """
    dtype = DTYPES[field.datatype].newbyteorder('>' if message.is_bigendian else '<')
    view = block_view(message, field.offset, dtype)
    if field.count <= 1:
        return view
    shape, strides = (*view.shape, field.count), (*view.strides, dtype.itemsize)
    return np.ndarray(shape, dtype, message.data, field.offset, strides)


def block_view(message: PointCloud2, offset: int, dtype: np.dtype | str) -> np.ndarray:
    """
    Return the bytes at `offset` of each point as one (height, width) array of `dtype`.

    With a void type such as 'V12' several neighbouring fields are copied at once: three to
    four times faster than field by field.
    """
    return np.ndarray(
        shape=(message.height, message.width),
        dtype=dtype,
        buffer=message.data,
        offset=offset,
        strides=(message.row_step, message.point_step),
    )


def layout(columns: Iterable[tuple[str, np.dtype]], start: int = 0) -> list[PointField]:
    """Return packed, naturally aligned fields of the given names and types, from `start` on."""
    fields = []
    for name, dtype in columns:
        offset = aligned(start, dtype.itemsize)
        fields.append(PointField(name=name, offset=offset, datatype=DATATYPES[dtype], count=1))
        start = offset + dtype.itemsize
    return fields


def aligned(offset: int, size: int) -> int:
    """Return the first multiple of `size` that is not below `offset`."""
    return -(-offset // size) * size
