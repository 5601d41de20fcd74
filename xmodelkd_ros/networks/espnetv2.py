"""
ESPNetv2 for semantic segmentation (Mehta et al., CVPR 2019), a teacher that small CPUs can run.

The encoder is made of EESP units: a grouped projection, four depth-wise dilated convolutions whose
outputs are summed step by step (which removes the gridding of dilation), and a grouped expansion.
The decoder goes up from 1/16 to 1/2 of the picture; at each scale a pyramid of five pooled sizes
mixes context, and the encoder's features of that scale are added. Our own implementation; it loads
the weights of the authors' EdgeNets release (`espnetv2_weights`).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn, Tensor
from torch.nn import functional

from .espnetv2_units import (
    BRANCHES,
    conv_norm_act,
    Down,
    Eesp,
    halve,
    norm_act,
    Pyramid,
    resize,
    Skip,
)
from ..config import setting
from ..errors import ConfigurationError

MULTIPLE = 32
"""Height and width of an input are multiples of this."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""RGB statistics (of ImageNet) that inputs are normalised with, 0..1."""


@dataclasses.dataclass(frozen=True)
class EspNetV2Config:
    """Size of the network; the defaults are those of 'scale 2.0' for Cityscapes."""

    encoder: tuple[int, ...] = setting(
        (32, 128, 256, 512), 'Channels at 1/2, 1/4, 1/8 and 1/16.', low=4, high=2048
    )
    blocks: tuple[int, ...] = setting((3, 7), 'EESP units at 1/8 and at 1/16.', low=0, high=32)
    decoder: tuple[int, ...] = setting(
        (64, 48, 32), 'Channels of the decoder at 1/8, 1/4 and 1/2.', low=4, high=1024
    )
    pyramid: int = setting(10, 'Channels inside a pyramid.', low=1, high=256)

    def __post_init__(self) -> None:
        for name, length in (('encoder', 4), ('blocks', 2), ('decoder', 3)):
            if len(getattr(self, name)) != length:
                raise ConfigurationError(name, getattr(self, name), f'{length} numbers')
        step = BRANCHES**2
        if any(c % step for c in self.encoder) or list(self.encoder) != sorted(set(self.encoder)):
            raise ConfigurationError('encoder', self.encoder, f'growing multiples of {step}')


class EspNetV2(nn.Module):
    """
    Label the pixels of a picture.

    Parameters
    ----------
    config
        Size of the network.
    classes
        Number of output channels.

    """

    def __init__(self, config: EspNetV2Config, classes: int) -> None:
        super().__init__()
        self.config = config
        c1, c2, c3, c4 = config.encoder
        wide = config.decoder
        self.stem = conv_norm_act(3, c1, 3, 2)
        self.down = nn.ModuleList((Down(c1, c2), Down(c2, c3), Down(c3, c4)))
        self.third = nn.Sequential(*(Eesp(c3, c3, (1, 2, 3, 4)) for _ in range(config.blocks[0])))
        self.fourth = nn.Sequential(*(Eesp(c4, c4, (1, 1, 2, 3)) for _ in range(config.blocks[1])))
        sizes = zip((c4, *wide[:-1]), wide, strict=True)
        self.pyramids = nn.ModuleList(Pyramid(c, config.pyramid, out) for c, out in sizes)
        self.skips = nn.ModuleList(
            Skip(c, out) for c, out in zip((c3, c2, c1), wide, strict=True)
        )
        self.joints = nn.ModuleList(norm_act(c) for c in wide)
        self.classify = Pyramid(wide[-1], config.pyramid, classes, norm=False)

    @property
    def feature_size(self) -> int:
        """Return the number of features of a cell."""
        return self.config.decoder[0] + self.config.decoder[2]

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return features and logits.

        The features are the decoder's first, which know most of the context, beside its last,
        which know the borders: a linear probe found no more in all three scales together.

        Parameters
        ----------
        picture
            (B, 3, H, W) normalised; H and W are multiples of 32.

        Returns
        -------
        tuple of Tensor
            (B, feature_size, H / 4, W / 4): the decoder's features at 1/8 and at 1/2;
            (B, classes, H / 2, W / 2).

        """
        scales = self.decode(*self.encode(picture))
        context = functional.interpolate(scales[0], scales[1].shape[2:], mode='bilinear')
        return torch.cat([context, halve(scales[2])], 1), self.classify(scales[2])

    def logits(self, picture: Tensor) -> Tensor:
        """picture: B x 3 x H x W. Output: B x classes x H / 2 x W / 2."""
        return self.classify(self.decode(*self.encode(picture))[-1])

    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """picture: B x 3 x H x W. Output: the encoder's features at 1/2, 1/4, 1/8 and 1/16."""
        first = self.stem(picture)
        second = self.down[0](first, picture)
        third = self.third(self.down[1](second, picture))
        return first, second, third, self.fourth(self.down[2](third, picture))

    def decode(self, first: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> list[Tensor]:
        """Return the decoder's features at 1/8, 1/4 and 1/2; the inputs are those of `encode`."""
        scales, x = [], fourth
        for k, encoded in enumerate((third, second, first)):
            wide = resize(self.pyramids[k](x), encoded.shape[2:])
            x = self.joints[k](wide + self.skips[k](encoded))
            scales.append(x)
        return scales
