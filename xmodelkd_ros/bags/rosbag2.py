"""The rosbags library, in one place: what is missing without it is said once and clearly."""

from __future__ import annotations

from ..errors import needed

with needed('read and write bags'):
    from rosbags.interfaces import (
        Connection,
        ConnectionExtRosbag2,
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
        TopicInfo,
    )
    from rosbags.rosbag2 import (
        CompressionFormat,
        CompressionMode,
        Reader,
        StoragePlugin,
        Writer,
        WriterError,
    )
    from rosbags.typesys import get_types_from_msg, get_typestore, Stores

__all__ = [
    'CompressionFormat',
    'CompressionMode',
    'Connection',
    'ConnectionExtRosbag2',
    'Qos',
    'QosDurability',
    'QosHistory',
    'QosLiveliness',
    'QosReliability',
    'QosTime',
    'Reader',
    'StoragePlugin',
    'Stores',
    'TopicInfo',
    'Writer',
    'WriterError',
    'get_types_from_msg',
    'get_typestore',
]
