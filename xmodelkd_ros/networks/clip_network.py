"""
The offline teacher: the per-frame network and a temporal transformer over all frames' queries.

The published offline models reach us by their abstracts alone, so this is our reconstruction. The
best queries of every frame are the tokens of a clip. Clip queries start at tokens (so none has to
be learned from nothing), look at one another and at all tokens, and end as one query per instance
and clip, with one class and one embedding. In each frame a clip query reads the token of its
instance, or none where the instance is not seen; kernel and place of its mask there are those of
the likeliest token, corrected by what the clip knows. Each correction starts at zero: over a
trained per-frame network the clip network begins as a plain vote of the frames.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

from .clip_output import ClipOutput, FrameTokens, strides, take
from .video_backbone import STRIDE
from .video_decoder import DecoderLayer, position_encoding
from .video_masks import PixelOutput, QueryOutput
from .video_network import VideoNetwork, VideoNetworkConfig
from ..config import setting

_STEP = 16.0
"""What one frame is worth in pixels, where times are encoded like positions."""
_ABSENCE = 8.0
"""Logit of no token at all; two queries that look alike have about 15."""
_CAUTION = 0.02
"""Weight of what the clip corrects: a trained per-frame network is not to be shaken at first."""


@dataclasses.dataclass(frozen=True)
class TemporalConfig:
    """Shape of the temporal transformer."""

    queries: int = setting(32, 'Queries per clip.', low=1, high=300)
    tokens: int = setting(20, 'Best queries of each frame that the clip sees.', low=1, high=300)
    layers: int = setting(2, 'Layers of the temporal transformer.', low=1, high=8)
    heads: int = setting(4, 'Attention heads.', low=1, high=16)


@dataclasses.dataclass(frozen=True)
class ClipNetworkConfig:
    """Shape of the network; part of a checkpoint."""

    frame: VideoNetworkConfig = setting(VideoNetworkConfig(), 'Network of each frame.')
    temporal: TemporalConfig = setting(TemporalConfig(), 'Temporal transformer.')


class ClipNetwork(nn.Module):
    """
    Query-based instance segmentation of clips.

    Parameters
    ----------
    config
        Shape of the network.

    """

    def __init__(self, config: ClipNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.frame = VideoNetwork(config.frame)
        width = config.frame.coarse
        self.moment = nn.Linear(width, width)
        self.layers = nn.ModuleList(
            DecoderLayer(width, config.temporal.heads) for _ in range(config.temporal.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.class_head = nn.Linear(width, config.frame.classes)
        self.embedding_head = nn.Linear(width, config.frame.embedding)
        self.absence_head = nn.Linear(width, 1)
        self.mask_trunk = nn.Linear(2 * width, width)
        self.mask_head = nn.Linear(width, config.frame.kernel + 1 + 4)
        self.sharpness = nn.Parameter(torch.tensor(15.0))
        self.preference = nn.Parameter(torch.tensor(1.0))
        self.nearness = nn.Parameter(torch.tensor(0.5))
        self.rivalry = nn.Parameter(torch.tensor(1.0))
        heads = (self.class_head, self.embedding_head, self.absence_head, self.mask_head)
        for head in heads:
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(
        self, images: torch.Tensor, length: int, extra_peaks: torch.Tensor | None = None
    ) -> tuple[QueryOutput, PixelOutput, FrameTokens, ClipOutput]:
        """
        Find the instances of clips.

        Parameters
        ----------
        images
            B L x 3 x H x W, normalised: B clips one after the other.
        length
            L, frames of a clip.
        extra_peaks
            As for `VideoNetwork.forward`; the clip does not see these queries.

        Returns
        -------
        tuple
            Queries and cells of the frames, what the clips saw of them, and what they say.

        """
        hidden, peaks, pixels = self.frame.look(images, extra_peaks)
        queries = self.frame.describe(hidden, peaks)
        own = hidden.shape[1] - (0 if extra_peaks is None else extra_peaks.shape[1])
        tokens = self._tokens(hidden, queries, own)
        return queries, pixels, tokens, self.relate(tokens, length)

    def look(self, images: torch.Tensor) -> tuple[FrameTokens, PixelOutput]:
        """Return all that clips need of T single frames. images: T x 3 x H x W."""
        hidden, peaks, pixels = self.frame.look(images)
        queries = self.frame.describe(hidden, peaks)
        return self._tokens(hidden, queries, hidden.shape[1]), pixels

    def _tokens(self, hidden: torch.Tensor, queries: QueryOutput, own: int) -> FrameTokens:
        """Return the best of the first `own` queries. hidden: T x Q x D."""
        score = queries.class_logits[:, :own].amax(2)
        index = score.topk(min(self.config.temporal.tokens, own), 1).indices  # T x K
        chosen = QueryOutput(*(take(value, index) for value in queries))
        return FrameTokens(take(hidden, index).float(), chosen, index)

    def relate(self, tokens: FrameTokens, length: int) -> ClipOutput:
        """Return the instances of clips of `length` frames each. tokens: B L x K."""
        joined = QueryOutput(*(_join(value, length) for value in tokens.queries))  # B x L K
        clip = FrameTokens(_join(tokens.hidden, length), joined, _join(tokens.origin, length))
        start = self.start(clip.queries)  # B x N
        position = self._positions(clip.queries, length)
        query, own = take(clip.hidden, start), take(position, start)
        keys = clip.hidden + position
        for layer in self.layers:
            query = layer(query, own, clip.hidden, keys, None)
        query = self.norm(query)
        changed = _CAUTION * self.embedding_head(query).float()
        embedding = F.normalize(take(clip.queries.embedding, start) + changed, dim=-1)
        away = self.nearness * strides(clip.queries, start, length)
        reading = self._read(query, embedding, clip, away)
        return self._describe(query, embedding, reading, tokens)

    @torch.no_grad()
    def start(self, tokens: QueryOutput) -> torch.Tensor:
        """
        Return B x N tokens that are well scored and unlike one another.

        Greedy: the best first, then the others count less the more they look like it.
        tokens: B x M.
        """
        worth = tokens.class_logits.amax(2).sigmoid()  # B x M
        alike = torch.einsum('bme,bne->bmn', tokens.embedding, tokens.embedding).clamp(0, 1)
        taken, chosen = torch.zeros_like(worth, dtype=torch.bool), []
        for _ in range(min(self.config.temporal.queries, worth.shape[1])):
            best = worth.argmax(1)  # B
            chosen.append(best)
            likeness = take(alike, best[:, None])[:, 0]  # B x M
            taken = taken.scatter(1, best[:, None], True)
            worth = (worth * (1 - likeness**2)).masked_fill(taken, -1.0)
        return torch.stack(chosen, 1)

    def _positions(self, tokens: QueryOutput, length: int) -> torch.Tensor:
        """Encode place and time of the tokens. tokens: B x L K. Output: B x L K x D."""
        width = self.config.frame.coarse
        frames = torch.arange(length, device=tokens.center.device, dtype=torch.float32)
        moments = torch.stack((frames * _STEP, torch.zeros_like(frames)), 1)
        count = tokens.center.shape[1] // length
        moment = self.moment(position_encoding(moments, width)).repeat_interleave(count, 0)
        return position_encoding(tokens.center.detach() * STRIDE, width) + moment

    def _read(
        self,
        query: torch.Tensor,
        embedding: torch.Tensor,
        clip: FrameTokens,
        away: torch.Tensor,
    ) -> torch.Tensor:
        """
        Return B L x N x (K + 1) logits. query: B x N x D. away: B L x N x K.

        By likeness alone: attention that was learned on top of it knew its training drives by
        heart and cost accuracy on others.
        """
        alike = self.sharpness * embedding @ clip.queries.embedding.transpose(1, 2)
        score = F.logsigmoid(clip.queries.class_logits.amax(2))[:, None]  # of two alike the better
        logits = alike + self.preference * score  # B x N x L K
        length = len(away) // len(query)
        logits = logits.unflatten(2, (length, -1)).transpose(1, 2).flatten(0, 1) - away
        logits = logits + self.rivalry * logits.log_softmax(1)  # a token has one reader
        absence = _ABSENCE + _CAUTION * self.absence_head(query).float()
        absence = absence.repeat_interleave(length, 0)
        return torch.cat((logits, absence), 2)  # B L x N x (K + 1)

    def _describe(
        self,
        query: torch.Tensor,
        embedding: torch.Tensor,
        reading: torch.Tensor,
        tokens: FrameTokens,
    ) -> ClipOutput:
        """query, embedding: B x N. reading: B L x N x (K + 1). tokens: B L x K."""
        length = len(reading) // len(query)
        # One token: a mean of places lies between instances. Detached: a token that is read by
        # mistake is not to learn what it is mistaken for; its frame teaches it.
        best = reading[..., :-1].argmax(-1)
        read = QueryOutput(*(take(value.detach(), best) for value in tokens.queries))  # B L x N
        hidden = take(tokens.hidden.detach(), best)
        spread = query.repeat_interleave(length, 0)  # B L x N x D
        detail = F.relu(self.mask_trunk(torch.cat((spread, hidden), 2)))
        sizes = (self.config.frame.kernel + 1, 2, 2)
        correction = _CAUTION * self.mask_head(detail).float()
        kernel, shift, growth = correction.split(sizes, 2)
        seen = 1 - reading.softmax(-1)[..., -1:] + 1e-4  # B L x N x 1
        votes = (seen * read.class_logits).unflatten(0, (-1, length)).sum(1)
        votes = votes / seen.unflatten(0, (-1, length)).sum(1)  # B x N x C
        class_logits = votes + _CAUTION * self.class_head(query).float()
        return ClipOutput(
            QueryOutput(
                class_logits=class_logits.repeat_interleave(length, 0),
                embedding=embedding.repeat_interleave(length, 0),
                center=read.center + shift * read.log_size.exp(),
                log_size=(read.log_size + growth).clamp(-1.0, 5.0),
                kernel=read.kernel + kernel,
                peak=read.peak,
            ),
            reading,
        )


def _join(value: torch.Tensor, length: int) -> torch.Tensor:
    """Put the tokens of each clip in one row. value: B L x K x ... Output: B x L K x ..."""
    return value.unflatten(0, (-1, length)).flatten(1, 2)
