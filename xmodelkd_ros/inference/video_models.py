"""The video segmenter that a user names."""

from __future__ import annotations

import os
from pathlib import Path

from .mask2former_segmenter import Mask2FormerSegmenter
from .video_segmenter import VideoSegmenter

VideoModel = VideoSegmenter | Mask2FormerSegmenter
PREFIX = 'transformers:'


def load_video_segmenter(
    model: str | os.PathLike[str], device: str = 'cpu', precision: str = 'auto'
) -> VideoModel:
    """
    Load a video segmenter.

    Parameters
    ----------
    model
        A checkpoint of this package, a folder of the transformers library that holds a
        Mask2Former, or `transformers:<name>` of one in its local cache.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    precision
        As a `VideoSegmenter` takes it; a Mask2Former has floats alone.

    Raises
    ------
    CheckpointError
        If it cannot be used.
    DeviceError
        If the device is not there.
    MissingDependencyError
        If it needs a package that is not installed.

    """
    text = os.fspath(model)
    if text.startswith(PREFIX) or Path(text).is_dir():
        return Mask2FormerSegmenter(text.removeprefix(PREFIX), device)
    return VideoSegmenter(text, device, precision)
