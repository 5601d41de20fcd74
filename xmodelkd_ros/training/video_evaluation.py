"""Scores of a video segmenter with its tracker on labelled drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .cache import cached_drives
from ..errors import BagError
from ..evaluation.video import TrackEvaluation
from ..inference.tracker import Tracker
from ..inference.video_models import load_video_segmenter


def evaluate_video(
    bags: Sequence[str | Path], model: Path, device: str, cache: Path
) -> str:
    """
    Return AP, AP50, AP75, AR1, AR10 by class and by part, and the id switches, as tables.

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

    Raises
    ------
    BagError
        If a bag has no camera, or no true instances.

    """
    segment = load_video_segmenter(model, device)
    evaluation = TrackEvaluation(classes=segment.classes)
    for drive in cached_drives(bags, cache):
        if not drive.cameras:
            raise BagError(f'{drive.folder} has no pictures')
        for camera in drive.cameras:
            tracker = Tracker()
            for index in range(len(drive)):
                picture = drive.picture(index, camera)
                if picture is None:
                    continue
                if picture.label is None or picture.instance is None:
                    raise BagError(f'{drive.folder} has no true instances in its pictures')
                found, = segment([picture.rgb])
                tracks = tracker.update(found, picture.stamp)
                video = f'{drive.folder}/{camera}'
                evaluation.add(video, picture.instance, picture.label, tracks)
    return evaluation.table()
