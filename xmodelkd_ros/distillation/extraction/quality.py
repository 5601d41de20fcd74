"""How good an extraction is: figures of a drive, and a picture to look at."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .drive_plan import DrivePlan
from .lookout import Lookout
from ..cache import CachedDistillationDrive
from ..cache_files import read_json, write_json, write_whole
from ..records import DistillationFrame
from ..student.carrying import own_labels
from ...drawing.colors import CLASS_COLORS, feature_colors
from ...drawing.panel import Panel
from ...evaluation.tables import format_table

REPORT, PICTURE = 'report.json', 'report.png'


@dataclasses.dataclass(frozen=True)
class DriveQuality:
    """
    Figures of an extracted drive.

    Parameters
    ----------
    frames
        Keyframes.
    offset_mean, offset_max
        Time between a sweep and its own picture, absolute, s; NaN without pictures.
    seen
        Share of the points that some picture shows.
    views
        Views of a point that some picture shows, mean.
    moving
        Share of the points that are masked as moving; NaN where nothing could tell.
    size
        Bytes of a keyframe in the cache.
    duration
        s of the bag from the first keyframe to the last.
    seconds
        Time that a keyframe took in this run, s; NaN if all were there.

    """

    frames: int
    offset_mean: float
    offset_max: float
    seen: float
    views: float
    moving: float
    size: float
    duration: float
    seconds: float


def measure_drive(drive: CachedDistillationDrive, seconds: float = np.nan) -> DriveQuality:
    """Return the figures of a drive; `seconds` is the time that a keyframe took."""
    cameras = len(drive.manifest['cameras'])
    frames_seen = [_FrameFigures.of(drive.frame(n), cameras) for n in range(len(drive))]
    table = {
        field.name: np.array([getattr(figures, field.name) for figures in frames_seen])
        for field in dataclasses.fields(_FrameFigures)
    }
    offset = table['offset'][np.isfinite(table['offset'])]
    told = np.isfinite(table['moving'])
    size = sum(shard['bytes'] for shard in drive.manifest['shards'])
    return DriveQuality(
        frames=len(drive),
        offset_mean=_ratio(offset.sum(), len(offset)),
        offset_max=float(offset.max(initial=np.nan if len(offset) == 0 else 0)),
        seen=_ratio(table['seen'].sum(), table['points'].sum()),
        views=_ratio(table['views'].sum(), table['seen'].sum()),
        moving=_ratio(table['moving'][told].sum(), table['points'][told].sum()),
        size=_ratio(size, len(drive)),
        duration=float(np.ptp(table['stamp'])) * 1e-9 if len(drive) else 0.0,
        seconds=seconds)


@dataclasses.dataclass(frozen=True)
class _FrameFigures:
    """Counts of a keyframe's points; `moving` and `offset`, s, NaN where they are not known."""

    stamp: int
    points: int
    seen: int
    views: int
    moving: float
    offset: float

    @classmethod
    def of(cls, frame: DistillationFrame, cameras: int) -> _FrameFigures:
        views = frame.views
        delay = np.abs(views.delay[views.view < cameras])
        return cls(
            frame.cloud.stamp, len(frame.cloud.points), len(np.unique(views.point)), len(views),
            np.nan if frame.moving is None else float(frame.moving.sum()),
            float(delay.max()) if len(delay) else np.nan)


def _ratio(value: float, by: float) -> float:
    return float(value / by) if by else np.nan


def quality_table(qualities: Mapping[str, DriveQuality]) -> str:
    """Return the figures of drives, by name, as a table."""
    headers = (
        'drive', 'keyframes', 'drive [s]', 'offset [ms]', 'max [ms]', 'points seen [%]',
        'views a point', 'moving [%]', 'MB a frame', 's a frame')
    return format_table(headers, [
        (name, q.frames, q.duration, 1e3 * q.offset_mean, 1e3 * q.offset_max, 100 * q.seen,
         q.views, 100 * q.moving, 1e-6 * q.size, q.seconds)
        for name, q in qualities.items()
    ])


def read_report(folder: Path) -> DriveQuality:
    """Return the figures that were written when a drive was extracted."""
    values = read_json(folder / REPORT)
    known: dict[str, Any] = {n: np.nan if v is None else v for n, v in values.items()}
    return DriveQuality(**known)


def write_report(plan: DrivePlan, drive: CachedDistillationDrive, seconds: float) -> None:
    """Write a picture of a drive's middle keyframe with views, then its figures as JSON."""
    middle = _middle_seen(drive)
    if middle is not None:
        written, data = cv2.imencode('.png', draw_keyframe(plan, middle)[..., ::-1])
        assert written
        write_whole(drive.folder / PICTURE, data.tobytes())
    quality = dataclasses.asdict(measure_drive(drive, seconds))
    write_json(drive.folder / REPORT, {
        name: None if np.isnan(value) else value for name, value in quality.items()})


def _middle_seen(drive: CachedDistillationDrive) -> DistillationFrame | None:
    """Return the keyframe with views that is nearest to the middle of the drive."""
    for index in sorted(range(len(drive)), key=lambda index: abs(2 * index - len(drive))):
        frame = drive.frame(index)
        if len(frame.views):
            return frame
    return None


def draw_keyframe(plan: DrivePlan, keyframe: DistillationFrame) -> np.ndarray:
    """
    Return a picture (h, w, 3) uint8 of a keyframe: its points in the teacher's colours.

    Those of its classes, or of a teacher without classes those of its features.
    """
    stamp = keyframe.cloud.stamp
    for frame in Lookout(plan).frames([stamp]):
        label, _ = own_labels(keyframe)
        colors = _feature_colors(keyframe) if keyframe.views.probability is None else None
        title = f'{plan.source.name}, {stamp / 1e9:.3f} s: what the teacher says'
        placed = dataclasses.replace(
            frame, cloud=dataclasses.replace(frame.cloud, points=keyframe.points_at_stamp))
        none = np.zeros(len(label), np.uint16)
        return Panel().draw(placed, label, none, {}, title=title, colors=colors)
    raise AssertionError('a keyframe that was extracted is in its bag')


def _feature_colors(keyframe: DistillationFrame) -> np.ndarray:
    """Return (N, 3) uint8: colours of what the first view of each point says, grey without one."""
    colors = np.tile(CLASS_COLORS[0], (len(keyframe.cloud.points), 1))
    point, first = np.unique(keyframe.views.point, return_index=True)
    colors[point] = feature_colors(keyframe.views.feature[first])
    return colors
