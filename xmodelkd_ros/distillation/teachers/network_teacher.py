"""A teacher made of one or several networks, looked through at several scales and mirrored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import hashlib
import json

import cv2
import numpy as np
import torch
from torch import nn, Tensor

from .classes import id_of_teacher_class
from ...errors import ConfigurationError
from ...inference.devices import autocast
from ...networks.averaging import average_logits, average_maps
from ...networks.espnetv2 import DEVIATION, MEAN


@dataclasses.dataclass(frozen=True)
class TeacherOutput:
    """
    What a teacher says of one image; both cover the whole image, their values at cell centres.

    Parameters
    ----------
    features
        (D, h, w) float32.
    logits
        (C, h2, w2) float32, or None of a teacher without classes.

    """

    features: Tensor
    logits: Tensor | None


@dataclasses.dataclass(frozen=True)
class TeacherNetwork:
    """
    A frozen network and what goes in and comes out.

    Parameters
    ----------
    module
        (B, 3, H, W) float32, normalised RGB -> features (B, D, h, w) and logits (B, C, h2, w2) or
        None.
    identity
        What its weights do not say of it: architecture, configuration, hash of a file.
    class_names
        Row c is the name of logit c.
    mean, deviation
        Of the normalisation, for RGB in 0..1.
    multiple
        Height and width of the input are multiples of this.
    size
        (H, W) of every input, where the network takes no other.
    mixed
        Whether it may run in bf16 where that is fast.

    """

    module: nn.Module
    identity: str
    class_names: tuple[str, ...] | None
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION
    multiple: int = 32
    size: tuple[int, int] | None = None
    mixed: bool = True


class NetworkTeacher:
    """
    Look at images through networks.

    Features are those of the first network, averaged over scales and mirror images; networks that
    were trained apart have no features in common. Logits are the logarithm of the average of the
    probabilities of all looks; where there is one look only, they are the network's own.

    Parameters
    ----------
    name
        Name of the teacher.
    networks
        With the same classes, or one without.
    scales
        Of the images' sizes that the networks see.
    flip
        Whether they also see mirror images.
    device
        Where to compute.
    class_map
        Our class name by the networks', see `classes.id_of_teacher_class`.

    Attributes
    ----------
    class_names : tuple of str or None
        Row c is the name of logit c.
    class_ids : np.ndarray or None
        (C,) uint16 our id of each class.
    feature_size : int
        Number of features.

    """

    def __init__(
        self,
        name: str,
        networks: Sequence[TeacherNetwork],
        scales: Sequence[float],
        flip: bool,
        device: torch.device,
        class_map: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.networks, self.device = name, tuple(networks), device
        self.scales, self.mirrors = tuple(scales), (False, True) if flip else (False,)
        self.class_names = self.networks[0].class_names
        if any(n.class_names != self.class_names for n in self.networks):
            raise ConfigurationError('teacher', name, 'networks with the same classes')
        self.class_ids = None
        if self.class_names is not None:
            self.class_ids = id_of_teacher_class(self.class_names, class_map)
        for network in self.networks:
            module = network.module.requires_grad_(False)
            module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.feature_size = len(self([np.zeros((64, 64, 3), np.uint8)])[0].features)

    @functools.cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 over the weights and all that changes what they say."""
        digest = hashlib.sha256(json.dumps([self.scales, self.mirrors]).encode())
        for network in self.networks:
            beside = {
                field.name: getattr(network, field.name)
                for field in dataclasses.fields(network) if field.name != 'module'
            }
            digest.update(json.dumps(beside, sort_keys=True).encode())
            for name, tensor in sorted(network.module.state_dict().items()):
                digest.update(f'{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0'.encode())
                raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                digest.update(raw.numpy().tobytes())
        return digest.hexdigest()

    def __call__(self, images: Sequence[np.ndarray]) -> list[TeacherOutput]:
        """
        Look at images; those of one size go through the networks together.

        Parameters
        ----------
        images
            Each (H, W, 3) uint8 RGB.

        """
        found: dict[int, TeacherOutput] = {}
        sizes = [image.shape[:2] for image in images]
        with torch.inference_mode():
            for size in dict.fromkeys(sizes):
                rows = [row for row, other in enumerate(sizes) if other == size]
                outputs = self._look_together([images[row] for row in rows])
                found.update(zip(rows, outputs, strict=True))
        return [found[row] for row in range(len(images))]

    def _look_together(self, images: Sequence[np.ndarray]) -> Iterator[TeacherOutput]:
        looks = [list(self._looks(network, images)) for network in self.networks]
        features = average_maps([x[0] for x in looks[0]])
        logits = [x[1] for found in looks for x in found if len(x) == 2]
        all_said = average_logits(logits) if logits else [None] * len(images)
        for own, said in zip(features, all_said, strict=True):
            yield TeacherOutput(own, said)

    def _looks(
        self, network: TeacherNetwork, images: Sequence[np.ndarray]
    ) -> Iterator[list[Tensor]]:
        """Yield features and, where there are any, logits of each scale and mirror image."""
        for scale in self.scales:
            pixels = _prepare(images, network, scale, self.device)
            for mirrored in self.mirrors:
                with autocast(self.device) if network.mixed else contextlib.nullcontext():
                    outputs = network.module(pixels.flip(3) if mirrored else pixels)
                found = [x.float() for x in outputs if x is not None]
                yield [x.flip(3) for x in found] if mirrored else found


def _prepare(
    images: Sequence[np.ndarray], network: TeacherNetwork, scale: float, device: torch.device
) -> Tensor:
    """Return images of one size as (B, 3, h, w) float32, resized and normalised."""
    height, width = network.size or (
        network.multiple * max(1, round(n * scale / network.multiple)) for n in images[0].shape[:2]
    )
    way = cv2.INTER_AREA if width < images[0].shape[1] else cv2.INTER_LINEAR
    resized = np.stack([cv2.resize(im, (width, height), interpolation=way) for im in images])
    pixels = torch.from_numpy(resized).to(device).permute(0, 3, 1, 2)  # channels last
    mean, deviation = (
        torch.tensor(x, device=device).view(3, 1, 1) for x in (network.mean, network.deviation)
    )
    return (pixels.float() / 255 - mean) / deviation
