"""The Lightning module that trains the clip network, the offline teacher, on labelled drives."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any, cast

import torch

from .long_clips import LongClipConfig
from .losses import clip_losses, ClipLossConfig
from ..trainer import log_losses
from ..video.clips import ClipBatch
from ..video.evaluation import score_drive
from ..video.module import VideoTrainingConfig, VideoTrainingModule
from ...config import setting, to_mapping
from ...evaluation.video import TrackEvaluation
from ...inference.clip_segmenter import ClipSegmenter, ClipWindowConfig
from ...labels import THING_CLASSES
from ...networks.checkpoint import Checkpoint, halves, save_checkpoint
from ...networks.clip_network import ClipNetwork, ClipNetworkConfig, TemporalConfig
from ...networks.video_masks import select_queries
from ...networks.video_network import VideoNetwork


@dataclasses.dataclass(frozen=True)
class ClipTrainingConfig(VideoTrainingConfig):
    """How the clip network is trained; `start` is a checkpoint of the per-frame network."""

    clips: LongClipConfig = setting(LongClipConfig(), 'how clips are drawn')
    temporal: TemporalConfig = setting(TemporalConfig(), 'shape of the temporal transformer')
    frozen: bool = setting(
        True, 'keep the per-frame network of `start`, train the temporal transformer alone')
    clip_losses: ClipLossConfig = setting(ClipLossConfig(), 'weights of the losses of clips')
    windows: ClipWindowConfig = setting(ClipWindowConfig(), 'how validation cuts drives')
    batch: int = setting(2, 'clips per step, on each device', low=1, high=1024)


class ClipTrainingModule(VideoTrainingModule):
    """
    Trains the temporal transformer, and the per-frame network below it unless that is frozen.

    Parameters
    ----------
    config
        How it is trained.

    """

    config: ClipTrainingConfig

    def __init__(self, config: ClipTrainingConfig) -> None:
        super().__init__(config)
        self.frozen = config.frozen and bool(config.start)
        self.shape = ClipNetworkConfig(config.network, config.temporal)
        self.adopt(ClipNetwork(self.shape))

    @property
    def frame_network(self) -> VideoNetwork:
        """Return the network of single pictures, below the temporal transformer."""
        return cast(ClipNetwork, self.network).frame

    def begin(self) -> None:
        """Take the weights to start from, and freeze those that are to stay."""
        super().begin()
        self.freeze_frames()

    def freeze_frames(self) -> None:
        """Exclude the per-frame network from the training, where that is to stay."""
        for part in (self.network.frame, self.semantic):
            part.requires_grad_(not self.frozen)
        self.train()

    def train(self, mode: bool = True) -> ClipTrainingModule:
        """Set the mode; the statistics of a frozen network stay."""
        super().train(mode)
        if self.frozen:
            self.network.frame.eval()
        return self

    def training_step(self, batch: ClipBatch, index: int) -> torch.Tensor:
        """Return the loss of a batch of clips of one length."""
        length = self.config.clips.frames
        starts = None if self.frozen else self._starts(batch)  # frames alone learn from these
        images = self._normalise(batch.images)
        queries, pixels, tokens, clip = self.network(images, length, starts)
        peaks = queries if starts is None else select_queries(
            queries, 0, queries.peak.shape[1] - starts.shape[1])
        with torch.autocast(self.device.type, enabled=False):
            losses = clip_losses(
                clip, pixels, tokens, peaks, batch.targets, length, self.config.clip_losses)
        if not self.frozen:
            losses |= self._frame_losses(queries, pixels, batch)
        return log_losses(self, losses)

    def on_validation_epoch_start(self) -> None:
        """Begin to count anew."""
        self._evaluation = TrackEvaluation()

    def validation_step(self, batch: Any, index: int) -> None:
        """Track the instances of whole drives, each given with the name of a camera."""
        network = cast(ClipNetwork, self.average.module)
        segment = ClipSegmenter(
            network, self.config.preprocessing, THING_CLASSES, self.config.windows)
        for drive, camera in batch:
            score_drive(drive, camera, segment, self._evaluation, self.config.validate_every)

    def export(self, path: Path, summary: Mapping[str, Any]) -> None:
        """
        Write the averaged weights as a checkpoint of the kind 'clip', matrices in float16.

        Parameters
        ----------
        path
            Where to write it.
        summary
            What the checkpoint says about its training.

        """
        save_checkpoint(path, Checkpoint(
            kind='clip', network=to_mapping(self.shape),
            preprocessing=to_mapping(self.config.preprocessing), classes=THING_CLASSES,
            training=dict(summary), state=halves(self.average.module, vectors=False),
        ))
