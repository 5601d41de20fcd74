"""The Lightning module that trains the video segmenter on labelled drives."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as lightning
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .clips import ClipBatch, VideoClipConfig
from .losses import video_losses, VideoLossConfig
from ..run_config import RunConfig
from ..steps import gather
from ..trainer import cosine_schedule, log_losses, progress, seed_step
from ...config import setting, to_mapping
from ...evaluation.video import TrackEvaluation
from ...inference.tracker import Tracker
from ...inference.video_segmenter import detections, resize, VideoPreprocessing
from ...labels import ALL_CLASSES, THING_CLASSES
from ...networks.checkpoint import (
    Checkpoint,
    halves,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from ...networks.video_backbone import STRIDE
from ...networks.video_masks import PixelOutput, QueryOutput
from ...networks.video_network import VideoNetwork, VideoNetworkConfig
from ...records import Picture


@dataclasses.dataclass(frozen=True)
class VideoTrainingConfig:
    """How the video segmenter is trained."""

    network: VideoNetworkConfig = setting(VideoNetworkConfig(), 'shape of the network')
    preprocessing: VideoPreprocessing = setting(VideoPreprocessing(), 'input of the network')
    clips: VideoClipConfig = setting(VideoClipConfig(), 'how clips are drawn')
    losses: VideoLossConfig = setting(VideoLossConfig(), 'weights of the losses')
    run: RunConfig = setting(RunConfig(), 'how the run goes')
    start: str = setting('', 'checkpoint to start from instead of random weights')
    validate_every: int = setting(1, 'validate on every n-th picture', low=1)
    learning_rate: float = setting(1.5e-3, 'peak learning rate', low=0.0, high=1.0)
    weight_decay: float = setting(0.05, 'decay of weights', low=0.0, high=1.0)
    averaging: float = setting(
        0.998, 'share of the old in the running average of weights', low=0.0, high=1.0)
    warm_up: int = setting(100, 'steps in which the learning rate rises', low=1)
    batch: int = setting(4, 'clips per step, on each device', low=1, high=1024)
    steps: int = setting(100, 'steps per epoch', low=1)


class VideoTrainingModule(lightning.LightningModule):
    """
    Trains the network; validation runs predictor and tracker over whole drives.

    Parameters
    ----------
    config
        How it is trained.

    """

    def __init__(self, config: VideoTrainingConfig) -> None:
        super().__init__()
        self.config = config
        self.semantic = torch.nn.Conv2d(config.network.kernel, len(ALL_CLASSES), 1)
        self.adopt(VideoNetwork(config.network))
        self._evaluation, self._trackers = TrackEvaluation(), dict[str, Tracker]()

    def adopt(self, network: torch.nn.Module) -> None:
        """Train this network, and average its weights from the present ones on."""
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = get_ema_multi_avg_fn(self.config.averaging)
        self.average = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        self.average.requires_grad_(False)

    @property
    def frame_network(self) -> VideoNetwork:
        """Return the network of single pictures."""
        return cast(VideoNetwork, self.network)

    def begin(self) -> None:
        """Take the weights of the checkpoint to start from, where there is one."""
        start = self.config.start
        if start:
            load_weights(self.frame_network, load_checkpoint(start, 'video'), start)
            self.adopt(self.network)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW; its learning rate is set before each step."""
        config = self.config
        return torch.optim.AdamW(
            [*self.network.parameters(), *self.semantic.parameters()],
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=self._steps_fused(),
        )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm; Lightning refuses to where the optimizer's step is fused."""
        if self._steps_fused() and gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _steps_fused(self) -> bool:
        """Tell whether one kernel steps all weights: on a CPU that takes a third of the time."""
        return self.device.type == 'cpu'

    def on_train_batch_start(self, batch: ClipBatch, index: int) -> None:
        """
        Set the learning rate: a short rise, then a cosine down to 0 at the end of the run.

        What the step draws at random depends on its number alone, so that a resumed run is equal.
        """
        seed_step(self, self.config.run.seed)
        share = cosine_schedule(self.global_step, self.config.warm_up, progress(self.trainer))
        for group in self.trainer.optimizers[0].param_groups:
            group['lr'] = share * self.config.learning_rate

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Move clips to the device; pictures stay on the host until they are looked at."""
        return batch.to(device) if isinstance(batch, ClipBatch) else batch

    def training_step(self, batch: ClipBatch, index: int) -> torch.Tensor:
        """Return the loss of a batch of clips."""
        queries, pixels = self.network(self._normalise(batch.images), self._starts(batch))
        return log_losses(self, self._frame_losses(queries, pixels, batch))

    def _frame_losses(
        self, queries: QueryOutput, pixels: PixelOutput, batch: ClipBatch
    ) -> dict[str, torch.Tensor]:
        """Return the losses of what is said about each picture."""
        finer = STRIDE // self.config.network.mask_stride
        semantic = self.semantic(F.avg_pool2d(pixels.features, finer)).float()
        with torch.autocast(self.device.type, enabled=False):
            return video_losses(
                queries, pixels, batch.targets, batch.clip, semantic, self.config.losses)

    def on_train_batch_end(self, outputs: Any, batch: ClipBatch, index: int) -> None:
        """Let the average follow the weights."""
        self.average.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        """Begin to count anew."""
        self._evaluation, self._trackers = TrackEvaluation(), {}

    def validation_step(self, batch: list[tuple[str, Picture]], index: int) -> None:
        """Track the instances of pictures, which come in the order of each drive."""
        for video, picture in batch:
            rgb = resize(picture.rgb, *self.config.preprocessing.size)
            image = torch.from_numpy(rgb).permute(2, 0, 1)[None].to(self.device)
            queries, pixels = self.average(self._normalise(image))
            found = detections(
                queries,
                pixels,
                THING_CLASSES,
                [picture.rgb.shape[:2]],
                self.config.preprocessing.score_floor,
            )
            tracker = self._trackers.setdefault(video, Tracker())
            tracks = tracker.update(found[0], picture.stamp)
            if picture.instance is not None and picture.label is not None:
                self._evaluation.add(video, picture.instance, picture.label, tracks)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the tracks in the videos of all processes."""
        for other in gather(self._evaluation):
            self._evaluation.join(other)
        scores = self._evaluation.scores()
        self.log('validation/ap', scores.mean.ap, prog_bar=True)
        self.log('validation/ap50', scores.mean.ap50)
        self.log('validation/id_switches', float(scores.id_switches))
        for name, of_class in scores.by_class.items():
            self.log(f'validation/ap_{name}', of_class.ap)

    def export(self, path: Path, summary: Mapping[str, Any]) -> None:
        """
        Write the averaged weights as a checkpoint, matrices in float16.

        Parameters
        ----------
        path
            Where to write it.
        summary
            What the checkpoint says about its training.

        """
        checkpoint = Checkpoint(
            kind='video',
            network=to_mapping(self.config.network),
            preprocessing=to_mapping(self.config.preprocessing),
            classes=THING_CLASSES,
            training=dict(summary),
            state=halves(self.average.module, vectors=False),
        )
        save_checkpoint(path, checkpoint)

    def _normalise(self, images: torch.Tensor) -> torch.Tensor:
        """images: B x 3 x H x W uint8."""
        mean, deviation = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (self.config.preprocessing.mean, self.config.preprocessing.deviation)
        )
        return (images - mean) / deviation

    def _starts(self, batch: ClipBatch) -> torch.Tensor:
        """Return B x N x 2 cells near the true middles, where further queries start."""
        targets = batch.targets
        moved = torch.randn_like(targets.center) * 0.2 * targets.half_size
        starts = targets.peak + moved.round().long()
        height, width = (n // STRIDE for n in batch.images.shape[2:])
        limit = torch.tensor([width - 1, height - 1], device=starts.device)
        return torch.minimum(starts.clamp(min=0), limit)
