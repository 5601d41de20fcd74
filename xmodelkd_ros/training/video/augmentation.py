"""Random changes to training clips: framing, colours, and the faults of real cameras."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import cv2
import numpy as np

from ...config import setting
from ...records import Picture


@dataclasses.dataclass(frozen=True)
class VideoAugmentationConfig:
    """How much training clips are changed."""

    flip: float = setting(0.5, 'chance of a mirror image', low=0.0, high=1.0)
    zoom: float = setting(1.5, 'largest magnification', low=1.0, high=4.0)
    shrink: float = setting(1.6, 'largest reduction', low=1.0, high=4.0)
    stretch: float = setting(0.1, 'largest change of the aspect ratio', low=0.0, high=0.5)
    shake: float = setting(0.02, 'movement between frames, in image widths', low=0.0, high=0.2)
    tone: float = setting(0.35, 'change of brightness, contrast and gamma', low=0.0, high=1.0)
    saturation: float = setting(0.6, 'change of saturation', low=0.0, high=1.0)
    fault: float = setting(0.35, 'chance of each of blur, noise and JPEG', low=0.0, high=1.0)


def augment(
    clip: Sequence[Picture],
    size: tuple[int, int],
    config: VideoAugmentationConfig,
    random: np.random.Generator,
    focus: tuple[float, float] | None = None,
) -> list[Picture]:
    """
    Change the pictures of a clip alike, but for small differences from frame to frame.

    Parameters
    ----------
    clip
        Pictures of one size with true labels and instances.
    size
        (H, W) of the results.
    config
        How much they are changed.
    random
        Source of chance.
    focus
        x, y in the first picture of what the results should show.

    Returns
    -------
    list of Picture
        Label and instance are 0 outside of the original picture.

    """
    frame = _frame(clip[0].rgb.shape[:2], size, config, random, focus)
    color, curve = _mixing(config, random), _tone_curve(config.tone, random)
    result = []
    for picture in clip:
        shaken = frame.copy()
        shaken[:, 2] += random.uniform(-1, 1, 2) * config.shake * size[1] * np.array([1.0, 0.3])
        shaken[:, :2] *= 1 + random.uniform(-1, 1) * config.shake
        moved = _reframe(picture, shaken, size)
        rgb = cv2.LUT(cv2.transform(moved.rgb, color), curve)
        rgb = cv2.LUT(rgb, _tone_curve(0.2 * config.tone, random))
        rgb = spoil(rgb, config.fault, random)
        result.append(dataclasses.replace(moved, rgb=rgb))
    return result


def spoil(rgb: np.ndarray, chance: float, random: np.random.Generator) -> np.ndarray:
    """
    Add the faults of real cameras, each by its own chance: blur, noise, JPEG blocks.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    chance
        Of each fault.
    random
        Source of chance.

    """
    blurred, noisy, blocky = random.random(3) < chance
    if blurred:
        rgb = cv2.GaussianBlur(rgb, (0, 0), random.uniform(0.4, 1.3))
    if noisy:
        noise = random.standard_normal(rgb.shape, np.float32) * random.uniform(2, 12)
        rgb = cv2.add(rgb, noise, dtype=cv2.CV_8U)
    if blocky:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 95))]
        coded = cv2.imencode('.jpg', rgb, quality)[1]
        rgb = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return rgb


def _frame(
    source: tuple[int, ...],
    size: tuple[int, int],
    config: VideoAugmentationConfig,
    random: np.random.Generator,
    focus: tuple[float, float] | None,
) -> np.ndarray:
    """Return the (2, 3) affine map from a picture to its new frame."""
    zoom = np.exp(random.uniform(-np.log(config.shrink), np.log(config.zoom)))
    stretch = 1 + random.uniform(-1, 1) * config.stretch
    scale_x, scale_y = zoom * stretch, zoom / stretch
    scale = np.array([scale_x, scale_y])
    free = np.array(size[::-1]) - scale * source[1::-1]
    moved = free * random.random(2)
    if focus is not None:
        wanted = size[::-1] * random.uniform(0.2, 0.8, 2) - scale * focus
        moved = np.clip(wanted, np.minimum(free, 0), np.maximum(free, 0))
    frame = np.array([[scale_x, 0, moved[0]], [0, scale_y, moved[1]]])
    if random.random() < config.flip:
        frame[0] = -frame[0, 0], 0, size[1] - frame[0, 2]
    return frame


def _reframe(picture: Picture, frame: np.ndarray, size: tuple[int, int]) -> Picture:
    def warp(image: np.ndarray, flags: int, border: tuple[int, ...]) -> np.ndarray:
        shape = (size[1], size[0])
        return cv2.warpAffine(image, frame, shape, flags=flags, borderValue=border)

    label, instance = picture.label, picture.instance
    return Picture(
        stamp=picture.stamp,
        rgb=warp(picture.rgb, cv2.INTER_LINEAR, (110, 110, 110)),
        label=None if label is None else warp(label, cv2.INTER_NEAREST, (0,)),
        instance=None if instance is None else warp(instance, cv2.INTER_NEAREST, (0,)),
        frame=picture.frame,
    )


def _mixing(config: VideoAugmentationConfig, random: np.random.Generator) -> np.ndarray:
    """Return a (3, 3) matrix that changes saturation and white balance."""
    saturation = 1 + random.uniform(-1, 0.5) * config.saturation
    gray = np.full((3, 3), 1 / 3)
    balance = 1 + random.uniform(-0.3, 0.3, 3) * config.tone
    return balance[:, None] * (saturation * np.eye(3) + (1 - saturation) * gray)


def _tone_curve(strength: float, random: np.random.Generator) -> np.ndarray:
    """Return a (256,) uint8 curve of random gamma, contrast and brightness."""
    gamma, contrast = np.exp(random.uniform(-strength, strength, 2))
    value = (np.arange(256) / 255) ** gamma
    value = (value - 0.5) * contrast + 0.5 + random.uniform(-0.4, 0.4) * strength
    return np.clip(255 * value, 0, 255).astype(np.uint8)
