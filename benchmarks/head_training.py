"""
Training of a student's head alone, in a minute on a small CPU: the body is run once per sweep.

The body's batch norms are to be adapted to the vehicle's sweeps before (`adaptation`);
what it sees of each sweep and of its mirror image is kept, and the layers behind learn from that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from xmodelkd_ros.config import setting, to_mapping
from xmodelkd_ros.distillation.records import FrameSource
from xmodelkd_ros.distillation.student.looks import open_student, project_cloud
from xmodelkd_ros.errors import ConfigurationError
from xmodelkd_ros.inference.devices import autocast
from xmodelkd_ros.labels import channel_table, SemanticClass
from xmodelkd_ros.networks.checkpoint import halves, save_checkpoint
from xmodelkd_ros.networks.point_network import PointNetwork
from xmodelkd_ros.networks.point_projection import RangeProjection
from xmodelkd_ros.records import Cloud
from xmodelkd_ros.training.point.losses import IGNORED, point_loss


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """How a head learns."""

    steps: int = setting(200, 'Steps.', low=1)
    sweeps: int = setting(2, 'Sweeps in a step.', low=1)
    points: int = setting(10000, 'Points of a sweep that are learnt from.', low=1)
    rate: float = setting(1e-3, 'Learning rate at the start, which falls to 0.', low=0)
    lovasz: float = setting(0.3, 'Share of the Lovasz-softmax.', low=0)
    lovasz_points: int = setting(6000, 'Points it sees of a sweep.', low=1)
    seed: int = setting(0, 'Seed of what is random.', low=0)


@dataclasses.dataclass(frozen=True)
class BodySample:
    """
    What the body makes of a sweep, and the labels of some of its points.

    Parameters
    ----------
    folded
        (1, C, H, W / fold) as `PointNetwork.body` gives it.
    cell
        (M,) int64.
    features
        (F, M) float32.
    target
        (M,) int64 class indices.

    """

    folded: Tensor
    cell: Tensor
    features: Tensor
    target: Tensor


def train_head(
    start: Path,
    drives: Sequence[FrameSource],
    out: Path,
    config: HeadConfig = HeadConfig(),
    device: str = 'auto',
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """
    Train the head of a student on labelled sweeps; labels may be guessed.

    Parameters
    ----------
    start
        Checkpoint of kind 'point'.
    drives
        Sweeps without labels are left out.
    out
        Where to write the result.
    config
        How it learns.
    device
        As `select_device` takes it.
    watch
        Told after each step how many are done and how many there will be.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.
    ConfigurationError
        If no sweep has a label.

    """
    checkpoint, network, projection = open_student(start, device)
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    samples = look_once(network, projection, checkpoint.classes, drives, config.points, rng)
    if not samples:
        raise ConfigurationError('drives', len(drives), 'sweeps with labels, there are none')
    _optimise(network, samples, config, rng, watch)
    training = {**checkpoint.training, 'head': {**to_mapping(config), 'sweeps': len(samples) // 2}}
    save_checkpoint(out, dataclasses.replace(
        checkpoint, training=training, state=halves(network)))
    return out


def look_once(
    network: PointNetwork,
    projection: RangeProjection,
    classes: Sequence[SemanticClass],
    drives: Sequence[FrameSource],
    points: int,
    rng: np.random.Generator,
) -> list[BodySample]:
    """Return a sample of each labelled sweep and of its mirror image."""
    target_of_id, found = channel_table(classes, IGNORED), []
    for drive in drives:
        for index in range(len(drive)):
            cloud = drive.frame(index).cloud
            if cloud.label is not None:
                target = target_of_id[cloud.label]
                found += [
                    _look(network, projection, cloud, side, target, points, rng)
                    for side in (1, -1)
                ]
    return found


def _look(
    network: PointNetwork, projection: RangeProjection, cloud: Cloud, side: int,
    target: np.ndarray, points: int, rng: np.random.Generator,
) -> BodySample:
    """Return a sample of a sweep; `side` -1 mirrors it."""
    mirrored = cloud.points * np.array([1, side, 1], np.float32)
    seen, kept = project_cloud(projection, dataclasses.replace(cloud, points=mirrored))
    known = np.flatnonzero(seen.inside.numpy() & (target[kept] != IGNORED))
    drawn = np.sort(rng.choice(known, min(len(known), points), replace=False))
    rows, place = torch.from_numpy(drawn), network.classify.weight.device
    with torch.inference_mode(), autocast(place):
        folded = network.body(seen.image[None].to(place))
    return BodySample(
        folded.clone(), seen.cell[rows].to(place), seen.features[:, rows].to(place),
        torch.from_numpy(target[kept[drawn]]).to(place))


def _optimise(
    network: PointNetwork, samples: Sequence[BodySample], config: HeadConfig,
    rng: np.random.Generator, watch: Callable[[int, int], None],
) -> None:
    layers = (network.unfold, network.look, network.own, network.classify)
    optimizer = torch.optim.AdamW(
        [parameter for layer in layers for parameter in layer.parameters()], config.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    alike = torch.ones(network.classify.out_features, device=network.classify.weight.device)
    for step in range(config.steps):
        optimizer.zero_grad()
        for number in rng.integers(len(samples), size=config.sweeps):
            sample = samples[number]
            cells = network.unfolded(sample.folded.float())
            logits = network.label(cells, sample.cell, sample.features)
            losses = point_loss(
                logits, sample.target, alike, config.lovasz, config.lovasz_points)
            (losses['loss'] / config.sweeps).backward()
        optimizer.step()
        schedule.step()
        watch(step + 1, config.steps)
