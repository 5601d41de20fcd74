"""PointCloud2 messages to `Cloud` records and back."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from .point_fields import (
    aligned,
    block_view,
    check_layout,
    DTYPES,
    field_end,
    field_view,
    is_native,
    layout,
    named_field,
)
from .stamps import header_message, measured_at, NANOSECONDS_PER_SECOND
from ..errors import MessageError
from ..records import Cloud

INTENSITY_NAMES = ('reflectivity', 'intensity', 'i')
"""Calibrated reflectivity goes first: drivers that send both count photons in `intensity`."""
RING_NAMES = ('ring', 'channel')
TIME_NAMES = ('t', 'time', 'timestamp', 'time_stamp', 'time_offset', 'offset_time')

_UNIT_INTENSITY_LIMIT = 1.01
_BYTE_INTENSITY = 255.0
_ABSOLUTE_SECONDS = 1e6
_ABSOLUTE_NANOSECONDS = 1e15


@np.errstate(over='ignore', invalid='ignore')
def cloud_from_message(message: PointCloud2) -> Cloud:
    """
    Read a cloud of any field layout, row and point padding, and byte order.

    Needed are `x`, `y`, `z` (float32 or float64, m); what is too large for float32 becomes
    infinite. Used when there:

    - `reflectivity`, `intensity` or `i`: scaled to 0..1. Integers are taken as 0..255, of
      whatever width. Floats are kept if no value of the sweep is above 1, else taken as
      0..255. What lies outside is clipped, NaN becomes 0.
    - `ring` or `channel`.
    - `t`, `time`, `timestamp`, `time_stamp`, `time_offset` or `offset_time`: integers are ns,
      floats s, both after the message's stamp; floats up to one past 1e15 are absolute times in
      ns, past 1e6 in s, and points without such a time are taken as measured at the stamp.
    - `label` and `instance`: the lower 16 bits.

    Returns
    -------
    Cloud
        Row-major, N = height * width; nothing shares memory with the message.

    Raises
    ------
    MessageError
        If the layout is impossible, the data truncated, the cloud empty, a field of the wrong
        type, or the stamp zero.

    """
    check_layout(message)
    stamp = measured_at(message.header)
    strength = _column(message, INTENSITY_NAMES)
    return Cloud(
        stamp=stamp,
        points=_points(message),
        intensity=None if strength is None else unit_intensity(strength),
        ring=_uint16(_column(message, RING_NAMES)),
        time_offset=_time_offset(_column(message, TIME_NAMES), stamp),
        label=_uint16(_column(message, ('label',))),
        instance=_uint16(_column(message, ('instance',))),
        frame=message.header.frame_id,
    )


def _points(message: PointCloud2) -> np.ndarray:
    """Return (N, 3) float32."""
    fields = [_coordinate(message, name) for name in 'xyz']
    points = np.empty((message.height, message.width, 3), np.float32)
    first = fields[0].offset
    packed = [field.offset for field in fields] == [first, first + 4, first + 8]
    if packed and is_native(message) and all(_dtype(field) == np.float32 for field in fields):
        points.view('V12')[..., 0] = block_view(message, first, 'V12')
    else:
        for axis, field in enumerate(fields):
            points[..., axis] = field_view(message, field)
    return points.reshape(-1, 3)


def _coordinate(message: PointCloud2, name: str) -> PointField:
    field = named_field(message, (name,))
    if field is None:
        names = ', '.join(field.name for field in message.fields)
        raise MessageError(f'field {name!r} is missing, the cloud has: {names or "no fields"}')
    if _dtype(field).kind != 'f' or field.count > 1:
        raise MessageError(
            f'field {name!r} is {max(field.count, 1)} x {_dtype(field)}, float32 or float64 is '
            'needed'
        )
    return field


def _dtype(field: PointField) -> np.dtype:
    return DTYPES[field.datatype]


def _column(message: PointCloud2, names: tuple[str, ...]) -> np.ndarray | None:
    """Return the first named field as (N,) in native byte order, or None."""
    field = named_field(message, names)
    if field is None:
        return None
    if field.count > 1:
        raise MessageError(f'field {field.name!r} holds {field.count} values, one is needed')
    return field_view(message, field).astype(_dtype(field)).reshape(-1)


def unit_intensity(values: np.ndarray) -> np.ndarray:
    """Return (N,) float32 in 0..1 of values (N,) of any scale, as `cloud_from_message` says."""
    known = np.fmax(values.astype(np.float32, copy=False), np.float32(0))
    bytewise = values.dtype.kind != 'f' or _greatest_finite(known) > _UNIT_INTENSITY_LIMIT
    if bytewise:
        known *= np.float32(1 / _BYTE_INTENSITY)
    return np.minimum(known, np.float32(1), out=known)


def _greatest_finite(values: np.ndarray) -> float:
    greatest = values.max()
    return float(greatest if np.isfinite(greatest) else values[np.isfinite(values)].max(initial=0))


def _uint16(values: np.ndarray | None) -> np.ndarray | None:
    if values is None:
        return None
    if values.dtype.kind == 'f':
        values = np.nan_to_num(values, posinf=0, neginf=0).astype(np.int64)
    return values.astype(np.uint16)


def _time_offset(values: np.ndarray | None, stamp: int) -> np.ndarray | None:
    """Return (N,) int64 ns after `stamp`."""
    if values is None:
        return None
    if values.dtype.kind != 'f':
        return values.astype(np.int64)
    seconds = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    latest = seconds.max()  # The first point may be one of those that were not measured.
    if latest <= _ABSOLUTE_SECONDS:
        return np.rint(seconds * NANOSECONDS_PER_SECOND).astype(np.int64)
    if latest > _ABSOLUTE_NANOSECONDS:
        offset = np.rint(seconds - stamp).astype(np.int64)
    else:
        # Whole seconds first: that difference is exact in float64.
        whole, rest = divmod(stamp, NANOSECONDS_PER_SECOND)
        offset = np.rint((seconds - whole) * NANOSECONDS_PER_SECOND).astype(np.int64) - rest
    return np.where(seconds > _ABSOLUTE_SECONDS, offset, 0)


def cloud_message(cloud: Cloud, height: int = 1) -> PointCloud2:
    """
    Return a cloud as a message, packed and little-endian.

    Its fields are x, y, z float32, then what is there of intensity float32, ring uint16, t uint32
    (ns after the stamp; int32 where points were measured before it), label and instance uint16.

    Parameters
    ----------
    cloud
        N points, row-major.
    height
        Rows of an organised cloud; N must be a multiple.

    Raises
    ------
    MessageError
        If a time offset does not fit into t, or N is not a multiple of `height`.

    """
    columns = _columns(cloud)
    fields = layout((name, values.dtype) for name, values in columns.items())
    step = aligned(max(map(field_end, fields)), 4)
    width, rest = divmod(len(cloud.points), height)
    if rest:
        raise MessageError(f'{len(cloud.points)} points do not make {height} equal rows')
    message = blank_cloud(height, width, step, fields)
    message.header = header_message(cloud.stamp, cloud.frame)
    message.is_dense = bool(np.isfinite(cloud.points).all())
    for field in fields:
        field_view(message, field)[...] = columns[field.name].reshape(height, width)
    return message


def _columns(cloud: Cloud) -> dict[str, np.ndarray]:
    columns = {
        name: cloud.points[:, axis].astype(np.float32, copy=False)
        for axis, name in enumerate('xyz')
    }
    optional = {
        'intensity': (cloud.intensity, np.float32),
        'ring': (cloud.ring, np.uint16),
        't': (cloud.time_offset, _time_dtype(cloud.time_offset)),
        'label': (cloud.label, np.uint16),
        'instance': (cloud.instance, np.uint16),
    }
    for name, (values, dtype) in optional.items():
        if values is not None:
            columns[name] = values.astype(dtype, copy=False)
    return columns


def _time_dtype(time_offset: np.ndarray | None) -> type[np.integer]:
    """Return uint32 as drivers send it, int32 if points were measured before the stamp."""
    if time_offset is None or time_offset.size == 0:
        return np.uint32
    low, high = int(time_offset.min()), int(time_offset.max())
    for dtype in (np.uint32, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    raise MessageError(f'time offsets {low} to {high} ns do not fit into the 32 bits of field t')


def blank_cloud(height: int, width: int, step: int, fields: list[PointField]) -> PointCloud2:
    """Return a little-endian cloud of zero bytes without row padding."""
    message = PointCloud2(height=height, width=width, fields=fields, is_bigendian=False)
    message.point_step, message.row_step = step, step * width
    # Repeating one zero is three times faster than copying as many from a bytes object.
    message.data = array.array('B', [0]) * (height * width * step)
    return message
