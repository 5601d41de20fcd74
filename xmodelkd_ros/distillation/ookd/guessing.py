"""
Drives without labels become drives to learn from: the offline teacher tracks whole sequences.

What the filter of QFA does without truth: a track is an example where its score and the agreement
of its masks over time can be believed. The cells of other tracks are neither examples nor
background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from .queries import filter_by_agreement, mask_agreement, QueryFilterConfig
from ...config import to_mapping
from ...inference.clip_segmenter import load_clip_segmenter
from ...records import Cloud, Picture, Tracks
from ...training.cache import CachedDrive, open_or_make, write_moments
from ...training.resizing import resize_picture

Segment = Callable[[Iterable[tuple[int, np.ndarray]]], Iterable[Tracks]]
"""Stamp and image of a sequence in, the tracks of each image out, as `ClipSegmenter`."""

_IDS = 1 + np.iinfo(np.uint16).max


class TrackEvidence:
    """What speaks for each track of one camera: its scores, and how alike its masks are."""

    def __init__(self) -> None:
        self._score, self._agreement = np.zeros((2, _IDS))
        self._sights, self._pairs = np.zeros((2, _IDS), int)
        self._last = np.zeros(0, np.uint16), np.zeros((0, 0), np.uint16)

    def add(self, tracks: Tracks) -> None:
        """Count the tracks of the next image."""
        ids = tracks.track_id
        self._score[ids] += tracks.score
        self._sights[ids] += 1
        both = np.intersect1d(ids, self._last[0])
        maps = self._last[1], tracks.id_map
        if len(both):
            masks = np.stack([one == both[:, None, None] for one in maps])  # 2 x K x H x W
            self._agreement[both] += mask_agreement(torch.from_numpy(masks)).numpy()
            self._pairs[both] += 1
        self._last = ids, tracks.id_map

    @property
    def seen(self) -> np.ndarray:
        """(65536,) bool by id."""
        return self._sights > 0

    def believed(self, config: QueryFilterConfig) -> np.ndarray:
        """Return (65536,) bool by id."""
        score = self._score / self._sights.clip(min=1)
        agreement = self._agreement / self._pairs.clip(min=1)
        return self.seen & filter_by_agreement(score, agreement, config)


@dataclasses.dataclass(frozen=True)
class _Guess:
    """The tracks of an image: the class of each id, and the map of ids as PNG."""

    class_of_id: np.ndarray
    id_map: np.ndarray

    def label(self, picture: Picture, believed: np.ndarray) -> Picture:
        id_map = np.asarray(cv2.imdecode(self.id_map, cv2.IMREAD_UNCHANGED))
        instance = np.where(believed[id_map], id_map, 0)
        return dataclasses.replace(picture, label=self.class_of_id[id_map], instance=instance)


def guess_drives(
    drives: Sequence[CachedDrive], teacher: str, config: QueryFilterConfig,
    size: tuple[int, int], cache: Path,
) -> list[CachedDrive]:
    """
    Label drives, each once: those that are in the cache already are opened.

    Parameters
    ----------
    drives
        With pictures; labels are not looked at.
    teacher
        Checkpoint of the clip network.
    config
        Which tracks are believed.
    size
        Width and height that pictures are brought to: those of the student's input.
    cache
        Where the labelled drives are kept.

    """
    segment = load_clip_segmenter(teacher, 'auto')

    def guess(drive: CachedDrive, folder: Path) -> None:
        moments = guess_drive(drive, segment, config, size)
        write_moments(moments, folder, f'{drive.folder}, labelled by {teacher}')

    guessed = []
    for drive in drives:
        told = [str(drive.folder.resolve()), segment.sha256, to_mapping(config), size]
        key = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
        folder = cache / f'{drive.folder.name}-guessed-{key}'
        guessed.append(open_or_make(folder, functools.partial(guess, drive, folder)))
    return guessed


def guess_drive(
    drive: CachedDrive, segment: Segment, config: QueryFilterConfig, size: tuple[int, int]
) -> Iterator[tuple[Cloud, dict[str, Picture]]]:
    """Yield the moments of a drive without points, the pictures labelled by the teacher."""
    guesses, believed = {}, {}
    for camera in drive.cameras:
        found, evidence = _track(drive, camera, segment, size)
        guesses[camera], believed[camera] = iter(found), evidence.believed(config)
        trusted, seen = believed[camera].sum(), evidence.seen.sum()
        print(f'{drive.folder} {camera}: {trusted} of {seen} tracks are believed')
    for index in range(len(drive)):
        pictures = {camera: _picture(drive, index, camera, size) for camera in drive.cameras}
        labelled = {
            camera: next(guesses[camera]).label(picture, believed[camera])
            for camera, picture in pictures.items() if picture is not None
        }
        stamp = min((picture.stamp for picture in labelled.values()), default=0)
        yield Cloud(stamp, np.zeros((0, 3), np.float32)), labelled


def _track(
    drive: CachedDrive, camera: str, segment: Segment, size: tuple[int, int]
) -> tuple[list[_Guess], TrackEvidence]:
    """Follow the instances of one camera through the whole drive."""
    pictures = (_picture(drive, index, camera, size) for index in range(len(drive)))
    evidence, guesses = TrackEvidence(), []
    for tracks in segment((p.stamp, p.rgb) for p in pictures if p is not None):
        evidence.add(tracks)
        guesses.append(_Guess(tracks.class_of_id, cv2.imencode('.png', tracks.id_map)[1]))
    return guesses, evidence


def _picture(
    drive: CachedDrive, index: int, camera: str, size: tuple[int, int]
) -> Picture | None:
    picture = drive.picture(index, camera)
    return picture and resize_picture(picture, *size)
