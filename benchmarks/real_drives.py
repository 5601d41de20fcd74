"""The recorded drives of table B: as bags, as feature caches, and as sweeps with their truth."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from pathlib import Path

import numpy as np
from object_labels import ObjectLabels, read_object_labels
from tracklets import read_tracklets
from xmodelkd_ros.bags.excerpts import find_excerpt
from xmodelkd_ros.bags.frames import frames
from xmodelkd_ros.bags.kitti import KittiConfig, read_kitti
from xmodelkd_ros.bags.kitti_calibration import read_calibration, rectified0_from_lidar
from xmodelkd_ros.bags.kitti_stamps import PERIOD, START
from xmodelkd_ros.bags.recording import StorageConfig, write_recording
from xmodelkd_ros.bags.sensor_files import sweep_files, sweep_messages
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.distillation.cache import CachedDistillationDrive
from xmodelkd_ros.distillation.extraction.config import ExtractionConfig
from xmodelkd_ros.distillation.extraction.extraction import extract
from xmodelkd_ros.distillation.teachers.adaptation import adapt_once
from xmodelkd_ros.distillation.teachers.network_teacher import NetworkTeacher
from xmodelkd_ros.distillation.teachers.teacher import make_teacher
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.records import Boxes, Frame

CAMERA = 'camera_02'
DRIVES = {
    'frames': ('kitti_frames', 'training'),
    'cropped': ('kitti_frames', 'cropped'),
    'drive_0052': ('kitti_0052', '2011_09_26/2011_09_26_drive_0052_sync'),
    'drive_0001': ('kitti_0001', '2011_09_26/2011_09_26_drive_0001_sync'),
}
"""Excerpt and folder in it, by the name of the bag."""

ZOOM = {'drive_0001': 2.2}
"""How much larger than the others' a drive's pictures must be shown to a network."""

DISTANCE = {'drive_0052': 0.3, 'drive_0001': 3.0}
"""From one keyframe to the next, m: one is half a traffic jam, the other 100 m of driving."""

SCALE = 0.7
FEATURES = 32
"""Of a teacher, that the caches keep."""

NO_BOXES = Boxes(
    np.zeros(0, np.uint16), np.zeros(0, np.uint16), np.zeros(0, np.float32),
    np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.float32))


@dataclasses.dataclass(frozen=True)
class TrueFrame:
    """A frame with what was labelled by hand: boxes, and regions without."""

    name: str
    frame: Frame
    truth: ObjectLabels


class RealDrives:
    """
    Bags and caches of the recorded drives in a folder; what is there is kept.

    Parameters
    ----------
    out
        The folder.
    weights
        Weight files of ESPNetv2.

    """

    def __init__(self, out: Path, weights: list[Path]) -> None:
        self.out, self._weights = out, weights

    def bag(self, name: str) -> Path:
        """Return a drive as a bag."""
        path = self.out / 'bags' / name
        if not path.exists():
            config = KittiConfig(cameras=('02',), images='jpeg')
            recording = read_kitti(source(name), config)
            write_recording(recording, path, config, {'source': name})
        return path

    def sweeps(self) -> Path:
        """Return a bag of the sweeps without pictures, a second apart."""
        path, stamp = self.out / 'bags' / 'sweeps', START
        if not path.exists():
            folders = sorted((source('frames').parent / 'lidar_only').iterdir())
            with BagWriter(path, StorageConfig().storage) as bag:
                for file in (file for folder in folders for file in sweep_files(folder)):
                    for topic, message in sweep_messages(file, stamp):
                        bag.write(topic, message, stamp)
                    stamp += 10 * PERIOD
        return path

    def teacher(self, name: str, adapted: bool = True, looks: str = '') -> NetworkTeacher:
        """
        Return the teacher for a drive.

        Parameters
        ----------
        name
            Of the drive.
        adapted
            To the drive's own pictures.
        looks
            Scales and flip instead of the one scale that extraction uses, as '1+flip'.

        """
        zoom = ZOOM.get(name, 1.0)
        head, flip, _ = (looks or str(SCALE)).partition('+flip')
        scales = ','.join(f'{float(scale) * zoom:.3g}' for scale in head.split(','))
        files = ','.join(map(str, self._weights))
        teacher = make_teacher(f'espnetv2:{files}@{scales}{flip}')
        if not adapted:
            return teacher
        path = self.out / 'teachers' / f'{name}@{scales}{flip}.safetensors'
        return adapt_once(teacher, [self.bag(name)], 0.5, 24, path)

    def cache(self, name: str, adapted: bool = True) -> CachedDistillationDrive:
        """Return a drive in the feature cache."""
        config = ExtractionConfig(
            rectified=(CAMERA,), distance=DISTANCE.get(name, 1.0),
            instants=(-12, -6, -3, 3, 6, 12), features=FEATURES)
        out = self.out / ('cache' if adapted else 'cache_plain')
        (folder,) = extract([self.bag(name)], out, self.teacher(name, adapted), config)
        return CachedDistillationDrive(folder)

    def true_frames(self, name: str, every: int = 1) -> Iterator[TrueFrame]:
        """Yield every n-th frame of a drive that has boxes, with them."""
        read = _read_tracklets if name == 'drive_0001' else _read_labels
        truths = read(source(name))
        found = frames(self.bag(name), rectified=(CAMERA,))
        for index, (frame, (own, truth)) in enumerate(zip(found, truths, strict=False)):
            if index % every == 0 and truth is not None and CAMERA in frame.views:
                yield TrueFrame(own, frame, truth)


def source(name: str) -> Path:
    """Return the folder of a drive; BagError where it is not at hand."""
    excerpt, folder = DRIVES[name]
    found = find_excerpt(excerpt)
    if found is None:
        raise BagError(f'the excerpt {excerpt} is not at hand: see KITTI_DATA')
    return found / folder


def _read_tracklets(drive: Path) -> Iterator[tuple[str, ObjectLabels | None]]:
    boxes = read_tracklets(drive / 'tracklet_labels.xml')
    nothing = np.zeros((0, 4), np.float32)
    for path in sweep_files(drive / 'velodyne_points' / 'data'):
        yield path.stem, ObjectLabels(boxes.get(int(path.stem), NO_BOXES), nothing)


def _read_labels(folder: Path) -> Iterator[tuple[str, ObjectLabels | None]]:
    for path in sweep_files(folder / 'velodyne'):
        labels = folder / 'label_2' / f'{path.stem}.txt'
        place = rectified0_from_lidar(read_calibration(folder / 'calib' / f'{path.stem}.txt'))
        yield path.stem, read_object_labels(labels, place) if labels.is_file() else None
