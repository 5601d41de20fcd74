"""
The predictor of the offline teacher: a whole sequence of images in, the tracks of each image out.

The sequence goes through in overlapping windows. Each image is looked at once; its queries and
cells are kept while a window still needs them, so memory does not grow with the sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import os

import numpy as np
import torch

from .clip_stitching import ClipInstances, Stitcher, StitchingConfig
from .devices import compute_dtype, download, select_device, upload
from .instance_masks import paint_instances, resolve_overlaps
from .video_segmenter import resize, VideoPreprocessing
from ..config import setting
from ..labels import SemanticClass
from ..networks.checkpoint import load_checkpoint, load_config, load_weights
from ..networks.clip_network import ClipNetwork, ClipNetworkConfig
from ..networks.clip_output import clip_mask_logits, FrameTokens
from ..networks.video_masks import PixelOutput, QueryOutput
from ..records import Tracks


@dataclasses.dataclass(frozen=True)
class ClipWindowConfig:
    """How a sequence is cut into windows, and what of them counts."""

    length: int = setting(5, 'images of a window', low=2, high=60)
    overlap: int = setting(3, 'images that neighbouring windows share', low=1, high=59)
    min_score: float = setting(0.2, 'instances below this score are dropped', low=0.0, high=1.0)
    min_visible: float = setting(
        0.6, 'part of its masks that an instance must keep beside better ones', low=0.0, high=1.0)
    stitching: StitchingConfig = setting(StitchingConfig(), 'how windows are joined')


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

    """

    def __init__(
        self,
        network: ClipNetwork,
        preprocessing: VideoPreprocessing,
        classes: Sequence[SemanticClass],
        config: ClipWindowConfig = ClipWindowConfig(),
    ) -> None:
        self.classes = tuple(classes)
        self._network, self._preprocessing, self._config = network, preprocessing, config
        self._device = network.sharpness.device
        self._class_ids = np.array([row.id for row in classes], np.uint16)
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
        stitcher, self._looks = Stitcher(self._config.stitching), []
        step = max(1, self._config.length - self._config.overlap)
        for stamp, image in images:
            if self._looks and stamp < self._looks[-1].stamp:
                yield from self._finish(stitcher, len(self._looks))
                stitcher.reset()
            self._looks.append(self._look(stamp, image))
            if len(self._looks) == self._config.length:
                yield from self._finish(stitcher, step)
        yield from self._finish(stitcher, len(self._looks))

    def _look(self, stamp: int, image: np.ndarray) -> _Look:
        shape = self._preprocessing
        batch = resize(image, shape.width, shape.height)[None]
        mean, deviation = (
            torch.tensor(v, device=self._device) for v in (shape.mean, shape.deviation))
        normalised = ((upload(batch, self._device) - mean) / deviation).permute(0, 3, 1, 2)
        dtype = next(self._network.frame.parameters()).dtype
        tokens, pixels = self._network.look(normalised.to(dtype))
        return _Look(stamp, (image.shape[0], image.shape[1]), tokens, pixels)

    def _finish(self, stitcher: Stitcher, count: int) -> Iterator[Tracks]:
        """Relate the images in memory; yield the tracks of the first `count` and forget them."""
        if not self._looks:
            return
        looks = self._looks
        found = self._instances(looks)
        ids = stitcher.update(found, [look.stamp for look in looks], count)
        self._looks = looks[count:]
        for frame, look in enumerate(looks[:count]):
            yield _tracks(found, ids, frame, look.size)

    def _instances(self, looks: Sequence[_Look]) -> ClipInstances:
        """Return the instances of a window that count, best first."""
        hidden = torch.cat([look.tokens.hidden for look in looks])
        origin = torch.cat([look.tokens.origin for look in looks])
        queries = QueryOutput(
            *map(torch.cat, zip(*(look.tokens.queries for look in looks), strict=True)))
        clip = self._network.relate(FrameTokens(hidden, queries, origin), len(looks))
        pixels = PixelOutput(*map(torch.cat, zip(*(look.pixels for look in looks), strict=True)))
        logits = clip_mask_logits(clip, pixels)
        score, channel = clip.queries.class_logits[0].sigmoid().max(1)
        best = score.argsort(descending=True, stable=True)
        best = best[score[best] >= self._config.min_score]
        outputs = download(
            score[best], channel[best], clip.queries.embedding[0, best], logits[:, best])
        return self._keep_visible(*outputs)

    def _keep_visible(
        self, score: np.ndarray, channel: np.ndarray, embedding: np.ndarray, logits: np.ndarray
    ) -> ClipInstances:
        """Drop duplicates: instances whose masks are mostly those of better ones."""
        masks = np.stack([resolve_overlaps(frame, score) for frame in logits])
        area, kept = (logits > 0).sum((0, 2, 3)), masks.sum((0, 2, 3))
        visible = kept >= np.maximum(area * self._config.min_visible, 1)
        return ClipInstances(
            class_id=self._class_ids[channel[visible]], score=score[visible],
            embedding=embedding[visible], logits=logits[:, visible], masks=masks[:, visible],
        )


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
    network.frame.fuse()
    network = network.eval().to(where)
    network.frame.to(compute_dtype(where))
    network.frame.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ClipSegmenter(network, preprocessing, checkpoint.classes, config)


def _tracks(found: ClipInstances, ids: np.ndarray, frame: int, size: tuple[int, int]) -> Tracks:
    """Return the tracks of one image, by rising id."""
    seen = np.flatnonzero(found.masks[frame].any((1, 2)))
    seen = seen[np.argsort(ids[seen])]
    id_map, boxes = paint_instances(
        ids[seen], found.logits[frame, seen], found.score[seen], size)
    visible = boxes[:, 2] > boxes[:, 0]
    return Tracks(
        track_id=ids[seen][visible], class_id=found.class_id[seen][visible],
        score=found.score[seen][visible], box=boxes[visible], id_map=id_map,
    )
