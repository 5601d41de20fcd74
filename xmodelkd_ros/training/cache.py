"""
The array cache: a labelled drive as plain arrays, read from its bag once, for both trainers.

Layout: one folder per drive, named after the drive and the SHA-256 of its bag's content; in it
`drive.json` (format, source, number of frames, cameras) and one uncompressed `<index>.npz` per
frame. Its members, all read lazily:

===================== ==================== =================================================
stamp                 int64                ns, of the cloud
points                (N, 3) float32       lidar frame, m
intensity             (N,) float32         0..1; absent where the sensor gives none
label                 (N,) uint16          class ids; absent where they are not known
instance              (N,) uint16          instance ids, 0 none; absent with `label`
<camera>.stamp        int64                ns, of the picture
<camera>.rgb          (H, W, 3) uint8
<camera>.label        (H, W) uint8         class ids; absent where they are not known
<camera>.instance     (H, W) uint16        instance ids, 0 none; absent with `<camera>.label`
===================== ==================== =================================================

A folder appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import hashlib
import json
import os
from pathlib import Path
import shutil

import numpy as np

from ..bags.folders import find_bags
from ..errors import BagError
from ..files import alone_in
from ..labels import TRUE_POINTS
from ..records import Cloud, Frame, Picture

FORMAT = 1
VIDEO_SIDE = 832
"""Longer side of the pictures of a data set of videos, pixels."""

_INDEX = 'drive.json'


@dataclasses.dataclass(frozen=True)
class CachedDrive:
    """
    A drive in the array cache.

    Parameters
    ----------
    folder
        Its folder.
    cameras
        Names of the cameras that any of its frames has.
    length
        Number of frames.

    """

    folder: Path
    cameras: tuple[str, ...]
    length: int

    def __len__(self) -> int:
        return self.length

    def cloud(self, index: int) -> Cloud:
        """Return the sweep of a frame; label and instance None where they are not known."""
        with np.load(self._file(index)) as arrays:
            names = ('intensity', 'label', 'instance')
            extra = {name: arrays[name] for name in names if name in arrays}
            if 'label' in extra:
                extra['label'] = extra['label'].astype(np.uint16)
            return Cloud(int(arrays['stamp']), arrays['points'], **extra)

    def picture(self, index: int, camera: str) -> Picture | None:
        """Return a camera's picture of a frame, None where the frame has none."""
        with np.load(self._file(index)) as arrays:
            if f'{camera}.rgb' not in arrays:
                return None
            names = ('label', 'instance')
            extra = {n: arrays[f'{camera}.{n}'] for n in names if f'{camera}.{n}' in arrays}
            stamp, rgb = int(arrays[f'{camera}.stamp']), arrays[f'{camera}.rgb']
            return Picture(stamp, rgb, frame=camera, **extra)

    def _file(self, index: int) -> Path:
        return self.folder / f'{index:06d}.npz'


def write_drive(frames: Iterable[Frame], folder: Path, source: str) -> CachedDrive:
    """
    Write frames as a cached drive, replacing what is there.

    Parameters
    ----------
    frames
        Consumed one by one.
    folder
        The drive's folder in the cache.
    source
        Where the frames are from, for the reader.

    """
    moments = ((f.cloud, {n: v.picture for n, v in f.views.items()}) for f in frames)
    return write_moments(moments, folder, source)


def write_moments(
    moments: Iterable[tuple[Cloud, Mapping[str, Picture]]], folder: Path, source: str
) -> CachedDrive:
    """
    Write sweeps, and the pictures of each by camera, as a cached drive; else as `write_drive`.

    moments: consumed one by one.
    """
    partial = folder.with_name(f'.{folder.name}.{os.getpid()}.partial')
    partial.mkdir(parents=True)
    try:
        cameras: set[str] = set()
        length = 0
        for cloud, pictures in moments:
            members = _members(cloud, pictures)
            np.savez(partial / f'{length:06d}.npz', **members)  # type: ignore[arg-type]
            cameras.update(pictures)
            length += 1
        index = {'format': FORMAT, 'source': source, 'frames': length, 'cameras': sorted(cameras)}
        (partial / _INDEX).write_text(json.dumps(index, indent=1) + '\n')
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_drive(folder)


