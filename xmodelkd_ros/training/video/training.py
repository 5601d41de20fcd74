"""The training run of the video segmenter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
from pathlib import Path
import time
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from .clips import ClipDataset, collate
from .module import VideoTrainingConfig, VideoTrainingModule
from .paste import has_truth
from ..cache import cached_drives, CachedDrive
from ..run_config import rank_of, RunConfig
from ..steps import step_loader
from ..trainer import fit, seed_everything
from ...config import to_mapping
from ...errors import BagError
from ...records import Picture

CHECKPOINT = 'video.safetensors'

Part = TypeVar('Part')


def train_video(
    drives: Sequence[str | Path],
    validation: Sequence[str | Path],
    out: Path,
    config: VideoTrainingConfig,
    cache: Path,
    resume: bool = False,
) -> Path:
    """
    Train the video segmenter on labelled drives.

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
        The checkpoint of the best validation score.

    """
    seed_everything(config.run.seed)
    learned, checked = cached_drives(drives, cache), cached_drives(validation, cache)
    clips = ClipDataset(
        learned, config.run.seed, config.clips, config.network.mask_stride,
        config.preprocessing.size)
    module = VideoTrainingModule(config)
    pictures = picture_loader(checked, config.validate_every, config.run)
    return train_module(module, clips, pictures, out / CHECKPOINT, len(learned), resume)


def train_module(
    module: VideoTrainingModule,
    clips: ClipDataset,
    validation: DataLoader[Any],
    path: Path,
    drives: int,
    resume: bool,
) -> Path:
    """
    Train a module on clips; the best state so far is exported to `path`, beside its log.

    Parameters
    ----------
    module
        Begins here, with the weights that its configuration names.
    clips
        What it learns from.
    validation
        What its validation steps take.
    path
        Of the checkpoint.
    drives
        How many the clips are from, for the checkpoint's summary.
    resume
        Go on from where the last run stopped.

    """
    module.begin()
    config, run = module.config, module.config.run
    training = step_loader(module, clips, config.steps, config.batch, run, collate)
    export = functools.partial(_export, module, path, drives, time.monotonic())
    fit(
        module, training, validation, run, path.parent, 'validation/ap', export,
        to_mapping(config), resume,
    )
    return path


def _export(module: VideoTrainingModule, path: Path, drives: int, start: float) -> None:
    scores = {
        name: float(value) for name, value in module.trainer.callback_metrics.items()
        if name.startswith('validation/')
    }
    module.export(path, {
        'drives': drives,
        'steps': module.global_step,
        'minutes': round((time.monotonic() - start) / 60, 1),
        **scores,
    })


def check_truth(drives: Sequence[CachedDrive]) -> None:
    """Raise BagError if drives have no pictures, or a camera's first one no true instances."""
    if not any(drive.cameras for drive in drives):
        raise BagError(', '.join(drive.folder.name for drive in drives) + ': no pictures')
    for drive in drives:
        for camera in drive.cameras:
            pictures = (drive.picture(frame, camera) for frame in range(len(drive)))
            if not has_truth(next(picture for picture in pictures if picture is not None)):
                raise BagError(f'{drive.folder.name}: pictures of {camera} have no true instances')


def picture_loader(
    drives: Sequence[CachedDrive], every: int, run: RunConfig
) -> DataLoader[Any]:
    """Return every n-th picture of this process's videos in the order of stamps, one by one."""
    found = deal_videos(drives, run, lambda drive, camera: [
        (drive, camera, frame) for frame in range(0, len(drive), every)])
    return DataLoader(found, 1, collate_fn=_load)  # type: ignore[arg-type]


def deal_videos(
    drives: Sequence[CachedDrive], run: RunConfig,
    parts: Callable[[CachedDrive, str], Sequence[Part]],
) -> list[list[Part]]:
    """
    Deal the videos of drives out to the processes of a run; return the steps of this one.

    Parameters
    ----------
    drives
        Each camera of each is a video.
    run
        Says how many processes there are.
    parts
        Returns what is to be done about a drive and camera, a step each.

    Returns
    -------
    list
        One part or, as all processes must take as many steps, none.

    """
    check_truth(drives)
    rank, ranks = rank_of(run)
    videos = [parts(drive, camera) for drive in drives for camera in drive.cameras]
    shares = [[[part] for video in videos[n::ranks] for part in video] for n in range(ranks)]
    own: list[list[Part]] = shares[rank]
    return own + [[]] * (max(map(len, shares)) - len(own))


def _load(steps: Sequence[list[tuple[CachedDrive, str, int]]]) -> list[tuple[str, Picture]]:
    loaded = []
    for drive, camera, frame in steps[0]:
        picture = drive.picture(frame, camera)
        if picture is not None:
            if picture.label is None:
                raise BagError(f'{drive.folder} has no true labels')
            loaded.append((f'{drive.folder.name}/{camera}', picture))
    return loaded
