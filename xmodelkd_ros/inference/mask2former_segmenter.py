"""
Mask2Former (Cheng et al., CVPR 2022) as a video segmenter: pre-trained weights from day one.

Its queries carry the identities: the tracker compares them as they are, as in MinVIS (Huang et
al., NeurIPS 2022), which needs no training on videos. Nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

from .devices import autocast, download, select_device, upload
from ..errors import CheckpointError, needed
from ..labels import ALL_CLASSES, SemanticClass, thing_id_of_name
from ..networks.checkpoint import Checkpoint
from ..records import Detections

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MULTIPLE = 32


class Mask2FormerSegmenter:
    """
    Finds the instances in images; to be used as `VideoSegmenter` is.

    Classes count by their names: those of ours, of Cityscapes and of COCO; others are left out.

    Parameters
    ----------
    model
        Folder of a Mask2Former of the transformers library, or its name on the hub if it is in
        the local cache.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    longest
        Longer side of the images that the network sees, pixels.
    score_floor
        Queries below this score are not given out.
    most
        So many of the best queries are given out.

    Raises
    ------
    CheckpointError
        If it is not there, is no Mask2Former, or knows no thing of ours.
    DeviceError
        If the device is not there.
    MissingDependencyError
        If transformers is not installed.

    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        device: str = 'cpu',
        longest: int = 1024,
        score_floor: float = 0.1,
        most: int = 50,
    ) -> None:
        self.device = select_device(device)
        network, preprocessing = _load(os.fspath(model))
        names = [network.config.id2label[row] for row in range(network.config.num_labels)]
        self._ids = np.array([thing_id_of_name(name) for name in names], np.uint16)
        if not self._ids.any():
            raise CheckpointError(f'{model} knows no thing of ours, only ' + ', '.join(names))
        self.classes: tuple[SemanticClass, ...] = tuple(
            ALL_CLASSES[one] for one in np.unique(self._ids[self._ids > 0]))
        kept = Checkpoint('video', {'names': names}, {}, self.classes, {}, network.state_dict())
        self.sha256 = kept.sha256
        self._network = network.eval().to(self.device)
        self._mean, self._deviation = (
            255 * torch.tensor(preprocessing.get(key) or default, device=self.device)
            for key, default in (('image_mean', _MEAN), ('image_std', _DEVIATION)))
        self._longest, self._score_floor, self._most = longest, score_floor, most

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """
        Find the instances of each image; those of one size go through the network together.

        Parameters
        ----------
        images
            Each (H, W, 3) uint8 RGB, of any size.

        Returns
        -------
        list of Detections
            One per image, in the order of the images, best first.

        """
        sizes = [image.shape[:2] for image in images]
        found: dict[int, Detections] = {}
        for size in dict.fromkeys(sizes):
            rows = [row for row, other in enumerate(sizes) if other == size]
            seen = self._look([images[row] for row in rows])
            found.update(zip(rows, seen, strict=True))
        return [found[row] for row in range(len(images))]

    def _look(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Find the instances of images of one size."""
        size = images[0].shape[:2]
        scale = self._longest / max(size)
        height, width = (max(round(n * scale / _MULTIPLE), 1) * _MULTIPLE for n in size)
        batch = np.stack([cv2.resize(i, (width, height), interpolation=cv2.INTER_AREA)
                          for i in images])
        pixels = (upload(batch, self.device) - self._mean) / self._deviation
        with autocast(self.device):
            output = self._network(pixel_values=pixels.permute(0, 3, 1, 2))
        queries = functional.normalize(
            output.transformer_decoder_last_hidden_state.float(), dim=-1)
        chance = output.class_queries_logits.float().softmax(-1)[..., :-1]
        logits = output.masks_queries_logits.float()
        return [
            self._detections(chances, embedding, masks, size)
            for chances, embedding, masks in zip(*download(chance, queries, logits), strict=True)
        ]

    def _detections(
        self, chance: np.ndarray, queries: np.ndarray, logits: np.ndarray, size: tuple[int, ...]
    ) -> Detections:
        """Return the detections of one image: class chances (Q, C), queries (Q, E), masks."""
        chance = np.where(self._ids > 0, chance, 0)
        score = chance.max(1) * _mask_score(logits)
        order = np.argsort(-score, kind='stable')[:self._most]
        order = order[score[order] >= self._score_floor]
        return Detections(
            class_id=self._ids[chance[order].argmax(1)],
            score=score[order].astype(np.float32),
            embedding=queries[order],
            mask_logits=logits[order],
            size=(size[0], size[1]),
        )


def _mask_score(logits: np.ndarray) -> np.ndarray:
    """Return (Q,) the mean probability inside each mask (Q, h, w), 0 of an empty one."""
    inside = logits > 0
    chance = 1 / (1 + np.exp(-np.where(inside, logits, 0)))
    return (chance * inside).sum((1, 2)) / np.maximum(inside.sum((1, 2)), 1)


def _load(model: str) -> tuple[Any, dict[str, Any]]:
    """Return the network, and what is written of its preprocessing."""
    with needed(f'use {model}'):
        import transformers
    try:
        config = transformers.AutoConfig.from_pretrained(model, local_files_only=True)
        if config.model_type != 'mask2former':
            raise CheckpointError(f'{model} is a {config.model_type}, no mask2former')
        network = transformers.Mask2FormerForUniversalSegmentation.from_pretrained(
            model, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise CheckpointError(
            f'{model} is not on this machine, get it by: hf download {model} ({reason})'
        ) from error
    mixin = transformers.image_processing_utils.ImageProcessingMixin
    try:
        return network, mixin.get_image_processor_dict(model, local_files_only=True)[0]
    except OSError:
        return network, {}
