"""What every test shares: where the real recordings are."""

import os
from pathlib import Path
import tarfile

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
EXCERPTS = ('kitti_0001', 'kitti_0052', 'kitti_frames')


@pytest.fixture(scope='session')
def kitti_root(tmp_path_factory):
    """Return the folder that holds the KITTI excerpts, unpacked; skip where there are none."""
    packed = Path(os.environ.get('KITTI_DATA', REPOSITORY.parent / 'shared' / 'data'))
    if all((packed / name).is_dir() for name in EXCERPTS):
        return packed
    missing = [name for name in EXCERPTS if not (packed / f'{name}.tar.xz').is_file()]
    if missing:
        pytest.skip(f'KITTI excerpts are not there: {packed} lacks {", ".join(missing)}')
    root = REPOSITORY / '.cache' / 'kitti'
    for name in EXCERPTS:
        if not (root / name).is_dir():
            with tarfile.open(packed / f'{name}.tar.xz') as archive:
                archive.extractall(root / '.partial', filter='data')
            (root / '.partial' / name).rename(root / name)
    return root
