"""Training drives for the video segmenter from the masks of another one, with its tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import dataclasses

import numpy as np

from ..resizing import resize_picture
from ...config import setting
from ...inference.instance_masks import paint_instances
from ...inference.tracker import Tracker, TrackerConfig
from ...inference.video_models import VideoModel
from ...inference.video_segmenter import VideoPreprocessing
from ...records import Detections, Frame, Picture, Tracks, View


@dataclasses.dataclass(frozen=True)
class GuessedMasksConfig:
    """How the masks of a video segmenter become training drives."""

    cameras: tuple[str, ...] = setting((), 'names of the cameras, none for all')
    rectified: tuple[str, ...] = setting((), 'names of the cameras whose images are rectified')
    width: int = setting(
        VideoPreprocessing.width, 'width of the pictures made', unit='px', low=32, high=8192)
    height: int = setting(
        VideoPreprocessing.height, 'height of the pictures made', unit='px', low=32, high=8192)
    tracker: TrackerConfig = setting(TrackerConfig(), 'how detections become tracks')


def guess_masks(
    frames: Iterable[Frame], segment: VideoModel, config: GuessedMasksConfig
) -> Iterator[Frame]:
    """
    Yield frames whose pictures are labelled with the tracks that a video segmenter finds.

    Masks that no track has are neither examples nor background; all else is background.

    Parameters
    ----------
    frames
        Of a drive, in the order of their stamps; those without pictures are left out.
    segment
        Finds the instances, of classes of this package.
    config
        Size of the pictures, and tracks.

    """
    trackers: dict[str, Tracker] = {}
    for frame in frames:
        views = list(frame.views.values())
        if not views:
            continue
        found = segment([view.picture.rgb for view in views])
        yield dataclasses.replace(frame, views={
            view.name: _labelled(
                view, one, trackers.setdefault(view.name, Tracker(config.tracker)), config)
            for view, one in zip(views, found, strict=True)
        })


def _labelled(
    view: View, found: Detections, tracker: Tracker, config: GuessedMasksConfig
) -> View:
    tracks = tracker.update(found, view.picture.stamp)
    picture = label_by_tracks(view.picture, found, tracks)
    size = config.width, config.height
    return dataclasses.replace(
        view, picture=resize_picture(picture, *size), camera=view.camera.scaled(*size))


def label_by_tracks(picture: Picture, found: Detections, tracks: Tracks) -> Picture:
    """Return a picture with the classes and ids of tracks; of other detections the class alone."""
    rows = np.arange(1, len(found.score) + 1, dtype=np.uint16)
    shown, _ = paint_instances(rows, found.mask_logits, found.score, found.size)
    doubted = np.append(0, found.class_id)[shown]
    known = tracks.id_map > 0
    label = np.where(known, tracks.class_of_id[tracks.id_map], doubted).astype(np.uint8)
    return dataclasses.replace(picture, label=label, instance=tracks.id_map)
