"""Video files and pictures on disk, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from ..errors import XModelKDError
from ..files import whole_file

CODECS = {'.mp4': 'mp4v', '.webm': 'VP80', '.avi': 'MJPG'}
"""Codec by file name suffix: of those that OpenCV's wheels write, the one that most play."""


class VideoFile:
    """
    A video that appears under its name when it is complete; if the block fails, nothing is left.

    Where OpenCV was built without the codec of the suffix, an .avi with JPEG pictures, which it
    always can write, takes its place, and `path` says so.

    Parameters
    ----------
    path
        File to write: .mp4, .webm or .avi.
    rate
        Pictures per second.

    Raises
    ------
    XModelKDError
        If the suffix is another, or the file cannot be written.

    """

    def __init__(self, path: Path | str, rate: float) -> None:
        self.path = Path(path)
        self._rate = rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        if self.path.suffix not in CODECS:
            raise XModelKDError(f'{path}: a video ends in {", ".join(CODECS)}')

    def __enter__(self) -> VideoFile:
        return self

    def write(self, rgb: np.ndarray) -> None:
        """Add a picture (H, W, 3) uint8; all have the size of the first, cut to even numbers."""
        height, width = (edge - edge % 2 for edge in rgb.shape[:2])
        if self._writer is None:
            self._size = (width, height)
            self._writer = self._open()
        if (width, height) != self._size:
            raise ValueError(f'a picture of {(width, height)} in a video of {self._size} pixels')
        self._writer.write(cv2.cvtColor(rgb[:height, :width], cv2.COLOR_RGB2BGR))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is None:
            return
        self._writer.release()
        if kind is None:
            self._partial.replace(self.path)
        else:
            self._partial.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f'.{self.path.stem}.partial{self.path.suffix}')

    def _open(self) -> cv2.VideoWriter:
        for suffix in dict.fromkeys((self.path.suffix, '.avi')):
            self.path = self.path.with_suffix(suffix)
            codec = cv2.VideoWriter.fourcc(*CODECS[suffix])
            writer = cv2.VideoWriter(str(self._partial), codec, self._rate, self._size)
            if writer.isOpened():
                return writer
            self._partial.unlink(missing_ok=True)
        raise XModelKDError(f'cannot write a video to {self.path}')


def save_picture(path: Path | str, rgb: np.ndarray) -> None:
    """
    Write a picture (H, W, 3) uint8 as .png or .jpg.

    Raises
    ------
    XModelKDError
        If the suffix is another or the file cannot be written.

    """
    path = Path(path)
    if path.suffix not in ('.png', '.jpg'):
        raise XModelKDError(f'{path}: a picture ends in .png or .jpg')
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    try:
        with whole_file(path) as partial:
            partial.write_bytes(data.tobytes())
    except OSError as error:
        raise XModelKDError(f'cannot write {path}: {error.strerror}') from None


def stack_pictures(pictures: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Return pictures (H, W, 3) uint8 one below the other, all resized to `width`."""
    return np.concatenate([_fit(picture, width) for picture in pictures])


def _fit(rgb: np.ndarray, width: int) -> np.ndarray:
    if rgb.shape[1] == width:
        return rgb
    height = round(rgb.shape[0] * width / rgb.shape[1])
    shrinks = width < rgb.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(rgb, (width, height), interpolation=interpolation)
