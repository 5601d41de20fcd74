"""
The feature cache: what a teacher says of a drive's points, on disk, without its pictures.

A folder per drive, which belongs to one source, teacher, calibration and configuration:

======================== =====================================================================
plan.json                what the folder belongs to, and the keyframes
trajectory.safetensors   poses of all sweeps
shard-<number>.safetensors  some keyframes' sweeps and views, float16 by point and view
manifest.json            the plan with size and SHA-256 of each shard: the extraction is complete
======================== =====================================================================

Each file appears whole or not at all, and its bytes depend on the inputs alone. An extraction
that was interrupted goes on with the shards that are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open, SafetensorError
from safetensors.numpy import save

from .cache_files import hash_file, read_json, write_whole
from .records import DistillationFrame, PointViews
from ..errors import CacheError
from ..records import Cloud

FORMAT = 1
PLAN, MANIFEST, TRAJECTORY = 'plan.json', 'manifest.json', 'trajectory.safetensors'

_CLOUD = ('points', 'intensity', 'ring', 'time_offset', 'label', 'instance')
_VIEWS = ('point', 'view', 'depth', 'delay', 'feature', 'probability')
_FRAME = ('fixed_from_lidar', 'moving', 'motion')


class CachedDistillationDrive:
    """
    A drive of the cache.

    Parameters
    ----------
    folder
        Its folder.

    Attributes
    ----------
    folder : Path
    manifest : dict
        All of manifest.json.
    teacher : dict[str, str]
        Its 'name' and 'sha256'.
    feature_size : int
        D of the features.
    class_names : tuple[str, ...] | None
        The teacher's own; None for one without classes.
    view_names : tuple[str, ...]

    Raises
    ------
    CacheError
        If the folder is not a complete cache of this format, or shards are missing or cut off.

    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = _read_manifest(self.folder)
        self.teacher: dict[str, str] = self.manifest['teacher']
        self.feature_size: int = self.manifest['feature_size']
        names = self.manifest['class_names']
        self.class_names: tuple[str, ...] | None = None if names is None else tuple(names)
        self.view_names: tuple[str, ...] = tuple(self.manifest['views'])
        self._shards: list[dict[str, Any]] = self.manifest['shards']
        self._ends = np.cumsum([shard['frames'] for shard in self._shards])
        self._checked = set[int]()
        for shard in self._shards:
            _check_size(self.folder / shard['file'], shard['bytes'])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def shard_of(self, index: int) -> int:
        """Return the number of the shard that holds a frame."""
        return int(np.searchsorted(self._ends, index, side='right'))

    def frame(self, index: int) -> DistillationFrame:
        """
        Return a keyframe; the first access to a shard checks its SHA-256.

        Raises
        ------
        CacheError
            If the shard is damaged.

        """
        if not 0 <= index < len(self):
            raise IndexError(f'frame {index} of {len(self)}')
        number = self.shard_of(index)
        shard = self._shards[number]
        path = self.folder / shard['file']
        if number not in self._checked:
            if hash_file(path) != shard['sha256']:
                raise CacheError(f'{path} is damaged: its SHA-256 is not that of {MANIFEST}')
            self._checked.add(number)
        place = index - int(self._ends[number]) + shard['frames']
        return _frame_from(_read_tensors(path, f'{place:04d}.'), self.view_names)


def open_caches(folders: Iterable[str | Path]) -> list[CachedDistillationDrive]:
    """
    Open drives that are to be used together.

    Raises
    ------
    CacheError
        If one cannot be opened, or is of another teacher than the first.

    """
    drives = [CachedDistillationDrive(folder) for folder in folders]
    for drive in drives[1:]:
        if drive.teacher['sha256'] != drives[0].teacher['sha256']:
            raise CacheError(
                f'{drive.folder} belongs to teacher {_name_of(drive.teacher)}, '
                f'{drives[0].folder} to {_name_of(drives[0].teacher)}')
    return drives


def write_shard(path: Path, frames: Sequence[DistillationFrame]) -> None:
    """
    Write a shard, whole or not at all.

    Raises
    ------
    CacheError
        If it cannot be written, as on a full disk.

    """
    tensors = {
        f'{place:04d}.{name}': np.ascontiguousarray(array)
        for place, frame in enumerate(frames) for name, array in _arrays(frame).items()
    }
    # One entry: the order of more is another one in each process.
    write_whole(path, save(tensors, {'frames': str(len(frames))}))


def shard_length(path: Path) -> int:
    """Return the number of frames in a shard."""
    try:
        with safe_open(path, 'np') as shard:
            return int(shard.metadata()['frames'])
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise CacheError(f'{path} is damaged: {error}') from error


def shard_file(number: int) -> str:
    """Return the name of a shard."""
    return f'shard-{number:05d}.safetensors'


def _arrays(frame: DistillationFrame) -> dict[str, np.ndarray]:
    """Return what there is of a frame by name."""
    found: dict[str, np.ndarray | None] = {
        'stamp': np.array([frame.cloud.stamp], np.int64),
        'segment': np.array([frame.segment], np.int32),
        'frame': np.frombuffer(frame.cloud.frame.encode(), np.uint8),
    }
    found |= {name: getattr(frame.cloud, name) for name in _CLOUD}
    found |= {name: getattr(frame.views, name) for name in _VIEWS}
    found |= {name: getattr(frame, name) for name in _FRAME}
    return {name: array for name, array in found.items() if array is not None}


def _frame_from(arrays: dict[str, np.ndarray], view_names: tuple[str, ...]) -> DistillationFrame:
    def some(names: Iterable[str]) -> dict[str, Any]:
        return {name: arrays.get(name) for name in names}

    cloud = Cloud(
        int(arrays['stamp'][0]), **some(_CLOUD), frame=arrays['frame'].tobytes().decode())
    views = PointViews(**some(_VIEWS), names=view_names)
    return DistillationFrame(
        cloud, views, **some(_FRAME), segment=int(arrays['segment'][0]))


def _read_tensors(path: Path, prefix: str) -> dict[str, np.ndarray]:
    try:
        with safe_open(path, 'np') as shard:
            names = [name for name in list(shard.keys()) if name.startswith(prefix)]
            return {name.removeprefix(prefix): shard.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise CacheError(f'{path} is damaged: {error}') from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).is_file():
        if (folder / PLAN).is_file():
            raise CacheError(f'{folder}: its extraction is not complete, the same command goes on')
        raise CacheError(f'{folder} is no feature cache: it has no {MANIFEST}')
    manifest = read_json(folder / MANIFEST)
    if manifest.get('format') != FORMAT:
        raise CacheError(
            f'{folder} is a feature cache of format {manifest.get("format")}, {FORMAT} is needed')
    return manifest


def _check_size(path: Path, size: int) -> None:
    if not path.is_file():
        raise CacheError(f'{path} is missing')
    if path.stat().st_size != size:
        raise CacheError(f'{path} is damaged: {path.stat().st_size} bytes instead of {size}')


def _name_of(teacher: Mapping[str, str]) -> str:
    return f'{teacher["name"]} ({teacher["sha256"][:12]})'
