"""KITTI's tracklets: hand-made 3D boxes of a raw drive, in the lidar frame."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.labels import ID_BY_NAME
from xmodelkd_ros.records import Boxes

CLASS_NAMES = {
    'Car': 'car', 'Van': 'car', 'Truck': 'truck', 'Tram': 'bus', 'Pedestrian': 'person',
    'Person (sitting)': 'person', 'Person sitting': 'person', 'Cyclist': 'rider',
    'Misc': 'unlabelled',
}
"""Our class of each of KITTI's object types."""


def read_tracklets(path: Path | str) -> dict[int, Boxes]:
    """
    Read `tracklet_labels.xml`.

    Parameters
    ----------
    path
        The file, beside the drive's sensor folders.

    Returns
    -------
    dict
        Boxes by frame number; frames without boxes are absent. Track ids are the tracklets'
        positions in the file, from 1; the score is 1.

    Raises
    ------
    BagError
        If the file is missing or is no tracklet file.

    """
    try:
        items = ElementTree.parse(path).getroot().findall('./tracklets/item')
        rows = defaultdict(list)
        for track_id, item in enumerate(items, 1):
            for frame, row in _rows(item, track_id):
                rows[frame].append(row)
    except (OSError, ElementTree.ParseError, TypeError, ValueError) as error:
        raise BagError(f'cannot read tracklets from {path}: {error}') from None
    return {frame: _boxes(np.array(found)) for frame, found in sorted(rows.items())}


def _rows(item: ElementTree.Element, track_id: int) -> list[tuple[int, list[float]]]:
    """Return frame number and row of track id, class, centre, size and yaw of each pose."""
    name = CLASS_NAMES.get(item.findtext('objectType', ''), 'unlabelled')
    length, width, height = (float(item.findtext(tag, 'nan')) for tag in 'lwh')
    first = int(item.findtext('first_frame', 'missing'))
    rows = []
    for frame, pose in enumerate(item.findall('./poses/item'), first):
        x, y, z, yaw = (float(pose.findtext(tag, 'nan')) for tag in ('tx', 'ty', 'tz', 'rz'))
        # KITTI gives the middle of the bottom face.
        center = [x, y, z + height / 2]
        rows.append((frame, [track_id, ID_BY_NAME[name], *center, length, width, height, yaw]))
    return rows


def _boxes(rows: np.ndarray) -> Boxes:
    return Boxes(
        track_id=rows[:, 0].astype(np.uint16), class_id=rows[:, 1].astype(np.uint16),
        score=np.ones(len(rows), np.float32), center=rows[:, 2:5].astype(np.float32),
        size=rows[:, 5:8].astype(np.float32), yaw=rows[:, 8].astype(np.float32),
    )
