"""Supervised training of the point segmenter on labelled drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from .dataset import collate, PointDataset
from .losses import class_weights
from .module import PointModule, PointTrainingConfig
from ..cache import cached_drives, CachedDrive
from ..segmentation_module import fit_segmentation
from ..trainer import seed_everything
from ...config import to_mapping
from ...labels import POINT_CLASSES
from ...networks.checkpoint import Checkpoint, halves, save_checkpoint
from ...networks.point_network import PointNetwork
from ...networks.point_projection import RangeViewConfig
from ...simulation.profiles import lidar_profile


def train_point(
    drives: Sequence[str | Path],
    validation: Sequence[str | Path],
    out: Path,
    config: PointTrainingConfig,
    cache: Path,
    resume: bool = False,
) -> Path:
    """
    Train a point segmenter.

    Parameters
    ----------
    drives, validation
        Labelled bags, or folders of the array cache.
    out
        Folder for the result, the log and the checkpoints.
    config
        Everything else.
    cache
        Where bags are kept as arrays.
    resume
        Go on from where the last run in `out` stopped.

    Returns
    -------
    Path
        The checkpoint with the best validation mIoU.

    """
    seed_everything(config.run.seed)
    view = range_view(config.lidar)
    training, held_out = cached_drives(drives, cache), cached_drives(validation, cache)
    samples = PointDataset(
        training, view, POINT_CLASSES, config.augmentation, config.sector, config.points
    )
    weight = class_weights(_some(training, view).counts(len(POINT_CLASSES)))
    network = PointNetwork(config.network, len(POINT_CLASSES))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = PointModule(network, POINT_CLASSES, weight, config)
    path = out / f'point_{view.sensor}.safetensors'

    def export() -> None:
        save_checkpoint(path, _checkpoint(module, config, view, len(samples)))

    held = PointDataset(held_out, view, POINT_CLASSES, every=config.validate_every)
    fit_segmentation(module, samples, held, out, export, resume, collate)
    return path


def range_view(lidar: str) -> RangeViewConfig:
    """Return the range view of a sensor profile."""
    profile = lidar_profile(lidar)
    return RangeViewConfig(
        profile.name, profile.elevations_deg, profile.heights_m, 2048,
        min_range_m=profile.min_range, max_range_m=profile.max_range,
    )


def _some(drives: Sequence[CachedDrive], view: RangeViewConfig) -> PointDataset:
    """Return at most about 200 of the sweeps, enough to count classes."""
    every = max(1, sum(map(len, drives)) // 200)
    return PointDataset(drives, view, POINT_CLASSES, every=every)


def _checkpoint(
    module: PointModule, config: PointTrainingConfig, view: RangeViewConfig, sweeps: int
) -> Checkpoint:
    summary = {**module.summary(), 'sweeps': sweeps, 'configuration': to_mapping(config)}
    return Checkpoint(
        'point', to_mapping(config.network), to_mapping(view), tuple(module.classes), summary,
        halves(module.network),
    )
