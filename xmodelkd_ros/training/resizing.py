"""Pictures at other sizes, with their labels."""

from __future__ import annotations

import dataclasses

import cv2

from ..inference.video_segmenter import resize
from ..records import Picture


def resize_picture(picture: Picture, width: int, height: int) -> Picture:
    """Return a picture, with label and instance where it has them, at another size in pixels."""
    if picture.rgb.shape[:2] == (height, width):
        return picture
    size = width, height
    label, instance = (
        None if ids is None else cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)
        for ids in (picture.label, picture.instance)
    )
    rgb = resize(picture.rgb, width, height)  # as the predictor does
    return dataclasses.replace(picture, rgb=rgb, label=label, instance=instance)
