"""Writing rosbag2 files: all or nothing, with definitions, type hashes and QoS profiles."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
import shutil
import tempfile
from types import TracebackType
from typing import Any

from rclpy.serialization import serialize_message

from .definitions import message_definition
from .qos import default_qos
from .rosbag2 import (
    CompressionFormat,
    CompressionMode,
    Connection,
    Qos,
    StoragePlugin,
    Writer,
    WriterError,
)
from ..errors import BagError

STORAGES = ('mcap', 'sqlite3')
COMPRESSIONS = ('none', 'zstd')


def type_name_of(message_class: type) -> str:
    """Return the ROS name of a message class, as 'sensor_msgs/msg/Image'."""
    package, kind, *_ = message_class.__module__.split('.')
    return f'{package}/{kind}/{message_class.__name__}'


class BagWriter:
    """
    A new bag; use as a context manager.

    The bag is written into a temporary folder beside `path` and renamed when the block ends
    well; after an error or an interrupt nothing is left. If something has appeared at `path`
    meanwhile, the bag gets another name beside it, which the BagError says.

    Parameters
    ----------
    path
        The bag's folder, which must not exist.
    storage
        'mcap' or 'sqlite3'.
    compression
        'none' or 'zstd': by chunk inside MCAP, by message in sqlite3.

    Raises
    ------
    BagError
        If `path` exists or cannot be written.

    """

    def __init__(
        self, path: str | Path, storage: str = 'mcap', compression: str = 'none'
    ) -> None:
        self.path = Path(path)
        self.counts: Counter[str] = Counter()
        self._storage = StoragePlugin[storage.upper()]
        self._compression = compression
        self._connections: dict[str, Connection] = {}
        self._workspace: Path | None = None
        if self.path.exists():
            raise BagError(f'{self.path} exists already: choose another name or remove it')

    def __enter__(self) -> BagWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._workspace = Path(
                tempfile.mkdtemp(prefix=f'.{self.path.name}.', dir=self.path.parent)
            )
            self._writer = self._open(self._workspace / self.path.name)
        except OSError as error:
            raise BagError(f'{self.path} cannot be written: {error.strerror}') from error
        return self

    def _open(self, path: Path) -> Writer:
        # Distributions before Jazzy do not read metadata of version 9.
        writer = Writer(path, version=8, storage_plugin=self._storage)
        if self._compression == 'zstd':
            chunked = self._storage is StoragePlugin.MCAP
            mode = CompressionMode.STORAGE if chunked else CompressionMode.MESSAGE
            writer.set_compression(mode, CompressionFormat.ZSTD)
        writer.open()
        return writer

    def add_topic(self, topic: str, type_name: str, qos: Qos | None = None) -> None:
        """
        Declare a topic, which `write` does by itself; of use where it may stay empty.

        Parameters
        ----------
        topic
            Full topic name.
        type_name
            As 'sensor_msgs/msg/Image'.
        qos
            Profile to store; by default reliable, and latched for `/tf_static` and the like.

        """
        definition, type_hash = message_definition(type_name)
        self._connections[topic] = self._writer.add_connection(
            topic,
            type_name,
            msgdef=definition,
            rihs01=type_hash,
            offered_qos_profiles=[qos or default_qos(topic)],
        )
        self.counts[topic] = 0

    def write(self, topic: str, message: Any, stamp: int) -> None:
        """
        Append a message.

        Parameters
        ----------
        topic
            Full topic name; all its messages are of one type.
        message
            An rclpy message.
        stamp
            Log time, ns: when the message was received.

        """
        self.write_raw(topic, type_name_of(type(message)), serialize_message(message), stamp)

    def write_raw(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        """Append a message that is serialised as CDR already; see `write`."""
        if topic not in self._connections:
            self.add_topic(topic, type_name)
        connection = self._connections[topic]
        if connection.msgtype != type_name:
            raise BagError(f'{topic} holds {connection.msgtype}, not {type_name}')
        try:
            self._writer.write(connection, stamp, data)
        except (OSError, WriterError) as error:
            raise BagError(f'{self.path} cannot be written: {error}') from error
        self.counts[topic] += 1

    @property
    def folder(self) -> Path:
        """Where the bag lies until it is complete, to put files of one's own beside it."""
        assert self._workspace is not None, 'the bag is not open'
        return self._workspace / self.path.name

    def _put_in_place(self) -> None:
        try:
            self.folder.rename(self.path)
        except OSError as failure:
            kept = tempfile.mkdtemp(prefix=f'{self.path.name}.', dir=self.path.parent)
            self.folder.rename(kept)
            raise BagError(f'{self.path} cannot be written: {failure.strerror}; '
                           f'the bag is {kept}') from failure

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._workspace is not None
        try:
            if kind is None:
                self._writer.close()
                self._put_in_place()
            else:
                self._writer.abort()
        except OSError as failure:
            raise BagError(f'{self.path} cannot be written: {failure}') from failure
        finally:
            shutil.rmtree(self._workspace, ignore_errors=True)
