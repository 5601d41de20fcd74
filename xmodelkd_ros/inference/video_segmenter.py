"""The predictor of the video segmenter: images in, detections out; own device and memory."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os

import cv2
import numpy as np
import torch

from .devices import download, place_network, select_device, upload
from ..config import setting
from ..labels import SemanticClass
from ..networks.checkpoint import load_checkpoint, load_config, load_weights
from ..networks.integers import Grid, IntegerEntry
from ..networks.video_masks import mask_logits, PixelOutput, QueryOutput
from ..networks.video_network import VideoNetwork, VideoNetworkConfig
from ..records import Detections


@dataclasses.dataclass(frozen=True)
class VideoPreprocessing:
    """What turns an image into the network's input; part of a checkpoint."""

    width: int = setting(832, 'Width of the input.', unit='px', low=32, high=4096)
    height: int = setting(256, 'Height of the input.', unit='px', low=32, high=4096)
    mean: tuple[float, ...] = setting((110.0, 110.0, 110.0), 'Mean of R, G and B.')
    deviation: tuple[float, ...] = setting((60.0, 60.0, 60.0), 'Deviation of R, G and B.')
    score_floor: float = setting(
        0.1, 'Queries below this score are not given out.', low=0.0, high=1.0
    )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the input, px."""
        return self.width, self.height


class VideoSegmenter:
    """
    Finds the instances in images, one image at a time or several cameras in one batch.

    Parameters
    ----------
    checkpoint_path
        A checkpoint of the kind 'video'.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    precision
        'auto' for 8-bit integers where the CPU has instructions for them, or 'float'.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.
    DeviceError
        If the device is not there.

    """

    def __init__(
        self, checkpoint_path: str | os.PathLike[str], device: str = 'cpu',
        precision: str = 'auto',
    ) -> None:
        self.device = select_device(device)
        checkpoint = load_checkpoint(checkpoint_path, 'video')
        config = load_config(VideoNetworkConfig, checkpoint.network, checkpoint_path)
        network = VideoNetwork(config)
        load_weights(network, checkpoint, checkpoint_path)
        self._preprocessing = load_config(
            VideoPreprocessing, checkpoint.preprocessing, checkpoint_path
        )
        self._mean = torch.tensor(self._preprocessing.mean, device=self.device)
        self._deviation = torch.tensor(self._preprocessing.deviation, device=self.device)
        self.classes: tuple[SemanticClass, ...] = checkpoint.classes
        self.sha256 = checkpoint.sha256
        self._network = place_network(
            network, self.device, precision, lambda: network(self._example()))
        self._dtype = next(network.parameters()).dtype
        entry = network.pyramid.entry
        self._takes_bytes = isinstance(entry, IntegerEntry) and self._are_bytes(entry.grid)

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """
        Find the instances of each image.

        Parameters
        ----------
        images
            Each (H, W, 3) uint8 RGB, of any size.

        Returns
        -------
        list of Detections
            One per image, in the order of the images, best first.

        """
        if not images:
            return []
        queries, pixels = self._network(self._prepare(images))
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        floor = self._preprocessing.score_floor
        return detections(queries, pixels, self.classes, sizes, floor)

    def _example(self) -> torch.Tensor:
        """Return 1 x 3 x H x W random numbers: all that pictures can be."""
        width, height = self._preprocessing.size
        generator = torch.Generator().manual_seed(0)
        picture = torch.randint(0, 256, (1, height, width, 3), generator=generator)
        return ((picture - self._mean) / self._deviation).permute(0, 3, 1, 2)

    def _are_bytes(self, grid: Grid) -> bool:
        """Tell whether the integers that the network takes are the bytes of a picture."""
        zero = torch.full_like(self._mean, grid.zero)
        scale = torch.full_like(self._deviation, 1 / grid.scale)
        return torch.allclose(zero, self._mean) and torch.allclose(scale, self._deviation)

    def _prepare(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Return B x 3 x H x W in channels_last: normalised, or the bytes as they are."""
        size = self._preprocessing.size
        batch = upload(np.stack([resize(image, *size) for image in images]), self.device)
        if not self._takes_bytes:  # B x H x W x 3
            batch = ((batch - self._mean) / self._deviation).to(self._dtype)
        return batch.permute(0, 3, 1, 2)


def detections(
    queries: QueryOutput,
    pixels: PixelOutput,
    classes: Sequence[SemanticClass],
    sizes: Sequence[tuple[int, int]],
    score_floor: float,
) -> list[Detections]:
    """
    Copy the network's output for B images to the host and keep what is scored well enough.

    Parameters
    ----------
    queries, pixels
        Output of the network.
    classes
        Row c is the class of output channel c.
    sizes
        (H, W) of each image.
    score_floor
        Queries below it are dropped.

    """
    score, channel = queries.class_logits.sigmoid().max(2)
    score, order = score.sort(dim=1, descending=True, stable=True)
    if score.device.type == 'cpu':  # to look at the scores costs nothing, a GPU would have to wait
        order = order[:, : int((score >= score_floor).sum(1).max())]
    image = torch.arange(len(order), device=order.device)[:, None]
    shown = QueryOutput(*(value[image, order] for value in queries))
    logits = mask_logits(shown, pixels)
    outputs = download(score, channel[image, order], shown.embedding, logits)
    class_ids = np.array([row.id for row in classes], np.uint16)
    found = []
    for size, best, channels, embedding, masks in zip(sizes, *outputs, strict=True):
        kept = int((best >= score_floor).sum())
        found.append(
            Detections(
                class_id=class_ids[channels[:kept]],
                score=best[:kept],
                embedding=embedding[:kept],
                mask_logits=masks[:kept],
                size=size,
            )
        )
    return found


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return an image of another size."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] > height or image.shape[1] > width
    return cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
