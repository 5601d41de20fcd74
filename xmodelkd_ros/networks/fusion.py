"""
The fusion encoder: what the images say of a point joins what the LiDAR says of it.

The rows of all views lie behind one another, those of a point side by side (CSR), so points with
many views, one or none go through the same sums without padding. Each point asks its own views
with its 3D feature; a score of 'nothing seen' competes with them, which makes a point without
views legal and lets the network distrust what it sees. Our reconstruction of xModel-KD's fusion
encoder, of which only the purpose is known.

The fused logits begin as the student's own plus what the views' probabilities say, so that the
encoder is a fair teacher from the first step on, and learns what to correct in both.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import nn, Tensor
from torch.nn import functional

from ..config import setting
from ..errors import ConfigurationError

SAID = 16
"""Classes whose probabilities a view may give: `labels.ALL_CLASSES[1:]`."""
_PLACES = 3
_BELIEF = 6.0
"""Logit that a view's certainty adds before the encoder has learned anything."""


@dataclasses.dataclass(frozen=True)
class FusionConfig:
    """Size of the fusion encoder."""

    width: int = setting(64, 'Width of the unified representation.', low=8, high=1024)
    heads: int = setting(4, 'Heads of the attention over views.', low=1, high=16)

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigurationError('width', self.width, f'a multiple of heads = {self.heads}')


@dataclasses.dataclass(frozen=True)
class Views:
    """
    What images say of M points; V rows in all.

    Parameters
    ----------
    point
        (V,) int64 in 0..M-1, ascending.
    feature
        (V, D) features of the image teacher.
    probability
        (V, SAID) of the teacher's classes; zeros of a teacher without classes.
    depth
        (V,) m, along the optical axis.
    delay
        (V,) s, of the picture after the sweep.

    """

    point: Tensor
    feature: Tensor
    probability: Tensor
    depth: Tensor
    delay: Tensor

    def __len__(self) -> int:
        return len(self.point)

    def to(self, device: torch.device, non_blocking: bool = True) -> Views:
        """Return the views on another device."""
        fields = (getattr(self, field.name) for field in dataclasses.fields(self))
        return Views(*(tensor.to(device, non_blocking=non_blocking) for tensor in fields))


class Fused(NamedTuple):
    """
    What is known of M points.

    Parameters
    ----------
    feature
        (M, width) the unified representation.
    probability
        (M, SAID) mean of the views' probabilities, each as far as it is believed.

    """

    feature: Tensor
    probability: Tensor


class FusionEncoder(nn.Module):
    """
    Fuse a point's own feature with its views, and label the result.

    Parameters
    ----------
    config
        Its size.
    point_features
        P, width of a point's own feature.
    view_features
        D, width of the image teacher's feature.
    classes
        Number of output channels.

    """

    def __init__(
        self, config: FusionConfig, point_features: int, view_features: int, classes: int
    ) -> None:
        super().__init__()
        width, self.heads, self.view_features = config.width, config.heads, view_features
        self.look = nn.Linear(view_features + SAID + _PLACES, width)
        self.calm = nn.LayerNorm(width)
        self.query = nn.Linear(point_features, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.nothing = nn.Linear(point_features, self.heads)
        self.own = nn.Linear(point_features, width)
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.classify = nn.Linear(width, classes)
        self.believe = nn.Linear(SAID, classes, bias=False)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)
        with torch.no_grad():  # channel c usually is class c + 1, as of `labels.POINT_CLASSES`
            self.believe.weight.copy_(_BELIEF * torch.eye(classes, SAID))

    def forward(self, own: Tensor, views: Views) -> Fused:
        """own: M x P. Output: the unified representation of each point."""
        return self.fuse(own, self.see(views), views)

    def see(self, views: Views) -> Tensor:
        """Return V x width, what each view says."""
        feature = functional.normalize(views.feature.float(), dim=1)
        places = torch.stack([views.depth.log1p() / 4, views.delay, views.delay.abs()], 1)
        # unit features are small beside probabilities: bring them to unit variance
        scaled = feature * feature.shape[1] ** 0.5
        said = torch.cat([scaled, 4 * views.probability.float(), places.float()], 1)
        return functional.gelu(self.calm(self.look(said)))

    def fuse(self, own: Tensor, seen: Tensor, views: Views) -> Fused:
        """own: M x P. seen: V x width, what `see` says of the views."""
        point = views.point
        query = self._split(self.query(own).index_select(0, point))
        key = self._split(self.key(seen))
        score = (query * key).sum(2) / query.shape[2] ** 0.5
        share = softmax_with_nothing(score.float(), self.nothing(own).float(), point)
        value = (self._split(self.value(seen)).float() * share[:, :, None]).flatten(1)
        believed = views.probability.float() * share.mean(1, keepdim=True)
        both = torch.cat([value, believed], 1)
        attended = both.new_zeros(len(own), both.shape[1]).index_add(0, point, both)
        unified = self.own(own) + attended[:, :-SAID].to(own.dtype)
        return Fused(unified + self.mix(unified), attended[:, -SAID:])

    def _split(self, x: Tensor) -> Tensor:
        """x: V x width. Output: V x heads x width / heads."""
        return x.view(len(x), self.heads, x.shape[1] // self.heads)

    def score(self, fused: Fused, logits: Tensor) -> Tensor:
        """logits: classes x M, of the LiDAR alone, which get no gradient. Output: the same."""
        change = self.classify(fused.feature) + self.believe(fused.probability)
        return logits.detach() + change.t()


def softmax_with_nothing(score: Tensor, nothing: Tensor, point: Tensor) -> Tensor:
    """
    Return the softmax over the rows of each point and its score of seeing nothing.

    Parameters
    ----------
    score
        (V, H) of each row.
    nothing
        (M, H) of each point.
    point
        (V,) int64, the point of each row.

    Returns
    -------
    Tensor
        (V, H) shares of the rows; those of a point sum to less than 1, the rest is 'nothing'.

    """
    index = point[:, None].expand_as(score)
    highest = nothing.detach().scatter_reduce(0, index, score.detach(), 'amax')
    raised = (score - highest.index_select(0, point)).exp()
    total = (nothing - highest).exp().index_add(0, point, raised)
    return raised / total.index_select(0, point)
