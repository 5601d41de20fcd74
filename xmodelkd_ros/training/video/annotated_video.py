"""A video with instances told by run lengths or polygons, read as cached drives are."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..cache import CachedDrive
from ..resizing import resize_picture
from ...errors import BagError, needed
from ...records import Picture

RATE = 6.0
"""Pictures of YouTube-VIS and OVIS per second: every fifth frame of a video."""

_MULTIPLE = 4


@dataclasses.dataclass(frozen=True)
class Annotation:
    """
    An instance of a video.

    Parameters
    ----------
    class_id
        Its class; 0 for a category that stands for none.
    is_crowd
        Whether it is many that nobody told apart.
    segmentations
        Of each frame, as in the file; None where it is not seen.

    """

    class_id: int
    is_crowd: bool
    segmentations: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class AnnotatedVideo(CachedDrive):
    """
    A video of such a data set.

    Parameters
    ----------
    video_id
        Its id there.
    files
        Its pictures.
    size
        (H, W) of the pictures, which its segmentations have.
    annotations
        Its instances; None where the data set does not tell them.
    longest
        Longer side that pictures are reduced to, pixels, in multiples of 4; 0 leaves them.

    """

    video_id: int
    files: tuple[Path, ...]
    size: tuple[int, int]
    annotations: tuple[Annotation, ...] | None
    longest: int

    def cloud(self, index: int) -> Any:
        """Raise BagError: there are no sweeps."""
        raise BagError(f'{self.folder} is a video, it has no sweeps')

    def picture(self, index: int, camera: str) -> Picture:
        """
        Return a picture, its stamps `RATE` apart; label and instance where they are told.

        Instance ids are those of `annotations`, counted from 1; where two lie over one another
        the smaller one has the pixel. A crowd has its class, but no instance.
        """
        rgb = _read(self.files[index], self.size)
        label = instance = None
        if self.annotations is not None:
            label, instance = self._truth(index, self.annotations)
        picture = Picture(round(index * 1e9 / RATE), rgb, label, instance, camera)
        return _reduce(picture, self.longest) if self.longest else picture

    def _truth(
        self, index: int, annotations: Sequence[Annotation]
    ) -> tuple[np.ndarray, np.ndarray]:
        label, instance = np.zeros(self.size, np.uint8), np.zeros(self.size, np.uint16)
        found = [
            (decode(one.segmentations[index], self.size), number, one)
            for number, one in enumerate(annotations, 1)
            if one.class_id and one.segmentations[index] is not None
        ]
        for mask, number, one in sorted(found, key=lambda item: -int(item[0].sum())):
            label[mask], instance[mask] = one.class_id, 0 if one.is_crowd else number
        return label, instance


def decode(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """
    Return a segmentation as (H, W) bool.

    Parameters
    ----------
    segmentation
        Run lengths, as text or numbers, with their size; or a list of polygons x, y, x, y, ...
    size
        (H, W) of the video.

    Raises
    ------
    BagError
        If it is none of these, or of another size.
    MissingDependencyError
        If pycocotools is not installed.

    """
    masks = coco_masks()
    try:
        if isinstance(segmentation, list):
            runs = masks.merge(masks.frPyObjects(segmentation, *size))
        elif isinstance(segmentation['counts'], list):
            runs = masks.frPyObjects(segmentation, *size)
        else:
            runs = segmentation
        mask = masks.decode(runs).astype(bool)
    except Exception as error:  # whatever the library makes of bad values
        raise BagError(f'not a segmentation: {str(segmentation)[:80]} ({error!r})') from error
    if mask.shape != size:
        raise BagError(f'a segmentation of {mask.shape} in a video of {size} pixels')
    return mask


def coco_masks() -> Any:
    """Return `pycocotools.mask`; MissingDependencyError where it is not installed."""
    with needed('read and write run lengths'):
        from pycocotools import mask
    return mask


def _read(file: Path, size: tuple[int, int]) -> np.ndarray:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None or image.shape[:2] != size:
        found = 'no picture' if image is None else f'of {image.shape[:2]} pixels'
        raise BagError(f'{file} is {found}, {size} are needed')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _reduce(picture: Picture, longest: int) -> Picture:
    height, width = picture.rgb.shape[:2]
    scale = min(1.0, longest / max(height, width))
    columns, rows = (max(int(n * scale) // _MULTIPLE, 1) * _MULTIPLE for n in (width, height))
    return resize_picture(picture, columns, rows)
