"""Labels, instances and colours added to a cloud message."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from .clouds import blank_cloud
from .point_fields import aligned, block_view, check_layout, field_end, field_view, layout
from ..errors import MessageError
from ..labels import PALETTE, UNLABELLED
from ..records import PointLabels

ADDED_COLUMNS = (
    ('label', np.dtype(np.uint16)),
    ('instance', np.dtype(np.uint16)),
    ('confidence', np.dtype(np.float32)),
    ('rgb', np.dtype(np.float32)),
)
"""Fields that `labelled_cloud_message` adds, in their order."""


def _packed_palette() -> np.ndarray:
    """Return (65536,) float32 whose bits are 0x00RRGGBB, as RViz and PCL read them."""
    red, green, blue = np.moveaxis(PALETTE.astype(np.uint32), 1, 0)
    packed = red << 16 | green << 8 | blue
    table = np.full(65536, packed[UNLABELLED.id], np.uint32)
    table[: len(packed)] = packed
    return table.view(np.float32)


PACKED_PALETTE = _packed_palette()


def labelled_cloud_message(
    source: PointCloud2, labels: PointLabels, instance: np.ndarray
) -> PointCloud2:
    """
    Return the source's own fields, bytes unchanged, followed by what was found.

    Added are label uint16, instance uint16 (read as one little-endian uint32 the two are a
    SemanticKITTI label), confidence float32 and rgb float32 from `labels.PALETTE`. Fields of
    these names in the source are replaced. Big-endian data is rewritten as little-endian.

    Parameters
    ----------
    source
        N = height * width points; header, rows and columns are kept, row padding is dropped.
    labels
        N labels and confidences.
    instance
        (N,) uint16.

    Raises
    ------
    MessageError
        If the source's layout is impossible or the arrays are not N long.

    """
    check_layout(source)
    count = source.height * source.width
    if not count == len(labels.label) == len(labels.confidence) == len(instance):
        raise MessageError(
            f'{count} points, but {len(labels.label)} labels and {len(instance)} instances'
        )
    added_names = {name for name, _ in ADDED_COLUMNS}
    kept = [field for field in source.fields if field.name not in added_names]
    end = max(map(field_end, kept), default=0)
    added = layout(ADDED_COLUMNS, aligned(end, 4))
    message = blank_cloud(source.height, source.width, field_end(added[-1]), kept + added)
    message.header, message.is_dense = source.header, source.is_dense
    _copy_fields(source, message, kept, end)
    columns = (labels.label, instance, labels.confidence, PACKED_PALETTE.take(labels.label))
    for field, values in zip(added, columns, strict=True):
        field_view(message, field)[...] = values.reshape(source.height, source.width)
    return message


def _copy_fields(
    source: PointCloud2, message: PointCloud2, fields: list[PointField], end: int
) -> None:
    if not fields:
        return
    if source.is_bigendian == message.is_bigendian:
        block_view(message, 0, f'V{end}')[...] = block_view(source, 0, f'V{end}')
        return
    for field in fields:
        field_view(message, field)[...] = field_view(source, field)
