"""The training run of the clip network, the offline teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from .long_clips import LongClipDataset
from .module import ClipTrainingConfig, ClipTrainingModule
from ..cache import cached_drives, CachedDrive
from ..run_config import RunConfig
from ..trainer import seed_everything
from ..video.training import deal_videos, train_module

CHECKPOINT = 'clip.safetensors'


def train_clip(
    drives: Sequence[str | Path],
    validation: Sequence[str | Path],
    out: Path,
    config: ClipTrainingConfig,
    cache: Path,
    resume: bool = False,
) -> Path:
    """
    Train the clip network on labelled drives.

    Parameters
    ----------
    drives, validation
        Bags with true labels and instances, or folders of the array cache.
    out
        Folder for the log, the states to resume from, and the best checkpoint.
    config
        What is trained, and how the run goes.
    cache
        Folder of the array cache.
    resume
        Go on from where the last run in `out` stopped.

    Returns
    -------
    Path
        The checkpoint of the best validation score, of the kind 'clip'.

    """
    seed_everything(config.run.seed)
    learned, checked = cached_drives(drives, cache), cached_drives(validation, cache)
    clips = LongClipDataset(
        learned, config.run.seed, config.clips, config.network.mask_stride,
        config.preprocessing.size)
    module = ClipTrainingModule(config)
    whole = drive_loader(checked, config.run)
    return train_module(module, clips, whole, out / CHECKPOINT, len(learned), resume)


def drive_loader(drives: Sequence[CachedDrive], run: RunConfig) -> DataLoader[Any]:
    """Return this process's videos: lists of a whole drive and a camera, or of nothing."""
    found = deal_videos(drives, run, lambda drive, camera: [(drive, camera)])
    return DataLoader(found, 1, collate_fn=lambda items: items[0])  # type: ignore[arg-type]
