"""What image networks say of points, as the fused model was taught to hear it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

from .devices import autocast, upload
from ..geometry.pairing import Pairing
from ..geometry.projection import project_points
from ..networks.averaging import average_logits, average_maps
from ..networks.espnetv2 import DEVIATION, EspNetV2, MEAN
from ..networks.fusion import SAID, Views
from ..records import View

_MULTIPLE = 32


class ImageFeatures(nn.Module):
    """
    Ask pictures about points.

    Parameters
    ----------
    networks
        Each gives features and logits; the features of the first count.
    ids
        (C,) our id of each of their classes.
    mixing
        (F, D) what is kept of the D features.
    scales
        Of the pictures' sizes that the networks see.
    flip
        Whether they also see mirror images.

    """

    ours: Tensor
    mixing: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self, networks: Sequence[EspNetV2], ids: Sequence[int], mixing: Tensor,
        scales: Sequence[float] = (1.0,), flip: bool = False,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks).eval()
        self.ids, self.scales = [int(own) for own in ids], [float(scale) for scale in scales]
        self.mirrors = (False, True) if flip else (False,)
        ours = torch.zeros(len(ids), SAID + 1)
        ours[torch.arange(len(ids)), torch.as_tensor(ids)] = 1
        self.register_buffer('ours', ours[:, 1:], persistent=False)
        self.register_buffer('mixing', mixing)
        self.register_buffer('mean', torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer('deviation', torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, points: np.ndarray, views: Sequence[View], stamp: int) -> Views:
        """
        Return what pictures say of points.

        Parameters
        ----------
        points
            (N, 3) float32, lidar frame at the stamp, m; rows may be NaN.
        views
            Pictures of the sweep.
        stamp
            Of the sweep, ns.

        """
        rows = [self._look(points, view, stamp) for view in views]
        joined = [torch.cat(parts) for parts in zip(*rows, strict=True)]
        order = joined[0].argsort(stable=True)
        return Views(*(values.index_select(0, order) for values in joined))

    def _look(self, points: np.ndarray, view: View, stamp: int) -> tuple[Tensor, ...]:
        """Return the rows of one view; the fields of `Views`."""
        pairing = project_points(points, view.camera_from_lidar, view.camera)
        device = self.mixing.device
        looks = [self._ask(network, view.picture.rgb) for network in self.networks]
        features = average_maps([own for own, _ in looks[0]])
        logits = average_logits([said for found in looks for _, said in found])
        grid = self._grid(pairing, view.picture.rgb.shape[:2])
        mixed = torch.einsum('fd,bdhw->bfhw', self.mixing, features)
        probability = _sample(logits, grid).softmax(1) @ self.ours
        depth = torch.from_numpy(pairing.depth).to(device)
        delay = torch.full_like(depth, (view.exposed - stamp) * 1e-9)
        index = torch.from_numpy(pairing.index).to(device)
        return index, _sample(mixed, grid), probability, depth, delay

    def _ask(self, network: nn.Module, rgb: np.ndarray) -> list[tuple[Tensor, Tensor]]:
        """Return features and logits of a network, 1 x K x h x w, for each scale and mirror."""
        found = []
        for scale in self.scales:
            pixels = self._prepare(rgb, scale)
            for mirrored in self.mirrors:
                with autocast(pixels.device):
                    outputs = network(pixels.flip(3) if mirrored else pixels)
                features, logits = (x.float().flip(3) if mirrored else x.float() for x in outputs)
                found.append((features, logits))
        return found

    def _prepare(self, rgb: np.ndarray, scale: float) -> Tensor:
        """rgb: H x W x 3 uint8. Output: 1 x 3 x h x w, normalised, multiples of 32."""
        height, width = (_MULTIPLE * max(1, round(n * scale / _MULTIPLE)) for n in rgb.shape[:2])
        way = cv2.INTER_AREA if width < rgb.shape[1] else cv2.INTER_LINEAR
        resized = cv2.resize(rgb, (width, height), interpolation=way)
        pixels = upload(resized, self.mixing.device).permute(2, 0, 1)[None]
        return (pixels.float() / 255 - self.mean) / self.deviation

    def _grid(self, pairing: Pairing, size: tuple[int, ...]) -> Tensor:
        """Return 1 x 1 x M x 2 places in -1..1, edges of the picture at both ends."""
        extent = np.array(size[1::-1], np.float32)
        places = (2 * pairing.pixels + 1) / extent - 1
        return torch.from_numpy(places.astype(np.float32)).to(self.mixing.device)[None, None]


def _sample(values: Tensor, grid: Tensor) -> Tensor:
    """values: 1 x K x h x w. grid: 1 x 1 x M x 2. Output: M x K, edges held."""
    found = functional.grid_sample(values, grid, padding_mode='border', align_corners=False)
    return found[0, :, 0].t()
