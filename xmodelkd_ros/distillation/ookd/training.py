"""The training run of the online video segmenter that learns from the offline one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .config import OokdTrainingConfig
from .guessing import guess_drives
from .module import OokdTrainingModule
from .queries import QueryFilterConfig
from ...errors import ConfigurationError
from ...training.cache import cached_drives, CachedDrive
from ...training.clip.long_clips import LongClipDataset
from ...training.trainer import seed_everything
from ...training.video.training import CHECKPOINT, picture_loader, train_module


def train_ookd(
    drives: Sequence[str | Path],
    validation: Sequence[str | Path],
    out: Path,
    config: OokdTrainingConfig,
    cache: Path,
    resume: bool = False,
) -> Path:
    """
    Train the student on labelled drives, and on those without labels that the configuration names.

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
        The checkpoint of the best validation score, of the kind 'video'.

    Raises
    ------
    ConfigurationError
        If there is no teacher and one is needed.

    """
    if config.mode != 'alone' and not config.teacher:
        raise ConfigurationError('teacher', config.teacher, f'a checkpoint for {config.mode}')
    if config.unlabelled and config.mode == 'alone':
        raise ConfigurationError('mode', config.mode, 'plain or qfa, for unlabelled bags')
    seed_everything(config.run.seed)
    learned, checked = cached_drives(drives, cache), cached_drives(validation, cache)
    learned += _guessed(config, cache)
    clips = LongClipDataset(
        learned, config.run.seed, config.clips, config.network.mask_stride,
        config.preprocessing.size)
    module = OokdTrainingModule(config)
    pictures = picture_loader(checked, config.validate_every, config.run)
    return train_module(module, clips, pictures, out / CHECKPOINT, len(learned), resume)


def _guessed(config: OokdTrainingConfig, cache: Path) -> list[CachedDrive]:
    """Return the drives that the teacher labels."""
    if not config.unlabelled:
        return []
    filtered = config.queries if config.mode == 'qfa' else QueryFilterConfig(
        min_score=0, min_agreement=0)
    drives = cached_drives(config.unlabelled, cache)
    return guess_drives(drives, config.teacher, filtered, config.preprocessing.size, cache)
