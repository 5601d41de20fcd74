"""What a distillation does: mode, networks, losses, labels, schedule."""

from __future__ import annotations

import dataclasses

from ...config import setting
from ...networks.fusion import FusionConfig
from ...networks.point_network import PointNetworkConfig
from ...training.point.augmentation import PointAugmentation
from ...training.run_config import RunConfig

MODES = ('none', 'l2', 'xmodelkd')
"""The LiDAR alone, the plainest distillation (as ScaLR), and ours."""


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the terms, and what belongs to each."""

    guess: float = setting(
        1.0, 'Weight of a point whose class a teacher guessed, before its confidence.', low=0)
    floor: float = setting(
        0.4, 'Confidence of a teacher at which its guess counts nothing.', low=0, high=0.99)
    lovasz: float = setting(1.0, 'Lovasz-softmax of student and fusion encoder.', low=0)
    lovasz_points: int = setting(6000, 'Points it sees in a step.', low=1)
    fused_guess: float = setting(
        0.3, 'Weight of a guess for the fusion encoder, which sees it anyway.', low=0)
    logits: float = setting(1.0, 'Logits of the fusion encoder into the student.', low=0)
    softness: float = setting(1.0, 'Temperature of these logits.', low=0.1, high=20)
    features: float = setting(0.2, 'Features of the fusion encoder into the student.', low=0)
    ramp: float = setting(
        0.25, 'Share of the run over which both grow to these weights: it starts at random.',
        low=0, high=1)
    contrast: float = setting(0.1, 'Contrast of points and their pixels.', low=0)
    views: float = setting(0.05, 'Contrast of the views of a point.', low=0)
    pairs: int = setting(512, 'Pairs of a contrast in a step.', low=2)
    temperature: float = setting(0.1, 'Temperature of the contrasts.', low=0.01, high=2)
    radius_m: float = setting(
        1.5, 'Points nearer to each other are never pushed apart.', unit='m', low=0)
    distance: float = setting(1.0, 'Distance of unit features in mode l2.', low=0)


@dataclasses.dataclass(frozen=True)
class LearningConfig:
    """How a student learns, from whatever."""

    augmentation: PointAugmentation = setting(PointAugmentation(), 'The augmentation.')
    run: RunConfig = setting(RunConfig(), 'The run.')
    steps: int = setting(500, 'Steps of an epoch.', low=1)
    batch: int = setting(2, 'Sweeps in a step, on each device.', low=1)
    points: int = setting(8000, 'Points drawn from a sweep, 0 for all.', low=0)
    fraction: float = setting(
        0.0, 'Share of the labelled sweeps whose true labels are used.', low=0, high=1)
    validate_every: int = setting(4, 'Validate on every n-th sweep.', low=1)
    rate: float = setting(4e-3, 'Peak learning rate.', low=0)
    decay: float = setting(0.02, 'Weight decay.', low=0)
    warm_up: int = setting(50, 'Steps of the warm-up.', low=1)


@dataclasses.dataclass(frozen=True)
class DistillConfig(LearningConfig):
    """Everything about a distillation."""

    mode: str = setting('xmodelkd', 'What is learned from the images.', choices=MODES)
    lidar: str = setting('hdl64e', 'Sensor profile that the network is for, or its YAML file.')
    columns: int = setting(2048, 'Columns of the range view.', unit='px', low=64, high=8192)
    network: PointNetworkConfig = setting(PointNetworkConfig(), 'The student.')
    fusion: FusionConfig = setting(FusionConfig(), 'The fusion encoder.')
    losses: LossConfig = setting(LossConfig(), 'The losses.')
    labelled: int = setting(
        1, 'How many of a batch have labels, where some sweeps have and some have not.', low=1)
    start: str = setting('', 'Checkpoint to start from, empty for random weights.')