def is_drive(folder: Path) -> bool:
    """Return whether a folder is a cached drive."""
    return (folder / _INDEX).is_file()


def open_drive(folder: Path) -> CachedDrive:
    """
    Open a drive of the cache.

    Raises
    ------
    BagError
        If the folder is not a cached drive of this format.

    """
    try:
        index = json.loads((folder / _INDEX).read_text())
        found, cameras, length = index['format'], tuple(index['cameras']), int(index['frames'])
    except (OSError, ValueError, KeyError) as error:
        raise BagError(f'{folder} is not a cached drive: {error}') from error
    if found != FORMAT:
        raise BagError(f'{folder} is a cached drive of format {found}, {FORMAT} is needed')
    return CachedDrive(folder, cameras, length)


def open_or_make(folder: Path, make: Callable[[], object]) -> CachedDrive:
    """Open a drive of the cache; `make` writes it first, once for all processes that ask."""
    with alone_in(folder.parent):
        if not is_drive(folder):
            for partial in folder.parent.iterdir():
                if partial.name.startswith(f'.{folder.name}.'):  # of a process that was killed
                    shutil.rmtree(partial)
            make()
        return open_drive(folder)


def cached_drives(
    sources: Sequence[str | Path], cache: Path, label_topic: str = TRUE_POINTS
) -> list[CachedDrive]:
    """
    Open labelled drives, reading each bag into the cache if it is not there yet.

    Parameters
    ----------
    sources
        Bags, folders of bags, folders of the cache itself, or JSON files of YouTube-VIS or OVIS,
        whose videos are drives of their own, reduced to `VIDEO_SIDE`.
    cache
        Where the cache is.
    label_topic
        Of bags: clouds with the label of each point.

    Raises
    ------
    BagError
        If a source is missing, damaged, or has no frame, or not the labels that are asked for.

    """
    drives: list[CachedDrive] = []
    for source in map(Path, sources):
        found = _videos(source) if source.suffix == '.json' else _cached(
            source, cache, label_topic)
        if not found or not all(map(len, found)):
            raise BagError(f'{source} has no frames')
        drives += found
    return drives


def _videos(source: Path) -> Sequence[CachedDrive]:
    from .video.youtube_vis import open_collection  # its videos are cached drives

    return open_collection(source, longest=VIDEO_SIDE).videos


def _cached(source: Path, cache: Path, label_topic: str) -> Sequence[CachedDrive]:
    if is_drive(source):
        return [open_drive(source)]
    return [_cached_bag(bag, cache, label_topic) for bag in find_bags([source])]


def _cached_bag(source: Path, cache: Path, label_topic: str) -> CachedDrive:
    folder = cache / f'{source.stem}-{content_hash(source)[:16]}'
    if label_topic != TRUE_POINTS:
        folder = folder.with_name(folder.name + label_topic.replace('/', '-'))

    def read() -> None:
        from ..bags.frames import frames  # the bag reader needs optional packages

        print(f'reading {source} into {folder}')
        write_drive(frames(source, label_topic=label_topic), folder, str(source))

    return open_or_make(folder, read)


def content_hash(source: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files."""
    files = sorted(p for p in source.rglob('*') if p.is_file()) if source.is_dir() else [source]
    digest = hashlib.sha256(f'format {FORMAT}'.encode())
    for file in files:
        digest.update(f'\0{file.relative_to(source)}\0'.encode())
        with file.open('rb') as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


def _members(cloud: Cloud, pictures: Mapping[str, Picture]) -> dict[str, np.ndarray]:
    found = {
        'stamp': np.int64(cloud.stamp), 'points': cloud.points, 'intensity': cloud.intensity,
        'label': None if cloud.label is None else cloud.label.astype(np.uint16),
        'instance': cloud.instance,
    }
    for name, picture in pictures.items():
        found |= {
            f'{name}.stamp': np.int64(picture.stamp), f'{name}.rgb': picture.rgb,
            f'{name}.label': picture.label, f'{name}.instance': picture.instance,
        }
    return {name: np.asarray(array) for name, array in found.items() if array is not None}
