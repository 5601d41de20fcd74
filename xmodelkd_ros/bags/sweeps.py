"""Sweeps from wherever they lie: KITTI .bin files, .pcd files, folders of either, and bags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
from pathlib import Path

import numpy as np

from .reader import BagReader, header_stamp
from .sensor_files import read_sweep
from .topics import find_topics
from ..errors import BagError, needed, XModelKDError
from ..messages.clouds import cloud_from_message, INTENSITY_NAMES, unit_intensity
from ..records import Cloud

SUFFIXES = ('.bin', '.pcd')
_BAG_SUFFIXES = ('.mcap', '.db3')


@dataclasses.dataclass(frozen=True)
class Sweep:
    """
    A sweep that has not been read yet.

    Parameters
    ----------
    name
        The file's stem, or the stamp of a bag's cloud in ns.
    origin
        File, or bag and topic, for messages to the user.
    read
        Returns the cloud, with at least one point; raises XModelKDError where it cannot. The
        stamp of a file's cloud is 0.

    """

    name: str
    origin: str
    read: Callable[[], Cloud]


class Sweeps:
    """
    The sweeps of some sources, source by source, files by name and clouds as they were logged.

    Parameters
    ----------
    sources
        .bin or .pcd files, folders with such files, bags.
    topic
        Of the clouds in bags; empty for /points or the only one there is.

    Raises
    ------
    BagError
        If a source is missing, holds no sweep, or is a bag with several topics of clouds.

    """

    def __init__(self, sources: Sequence[Path], topic: str = '') -> None:
        self._parts = [_open(Path(source), topic) for source in sources]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[Sweep]:
        for part in self._parts:
            yield from part


def read_pcd(path: Path) -> Cloud:
    """
    Read a .pcd file: ascii, binary or binary_compressed.

    Its fields x, y, z are needed; intensity or reflectivity is scaled as that of messages is.

    Raises
    ------
    BagError
        If the file is damaged, cut off, or lacks a coordinate.
    MissingDependencyError
        If pypcd4 is not installed.

    """
    with needed('read .pcd files'):
        from pypcd4 import PointCloud
    try:
        found = PointCloud.from_path(path)
    except Exception as error:  # the parser raises whatever damaged bytes lead it to
        reason = str(error).partition('\n')[0] or type(error).__name__
        raise BagError(f'{path} is damaged, cut off or no .pcd file: {reason}') from error
    columns, count = np.atleast_1d(found.pc_data), found.metadata.points
    if len(columns) != count:
        raise BagError(f'{path} is cut off: {len(columns)} of {count} points')
    fields = found.fields
    if missing := [name for name in 'xyz' if name not in fields]:
        raise BagError(f'{path} has no field {", ".join(missing)}, only ' + ', '.join(fields))
    points = np.stack([columns[name] for name in 'xyz'], 1).astype(np.float32)
    strength = next((name for name in INTENSITY_NAMES if name in fields), None)
    return Cloud(0, points, None if strength is None else unit_intensity(columns[strength]))


def _open(source: Path, topic: str) -> Sequence[Sweep] | _Bag:
    if not source.exists():
        raise BagError(f'there is no {source}')
    if source.suffix in _BAG_SUFFIXES or (source / 'metadata.yaml').is_file():
        return _Bag(source, topic)
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix in SUFFIXES)
        if not files:
            raise BagError(f'{source} is no bag and has no sweeps ({", ".join(SUFFIXES)})')
        return [_file(path) for path in files]
    if source.suffix not in SUFFIXES:
        raise BagError(f'{source} is no sweep ({", ".join(SUFFIXES)}) and no bag')
    return [_file(source)]


def _file(path: Path) -> Sweep:
    return Sweep(path.stem, str(path), functools.partial(_read_file, path))


def _read_file(path: Path) -> Cloud:
    try:
        cloud = read_pcd(path) if path.suffix == '.pcd' else _read_bin(path)
    except OSError as error:
        raise BagError(f'{path} cannot be read: {error.strerror}') from error
    if not len(cloud.points):
        raise BagError(f'{path} holds no points')
    return cloud


def _read_bin(path: Path) -> Cloud:
    points, intensity = read_sweep(path)
    return Cloud(0, points, unit_intensity(intensity)) if len(points) else Cloud(0, points)


class _Bag:
    """The clouds of a bag, each decoded when it is read."""

    def __init__(self, path: Path, topic: str) -> None:
        self._path = path
        with BagReader(path) as bag:
            self._topic = find_topics(bag, topic).points
            self._count = bag.topics[self._topic].count
        if not self._count:
            raise BagError(f'{path} has no clouds on {self._topic}')

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sweep]:
        with BagReader(self._path) as bag:
            for topic, _, data in bag.raw([self._topic]):
                name = str(header_stamp(data))
                yield Sweep(name, f'{self._path} {topic} {name}', functools.partial(
                    _decode, bag, topic, data))


def _decode(bag: BagReader, topic: str, data: bytes) -> Cloud:
    try:
        return cloud_from_message(bag.decode(topic, data))
    except XModelKDError as error:
        name = header_stamp(data)
        raise BagError(f'{bag.path} {topic}, stamp {name}: {error}') from error
