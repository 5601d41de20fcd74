"""Reading rosbag2: a bag's folder or a bare .mcap or .db3 file, split or compressed or not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
import contextlib
import dataclasses
import functools
import importlib
from pathlib import Path
import struct
from types import TracebackType
from typing import Any

from rclpy.serialization import deserialize_message

from .qos import is_latched
from .rosbag2 import Connection, ConnectionExtRosbag2, Reader, TopicInfo
from ..errors import BagError

_STAMP_END = 12
"""Bytes of a serialised message up to the end of its stamp."""


@dataclasses.dataclass(frozen=True)
class Topic:
    """
    What a bag says about one of its topics.

    Parameters
    ----------
    type_name
        As 'sensor_msgs/msg/Image'.
    count
        Number of messages.
    latched
        Whether it was published with transient-local durability.

    """

    type_name: str
    count: int
    latched: bool


@functools.cache
def message_class(type_name: str) -> Any:
    """Import a message class by its ROS name; BagError where its package is not installed."""
    try:
        package, kind, name = type_name.split('/')
        return getattr(importlib.import_module(f'{package}.{kind}'), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BagError(f'message type {type_name} is not installed: {error}') from error


def header_stamp(data: bytes) -> int:
    """Return the stamp, ns, of a serialised message that begins with a header; else BagError."""
    if len(data) < _STAMP_END:
        raise BagError(f'a message of {len(data)} bytes is cut off within its stamp')
    order = '<' if data[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', data, 4)
    return seconds * 1_000_000_000 + nanoseconds


class BagReader:
    """
    An open bag; use as a context manager.

    Parameters
    ----------
    path
        Folder with a metadata.yaml, or a .mcap or .db3 file.

    Attributes
    ----------
    topics
        `Topic` by name, in the order of the names.
    start, end
        Log times of the first and the last message, ns; both 0 for an empty bag.

    Raises
    ------
    BagError
        If there is no bag, or it is damaged or truncated.

    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        _check_layout(self.path)
        with _damage_as_bag_error(self.path):
            self._reader = Reader(self.path)
            self._reader.open()
        self.topics = {name: _describe(name, t) for name, t in self._reader.topics.items()}
        empty = self._reader.message_count == 0
        self.start = 0 if empty else self._reader.start_time
        self.end = 0 if empty else self._reader.end_time - 1

    def require(self, topic: str, *type_names: str) -> Topic:
        """Return the description of a topic, of one of some types or of any; else BagError."""
        if topic not in self.topics:
            raise BagError(f'{self.path} has no topic {topic}, only ' + ', '.join(self.topics))
        found = self.topics[topic]
        if type_names and found.type_name not in type_names:
            raise BagError(f'{self.path}: {topic} holds {found.type_name}, not '
                           + ' or '.join(type_names))
        return found

    def raw(
        self, topics: Collection[str] | None = None, start: int | None = None
    ) -> Iterator[tuple[str, int, bytes]]:
        """
        Yield (topic, log time in ns, CDR bytes) in the order of the log times.

        Parameters
        ----------
        topics
            Topics to read, None for all.
        start
            First log time to read, ns.

        """
        wanted = self._connections(topics)
        if not wanted:
            return
        with _damage_as_bag_error(self.path):
            for connection, stamp, data in self._reader.messages(wanted, start=start):
                yield connection.topic, stamp, data

    def messages(
        self, topics: Collection[str] | None = None, start: int | None = None
    ) -> Iterator[tuple[str, int, Any]]:
        """Yield (topic, log time in ns, rclpy message), each decoded when it is asked for."""
        for topic, stamp, data in self.raw(topics, start):
            yield topic, stamp, self.decode(topic, data)

    def decode(self, topic: str, data: bytes) -> Any:
        """Return the rclpy message of CDR bytes that `raw` gave for a topic."""
        type_name = self.topics[topic].type_name
        try:
            return deserialize_message(data, message_class(type_name))
        except (RuntimeError, MemoryError) as error:
            raise BagError(f'{self.path}: a message of {topic} is no {type_name}') from error

    def _connections(self, topics: Collection[str] | None) -> list[Connection]:
        for topic in topics or ():
            self.require(topic)
        return [c for c in self._reader.connections if topics is None or c.topic in topics]

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()


def _describe(name: str, info: TopicInfo) -> Topic:
    profiles = [
        profile
        for connection in info.connections
        if isinstance(connection.ext, ConnectionExtRosbag2)
        for profile in connection.ext.offered_qos_profiles
    ]
    return Topic(str(info.msgtype), info.msgcount, is_latched(name, profiles))


def _check_layout(path: Path) -> None:
    if not path.exists():
        raise BagError(f'there is no bag at {path}')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        files = sorted(f.name for f in path.iterdir() if f.suffix in ('.mcap', '.db3'))
        hint = f': name the file itself ({files[0]}) or reindex the bag' if files else ''
        raise BagError(f'{path} has no metadata.yaml{hint}')
    if path.is_file() and path.suffix not in ('.mcap', '.db3'):
        raise BagError(f'{path} is neither a bag folder nor a .mcap or .db3 file')


@contextlib.contextmanager
def _damage_as_bag_error(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # parsers raise whatever damaged bytes lead them to
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise BagError(f'{path} is damaged, truncated or no bag: {reason}') from error
