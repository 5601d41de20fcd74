"""
The predictor of the offline teacher: a whole sequence of images in, the tracks of each image out.

The sequence goes through in overlapping windows: what is said about an image comes from a clip of
which it is a part. Each image is looked at once; its queries and cells are kept while a window
still needs them, so memory does not grow with the sequence. The tracker of the online model gives
the ids, here from embeddings that know the clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import os

import numpy as np
import torch

from .devices import place_network, select_device, upload
from .tracker import Tracker, TrackerConfig
from .video_segmenter import detections, resize, VideoPreprocessing
from ..config import setting
from ..labels import SemanticClass
from ..networks.checkpoint import load_checkpoint, load_config, load_weights
from ..networks.clip_network import ClipNetwork, ClipNetworkConfig
from ..networks.clip_output import FrameTokens
from ..networks.video_masks import PixelOutput, QueryOutput
from ..records import Detections, Tracks


@dataclasses.dataclass(frozen=True)
class ClipWindowConfig:
    """How a sequence is cut into windows, and how ids go from one to the next."""

    length: int = setting(3, 'images of a window', low=2, high=60)
    overlap: int = setting(1, 'images that neighbouring windows share', low=1, high=59)
    tracker: TrackerConfig = setting(TrackerConfig(), 'how tracks go on')


@dataclasses.dataclass(frozen=True)
class _Look:
    """An image that a window still needs: its stamp, size, queries and cells."""

    stamp: int
    size: tuple[int, int]
    tokens: FrameTokens
    pixels: PixelOutput


class ClipSegmenter:
    """
    Finds and tracks the instances of whole sequences.

    Parameters
    ----------
    network
        In evaluation mode, on its device.
    preprocessing
        What turns an image into its input.
    classes
        Row c is the class of output channel c.
    config
        How sequences are cut into windows.
    sha256
        Of the checkpoint it is from.

    """

    def __init__(
        self,
        network: ClipNetwork,
        preprocessing: VideoPreprocessing,
        classes: Sequence[SemanticClass],
        config: ClipWindowConfig = ClipWindowConfig(),
        sha256: str = '',
    ) -> None:
        self.classes, self.sha256 = tuple(classes), sha256
        self._network, self._preprocessing, self._config = network, preprocessing, config
        self._device = network.sharpness.device
        self._looks: list[_Look] = []

    @property
    def memory_size(self) -> int:
        """Count the images in memory."""
        return len(self._looks)

    @torch.inference_mode()
    def __call__(self, images: Iterable[tuple[int, np.ndarray]]) -> Iterator[Tracks]:
        """
        Yield the tracks of each image, in order, once no later window would change them.

        Parameters
        ----------
        images
            Stamp in ns and (H, W, 3) uint8 RGB; a stamp before the last one ends the sequence and
            begins another, whose ids are new.

        """
        tracker, self._looks = Tracker(self._config.tracker), []
        step = max(1, self._config.length - self._config.overlap)
        for stamp, image in images:
            if self._looks and stamp < self._looks[-1].stamp:
                yield from self._finish(tracker, len(self._looks))
            self._looks.append(self._look(stamp, image))
            if len(self._looks) == self._config.length:
                yield from self._finish(tracker, step)
        yield from self._finish(tracker, len(self._looks))

    def _look(self, stamp: int, image: np.ndarray) -> _Look:
        shape = self._preprocessing
        batch = resize(image, *shape.size)[None]
        mean, deviation = (
            torch.tensor(v, device=self._device) for v in (shape.mean, shape.deviation))
        normalised = ((upload(batch, self._device) - mean) / deviation).permute(0, 3, 1, 2)
        dtype = next(self._network.frame.parameters()).dtype
        tokens, pixels = self._network.look(normalised.to(dtype))
        return _Look(stamp, (image.shape[0], image.shape[1]), tokens, pixels)

    def _finish(self, tracker: Tracker, count: int) -> Iterator[Tracks]:
        """Relate the images in memory; yield the tracks of the first `count` and forget them."""
        looks, self._looks = self._looks, self._looks[count:]
        if looks:
            for look, found in zip(looks, self._relate(looks, count), strict=False):
                yield tracker.update(found, look.stamp)

    def _relate(self, looks: Sequence[_Look], count: int) -> list[Detections]:
        """Return what the window says about its first `count` images."""
        clip = self._network.relate(_stack(look.tokens for look in looks), len(looks))
        absent = (clip.presence <= 0)[..., None]
        queries = clip.queries._replace(
            class_logits=clip.queries.class_logits.masked_fill(absent, -torch.inf))
        pixels = PixelOutput(*map(torch.cat, zip(*(look.pixels for look in looks), strict=True)))
        return detections(
            QueryOutput(*(value[:count] for value in queries)),
            PixelOutput(*(value[:count] for value in pixels)),
            self.classes, [look.size for look in looks[:count]], self._preprocessing.score_floor)


def load_clip_segmenter(
    path: str | os.PathLike[str],
    device: str = 'cpu',
    config: ClipWindowConfig = ClipWindowConfig(),
) -> ClipSegmenter:
    """
    Load the offline teacher.

    Parameters
    ----------
    path
        A checkpoint of the kind 'clip'.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    config
        How sequences are cut into windows.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.
    DeviceError
        If the device is not there.

    """
    where = select_device(device)
    checkpoint = load_checkpoint(path, 'clip')
    network = ClipNetwork(load_config(ClipNetworkConfig, checkpoint.network, path))
    load_weights(network, checkpoint, path)
    preprocessing = load_config(VideoPreprocessing, checkpoint.preprocessing, path)
    network = network.eval().to(where)
    place_network(network.frame, where)
    return ClipSegmenter(
        network, preprocessing, checkpoint.classes, config, checkpoint.sha256)


def _stack(tokens: Iterable[FrameTokens]) -> FrameTokens:
    """Return the tokens of single frames as those of a clip."""
    hidden, queries, origin = zip(*tokens, strict=True)
    together = QueryOutput(*map(torch.cat, zip(*queries, strict=True)))
    return FrameTokens(torch.cat(hidden), together, torch.cat(origin))
