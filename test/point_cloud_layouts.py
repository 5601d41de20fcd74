"""PointCloud2 messages of any layout, and a slow reader that unpacks one value at a time."""

import array
import struct

from hypothesis import strategies as st
import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from xmodelkd_ros.messages.stamps import header_message

CODES = {1: 'b', 2: 'B', 3: 'h', 4: 'H', 5: 'i', 6: 'I', 7: 'f', 8: 'd'}
STAMP = 1_700_000_000_123_456_789


def read_slowly(message, name):
    """Return the values of a field in row-major order, one struct call each."""
    field = next(field for field in message.fields if field.name == name)
    code = ('>' if message.is_bigendian else '<') + CODES[field.datatype] * max(field.count, 1)
    data = bytes(message.data)
    return [
        struct.unpack_from(code, data, row * message.row_step + column * message.point_step
                           + field.offset)
        for row in range(message.height) for column in range(message.width)
    ]


def build(columns, height=1, big_endian=False, gaps=(0,), row_padding=0, end_padding=0):
    """Return a message of the given columns (name, datatype, values) with bytes in between."""
    fields, offset = [], gaps[0]
    for index, (name, datatype, _) in enumerate(columns):
        fields.append(PointField(name=name, offset=offset, datatype=datatype, count=1))
        offset += struct.calcsize(CODES[datatype]) + gaps[(index + 1) % len(gaps)]
    count = len(columns[0][2])
    width, step = count // height, offset + end_padding
    row_step = width * step + row_padding
    data = bytearray(np.random.default_rng(count).bytes(height * row_step))
    for field, (_, datatype, values) in zip(fields, columns, strict=True):
        for index, value in enumerate(values):
            place = index // width * row_step + index % width * step + field.offset
            struct.pack_into(('>' if big_endian else '<') + CODES[datatype], data, place, value)
    return PointCloud2(
        header=header_message(STAMP, 'lidar'), height=height, width=width, fields=fields,
        is_bigendian=big_endian, point_step=step, row_step=row_step, is_dense=True,
        data=array.array('B', bytes(data)),
    )


def xyz(count, datatype=PointField.FLOAT32):
    values = np.random.default_rng(1).normal(size=(3, count)).astype(np.float32).tolist()
    return [(name, datatype, values[axis]) for axis, name in enumerate('xyz')]


@st.composite
def layouts(draw):
    """Return a message of any field order, padding, byte order and organisation."""
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    count = height * width
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = xyz(count, draw(st.sampled_from([7, 8])))
    columns += draw(st.lists(st.sampled_from([
        ('intensity', 7, random.random(count, np.float32).tolist()),
        ('ring', 4, random.integers(0, 128, count).tolist()),
        ('t', 6, random.integers(0, 10**8, count).tolist()),
        ('label', 4, random.integers(0, 17, count).tolist()),
        ('instance', 4, random.integers(0, 60000, count).tolist()),
        ('unrelated', 8, random.normal(size=count).tolist()),
        ('flag', 1, random.integers(-128, 127, count).tolist()),
    ]), unique_by=lambda column: column[0]))
    return build(
        draw(st.permutations(columns)), height, draw(st.booleans()),
        draw(st.lists(st.integers(0, 3), min_size=1, max_size=4)),
        draw(st.sampled_from([0, 1, 24])), draw(st.integers(0, 5)),
    )
