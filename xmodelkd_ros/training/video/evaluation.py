"""Scores of a video segmenter with its tracker on labelled drives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..cache import cached_drives, CachedDrive
from ...errors import BagError
from ...evaluation.environment import describe_model
from ...evaluation.video import TrackEvaluation, TrackScoreConfig
from ...inference.tracker import Tracker
from ...inference.video_models import load_video_segmenter, VideoModel
from ...labels import SemanticClass
from ...records import Picture, Tracks

Track = Callable[[Iterable[tuple[int, np.ndarray]]], Iterable[Tracks]]


def evaluate_video(
    bags: Sequence[str | Path], model: Path, device: str, cache: Path,
    config: TrackScoreConfig, precision: str = 'auto',
) -> str:
    """
    Return AP, AP50, AP75, AR1, AR10 by class and by part, and the id switches, as tables.

    Below them is which model it was.

    Parameters
    ----------
    bags
        Labelled bags, or folders of the array cache; each camera of each is a video.
    model
        A checkpoint of the kind 'video', or what else `load_video_segmenter` takes.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    cache
        Where bags are kept as arrays.
    config
        What counts.
    precision
        As `VideoSegmenter` takes it.

    Raises
    ------
    BagError
        If a bag has no camera, or no true instances.

    """
    segment = load_video_segmenter(model, device, precision)
    drives = cached_drives(bags, cache)
    scores = score_drives(drives, segment.classes, follow(segment), config)
    return f'{scores}\n\n{describe_model(model, segment.sha256)}'


def follow(segment: VideoModel) -> Track:
    """Return what tracks pictures one by one with a video segmenter, each drive anew."""
    def track(pictures: Iterable[tuple[int, np.ndarray]]) -> Iterator[Tracks]:
        tracker = Tracker()
        for stamp, rgb in pictures:
            found, = segment([rgb])
            yield tracker.update(found, stamp)

    return track


def score_drives(
    drives: Sequence[CachedDrive], classes: Sequence[SemanticClass], track: Track,
    config: TrackScoreConfig,
) -> str:
    """
    Return the scores over all cameras of labelled drives as tables.

    Raises
    ------
    BagError
        If a drive has no camera, or no true instances.

    """
    evaluation = TrackEvaluation(config, tuple(classes))
    for drive in drives:
        if not drive.cameras:
            raise BagError(f'{drive.folder} has no pictures')
        for camera in drive.cameras:
            score_drive(drive, camera, track, evaluation)
    counted = f'tracks whose largest mask is below {config.min_pixels} pixels do not count'
    return f'{evaluation.table()}\n\n{counted}'


def score_drive(
    drive: CachedDrive, camera: str, track: Track, evaluation: TrackEvaluation, every: int = 1
) -> None:
    """
    Add the tracks of a camera of a labelled drive to an evaluation.

    Parameters
    ----------
    drive, camera
        Its pictures have true instances.
    track
        Stamps, ns, and (H, W, 3) pictures to the tracks of each, in order; it may look ahead.
    evaluation
        Counts them.
    every
        Looks at every n-th picture.

    Raises
    ------
    BagError
        If a picture has no true instances.

    """
    ahead: deque[Picture] = deque()  # shown, but not yet answered

    def shown() -> Iterator[tuple[int, np.ndarray]]:
        for index in range(0, len(drive), every):
            picture = drive.picture(index, camera)
            if picture is not None:
                ahead.append(picture)
                yield picture.stamp, picture.rgb

    for tracks in track(shown()):
        picture = ahead.popleft()
        if picture.label is None or picture.instance is None:
            raise BagError(f'{drive.folder} has no true instances in its pictures')
        evaluation.add(f'{drive.folder}/{camera}', picture.instance, picture.label, tracks)
    if ahead:
        raise ValueError(f'{len(ahead)} pictures without an answer')
