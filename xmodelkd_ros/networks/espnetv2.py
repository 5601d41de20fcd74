"""
ESPNetv2 for semantic segmentation (Mehta et al., CVPR 2019), a teacher that small CPUs can run.

The encoder is made of EESP units: a grouped projection, four depth-wise dilated convolutions whose
outputs are summed step by step (which removes the gridding of dilation), and a grouped expansion.
The decoder goes up from 1/16 to 1/2 of the picture; at each scale a pyramid of five pooled sizes
mixes context, and the encoder's features of that scale are added. Our own implementation; it loads
the weights of the authors' EdgeNets release, whose layer names `from_published` translates.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
import re

import torch
from torch import nn, Tensor
from torch.nn import functional

from ..config import setting
from ..errors import ConfigurationError

MULTIPLE = 32
"""Height and width of an input are multiples of this."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""RGB statistics (of ImageNet) that inputs are normalised with, 0..1."""

_BRANCHES = 4
_POOLS = (2.0, 1.5, 1.0, 0.5, 0.1)
_SMALLEST_POOL = 5


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
        step = _BRANCHES**2
        if any(c % step for c in self.encoder) or list(self.encoder) != sorted(set(self.encoder)):
            raise ConfigurationError('encoder', self.encoder, f'growing multiples of {step}')


def _convolve(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    padding = kernel // 2 * dilation
    return nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False)


def _norm_act(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))


def _conv_norm(channels: int, out: int, kernel: int, groups: int = 1) -> nn.Sequential:
    convolution = _convolve(channels, out, kernel, groups=groups)
    return nn.Sequential(convolution, nn.BatchNorm2d(out))


def _conv_norm_act(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    convolution = _convolve(channels, out, kernel, stride, groups)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.PReLU(out))


class Eesp(nn.Module):
    """
    Extremely efficient spatial pyramid of depth-wise dilated convolutions (section 3.1).

    x: B x C_in x H x W. Output: B x C_out x H / stride x W / stride
    """

    def __init__(
        self, channels: int, out: int, dilations: tuple[int, ...], stride: int = 1
    ) -> None:
        super().__init__()
        inner, self.stride = out // _BRANCHES, stride
        self.project = _conv_norm_act(channels, inner, 1, groups=_BRANCHES)
        self.branches = nn.ModuleList(
            _convolve(inner, inner, 3, stride, inner, dilation) for dilation in dilations
        )
        self.fused = _norm_act(out)
        self.expand = _conv_norm(out, out, 1, groups=_BRANCHES)
        self.act = nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        projected = self.project(x)
        found = [self.branches[0](projected)]
        for branch in self.branches[1:]:  # type: ignore[index]
            found.append(found[-1] + branch(projected))
        expanded = self.expand(self.fused(torch.cat(found, 1)))
        return expanded if self.stride > 1 else self.act(expanded + x)


class Down(nn.Module):
    """
    Strided EESP beside average pooling, reinforced by the picture itself (section 3.2).

    x: B x C_in x H x W. picture: B x 3 x k H x k W. Output: B x C_out x H / 2 x W / 2
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.eesp = Eesp(channels, out - channels, (1, 2, 3, 4), 2)
        self.reinforce = nn.Sequential(_conv_norm_act(3, 3, 3), _conv_norm(3, out, 1))
        self.act = nn.PReLU(out)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        pooled = _halve(x)
        while picture.shape[2] > pooled.shape[2]:
            picture = _halve(picture)
        found = torch.cat([pooled, self.eesp(x)], 1)
        return self.act(found + self.reinforce(picture))


class Skip(nn.Module):
    """
    Bring the encoder's features to the decoder's width, weighted by their global mean.

    x: B x C_in x H x W. Output: B x C_out x H x W
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(channels, out, 1, bias=False)
        self.mix = _conv_norm_act(channels, out, 3, groups=math.gcd(channels, out))

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.weigh(x.mean((2, 3), keepdim=True)))
        return self.mix(x) * weight


