"""KITTI drives that are at hand: a drive that is named, or packed excerpts beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import tarfile

from ..errors import BagError

EXCERPTS = ('kitti_0001', 'kitti_0052', 'kitti_frames')
"""Names of the excerpts, each a folder or a .tar.xz in `excerpt_folder`."""

_CHECKOUT = Path(__file__).resolve().parents[2]


def excerpt_folder() -> Path:
    """Return where excerpts are looked for: KITTI_DATA, else shared/data beside the checkout."""
    return Path(os.environ.get('KITTI_DATA', _CHECKOUT.parent / 'shared' / 'data'))


def find_excerpt(name: str, cache: Path = _CHECKOUT / '.cache' / 'kitti') -> Path | None:
    """
    Return the folder of an excerpt, unpacked to `cache` where it is packed; None without it.

    Parameters
    ----------
    name
        One of `EXCERPTS`.
    cache
        Folder for what is unpacked; a second call finds it there.

    """
    folder, unpacked = excerpt_folder() / name, cache / name
    archive = folder.with_name(f'{name}.tar.xz')
    if folder.is_dir():
        return folder
    if not archive.is_file():
        return None
    if not unpacked.is_dir():
        partial = cache / f'.{name}.{os.getpid()}'
        try:
            with tarfile.open(archive) as packed:
                # as an attribute, for Python before 3.11.4 has no argument `filter`
                packed.extraction_filter = getattr(tarfile, 'data_filter', None)
                packed.extractall(partial)
            (partial / name).rename(unpacked)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return unpacked


def find_drives() -> dict[str, Path]:
    """
    Return KITTI raw drives by a short name: that of KITTI_DRIVE, else those of the excerpts.

    Raises
    ------
    BagError
        If KITTI_DRIVE is no folder.

    """
    if named := os.environ.get('KITTI_DRIVE'):
        if not Path(named).is_dir():
            raise BagError(f'KITTI_DRIVE = {named!r} is no folder')
        return {Path(named).name: Path(named)}
    found = {name: find_excerpt(name) for name in EXCERPTS[:2]}
    return {name: path for name, path in found.items() if path is not None}
