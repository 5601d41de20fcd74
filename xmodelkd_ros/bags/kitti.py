"""KITTI data in any of its layouts as a recording for a bag."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from .kitti_calibration import CAMERAS
from .kitti_object import is_object_folder, object_folder
from .kitti_raw import is_raw_drive, raw_drive
from .kitti_sequence import is_sequence, sequence
from .recording import Recording, StorageConfig
from .sensor_files import IMAGE_FORMS
from ..config import setting
from ..errors import BagError


@dataclasses.dataclass(frozen=True)
class KittiConfig(StorageConfig):
    """What of a KITTI data set goes into the bag, and how."""

    cameras: tuple[str, ...] = setting(
        (), 'Numbers of the cameras; none means all whose images are there.', choices=CAMERAS
    )
    images: str = setting(
        'raw', 'Image messages, or CompressedImage messages of a format.', choices=IMAGE_FORMS
    )


_LAYOUTS = (
    (is_raw_drive, raw_drive),
    (is_object_folder, object_folder),
    (is_sequence, sequence),
)


def read_kitti(folder: Path, config: KittiConfig) -> Recording:
    """
    Read a drive of the raw data, an object folder or a SemanticKITTI sequence.

    Parameters
    ----------
    folder
        The data set, or a folder above it that holds no other.
    config
        What to read.

    Raises
    ------
    BagError, CalibrationError
        If `folder` has none of the layouts, or files are missing or contradict each other.

    """
    found = _data_set(folder)
    read = next(read for is_layout, read in _LAYOUTS if is_layout(found))
    return read(found, config.cameras, config.images)


def _data_set(folder: Path) -> Path:
    if not folder.is_dir():
        raise BagError(f'there is no folder {folder}')
    below = [path for pattern in ('*', '*/*') for path in folder.glob(pattern) if path.is_dir()]
    for candidates in ([folder], below):
        found = sorted(p for p in candidates if any(is_layout(p) for is_layout, _ in _LAYOUTS))
        if len(found) > 1:
            raise BagError(f'{folder} holds several data sets, name one: ' + ', '.join(
                str(path.relative_to(folder)) for path in found))
        if found:
            return found[0]
    raise BagError(
        f'{folder} is no KITTI data: it holds neither velodyne_points/data (a raw drive) '
        'nor velodyne/ with calib/ (object frames) or calib.txt (a SemanticKITTI sequence)'
    )