class Pyramid(nn.Module):
    """
    Depth-wise convolutions at five sizes of the features, merged channel by channel.

    x: B x C_in x H x W. Output: B x C_out x H x W; without norm it is the classifier.
    """

    def __init__(self, channels: int, inner: int, out: int, norm: bool = True) -> None:
        super().__init__()
        self.project = _conv_norm_act(channels, inner, 1)
        self.stages = nn.ModuleList(_convolve(inner, inner, 3, groups=inner) for _ in _POOLS)
        self.fused = _norm_act(len(_POOLS) * inner)
        self.merge = _conv_norm_act(len(_POOLS) * inner, inner, 3, groups=inner)
        self.out = nn.Conv2d(inner, out, 1, bias=not norm)
        self.norm: nn.Module = _norm_act(out) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x)
        pairs = zip(_POOLS, self.stages, strict=True)
        found = self.fused(torch.cat([_at_size(x, pool, stage) for pool, stage in pairs], 1))
        return self.norm(self.out(self.merge(_interleave(found, len(_POOLS)))))


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
        self.stem = _conv_norm_act(3, c1, 3, 2)
        self.down = nn.ModuleList((Down(c1, c2), Down(c2, c3), Down(c3, c4)))
        self.third = nn.Sequential(*(Eesp(c3, c3, (1, 2, 3, 4)) for _ in range(config.blocks[0])))
        self.fourth = nn.Sequential(*(Eesp(c4, c4, (1, 1, 2, 3)) for _ in range(config.blocks[1])))
        sizes = zip((c4, *wide[:-1]), wide, strict=True)
        self.pyramids = nn.ModuleList(Pyramid(c, config.pyramid, out) for c, out in sizes)
        self.skips = nn.ModuleList(
            Skip(c, out) for c, out in zip((c3, c2, c1), wide, strict=True)
        )
        self.joints = nn.ModuleList(_norm_act(c) for c in wide)
        self.classify = Pyramid(wide[-1], config.pyramid, classes, norm=False)

    @property
    def feature_size(self) -> int:
        """Number of features of a cell."""
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
        return torch.cat([context, _halve(scales[2])], 1), self.classify(scales[2])

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
            wide = _resize(self.pyramids[k](x), encoded.shape[2:])
            x = self.joints[k](wide + self.skips[k](encoded))
            scales.append(x)
        return scales


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Return the weights of the EdgeNets release under the names of this module.

    Parameters
    ----------
    state
        A state dict of its segmentation variant of ESPNetv2, any width and number of classes.

    """
    renamed = {}
    for name, tensor in state.items():
        for pattern, ours in _RENAMES:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
    return renamed


_RENAMES = (
    (r'^base_net\.level1\.', 'stem.'),
    (r'^base_net\.level([234])_0\.', lambda found: f'down.{int(found[1]) - 2}.'),
    (r'^base_net\.level3\.', 'third.'),
    (r'^base_net\.level4\.', 'fourth.'),
    (r'^bu_dec_l4\.', 'classify.'),
    (r'^bu_dec_l([123])\.', lambda found: f'pyramids.{int(found[1]) - 1}.'),
    (r'^merge_enc_dec_l([234])\.', lambda found: f'skips.{int(found[1]) - 2}.'),
    (r'^bu_br_l([234])\.', lambda found: f'joints.{int(found[1]) - 2}.'),
    (r'\.(proj_1x1|projection_layer)\.', '.project.'),
    (r'\.spp_dw\.(\d)\.conv\.', r'.branches.\1.'),
    (r'\.br_after_cat\.', '.fused.'),
    (r'\.conv_1x1_exp\.', '.expand.'),
    (r'\.module_act\.', '.act.'),
    (r'\.inp_reinf\.', '.reinforce.'),
    (r'\.wt_layer\.1\.', '.weigh.'),
    (r'\.expansion_layer\.', '.mix.'),
    (r'\.merge_layer\.0\.', '.fused.'),
    (r'\.merge_layer\.2\.', '.merge.'),
    (r'\.merge_layer\.3\.', '.out.'),
    (r'\.br\.br\.', '.norm.'),
    (r'\.(cbr|br)\.', '.'),
    (r'^stem\.conv\.', 'stem.0.'),
    (r'\.fused\.bn\.', '.fused.0.'),
    (r'\.fused\.act\.', '.fused.1.'),
    (r'\.conv\.', '.0.'),
    (r'\.bn\.', '.1.'),
    (r'(project|stem|reinforce\.0)\.act\.', r'\1.2.'),
)


def _halve(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 2, 1)


def _resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Resize as the published weights were trained: corner cells stay in the corners."""
    return functional.interpolate(x, size, mode='bilinear', align_corners=True)


def _at_size(x: Tensor, scale: float, stage: nn.Module) -> Tensor:
    """x: B x C x H x W. Output: the same shape, `stage` applied at `scale` times its size."""
    if scale == 1:
        return stage(x)
    size = (x.shape[2], x.shape[3])
    height, width = (max(_SMALLEST_POOL, math.ceil(n * scale)) for n in size)
    if scale < 1:
        return _resize(stage(functional.adaptive_avg_pool2d(x, (height, width))), size)
    return functional.adaptive_avg_pool2d(stage(_resize(x, (height, width))), size)


def _interleave(x: Tensor, groups: int) -> Tensor:
    """x: B x groups * C x H x W. Output: the same, channel c of each group side by side."""
    batch, channels, height, width = x.shape
    grouped = x.view(batch, groups, channels // groups, height, width)
    return grouped.transpose(1, 2).reshape(batch, channels, height, width)
