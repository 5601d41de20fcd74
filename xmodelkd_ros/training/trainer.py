"""The training run both trainers share: Lightning with its progress bar, log and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import contextlib
import datetime
import math
import os
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import ModelCheckpoint, Timer, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
import torch
from torch.utils.data import DataLoader

from .callbacks import Consistent, ExportBest, Stop, Watch, Watched
from .run_config import LAST, RunConfig
from ..errors import ConfigurationError
from ..evaluation.run_file import RUN_FILE, write_run
from ..inference.devices import compute_dtype, select_device


def fit(
    module: lightning.LightningModule,
    training: DataLoader,
    validation: DataLoader,
    config: RunConfig,
    out: Path,
    monitor: str,
    export: Callable[[], None],
    configuration: Mapping[str, Any],
    resume: bool = False,
    watch: Watch | None = None,
) -> None:
    """
    Train a module; the best state so far is exported whenever validation improves.

    Ctrl-C and SIGTERM end the run after the present step, so that it can be resumed there.

    Parameters
    ----------
    module
        Logs `monitor` in its validation.
    training, validation
        Batches of this process.
    config
        How the run goes.
    out
        Folder for the log, the checkpoints to resume from, and the configuration.
    monitor
        Name of the score, the higher the better.
    export
        Writes the module's present weights.
    configuration
        All of the run's configuration, written beside the result.
    resume
        Go on from where the last run in `out` stopped.
    watch
        Told after each step; what it raises ends the run, which can be resumed.

    Raises
    ------
    ConfigurationError
        If there is nothing to resume from.

    """
    last = out / LAST
    if resume and not last.is_file():
        raise ConfigurationError('resume', str(out), f'there is no {last}')
    out.mkdir(parents=True, exist_ok=True)
    write_run(out / RUN_FILE, configuration)
    best, stop = ExportBest(monitor, export), Stop()
    checkpoint = ModelCheckpoint(last.parent, last.stem, enable_version_counter=False)
    trainer = _trainer(config, out, [
        stop,
        Consistent(checkpoint),
        *([Watched(watch)] if watch else ()),
        best,
        checkpoint,
        TQDMProgressBar(1),
    ])
    with stop, _naming(out):
        trainer.fit(
            module, training, validation, ckpt_path=str(last) if resume else None,
            weights_only=False,
        )
        if stop.wanted:
            raise KeyboardInterrupt
        if best.step != trainer.global_step:  # the time limit came between two validations
            trainer.validate(module, validation, verbose=False)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, torch and the workers."""
    lightning.seed_everything(seed, workers=True, verbose=False)


def seed_step(module: lightning.LightningModule, seed: int) -> None:
    """Make what a step draws at random depend on the run's seed, its number and the rank alone."""
    torch.manual_seed((seed * 1_000_003 + module.global_step) * 1024 + module.global_rank)


def cosine_schedule(step: int, warm_up: int, done: float) -> float:
    """Return the share of the learning rate: a linear warm-up, then a cosine down to 0."""
    return min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def progress(trainer: lightning.Trainer) -> float:
    """Return how much of the run is over, 0..1, by its steps or its time limit."""
    done = trainer.global_step / max(float(trainer.estimated_stepping_batches), 1.0)
    for timer in trainer.callbacks:  # type: ignore[attr-defined]
        remaining = timer.time_remaining() if isinstance(timer, Timer) else None
        if isinstance(timer, Timer) and remaining is not None:
            elapsed = timer.time_elapsed()
            done = max(done, elapsed / (elapsed + remaining + 1e-6))
    return trainer.strategy.broadcast(min(done, 1.0))  # clocks differ, weights must not


def adamw(
    network: torch.nn.Module, rate: float, decay: float, warm_up: int, trainer: lightning.Trainer
) -> dict[str, Any]:
    """Return AdamW with a cosine schedule, for Lightning; biases and norms do not decay."""
    parameters = list(network.parameters())
    groups = [
        {'params': [p for p in parameters if p.ndim > 1], 'weight_decay': decay},
        {'params': [p for p in parameters if p.ndim <= 1], 'weight_decay': 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: cosine_schedule(step, warm_up, progress(trainer))
    )
    return {'optimizer': optimizer, 'lr_scheduler': {'scheduler': schedule, 'interval': 'step'}}


def log_losses(
    module: lightning.LightningModule, losses: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Log the losses of a training step and their sum, and return that."""
    total = torch.stack(list(losses.values())).sum()
    module.log_dict({f'train/{name}': value for name, value in losses.items()})
    module.log('train/loss', total, prog_bar=True)
    return total


@contextlib.contextmanager
def _naming(out: Path) -> Iterator[None]:
    """Have an error that does not say which file it is about, as of a full disk, name a folder."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.strerror:
            error.filename = str(out)
        raise


def _trainer(config: RunConfig, out: Path, callbacks: list[Any]) -> lightning.Trainer:
    gpu = torch.cuda.is_available()
    devices = int(os.environ.get('LOCAL_WORLD_SIZE', config.devices))
    world = int(os.environ.get('WORLD_SIZE', devices))
    every = datetime.timedelta(minutes=config.validate_minutes)
    limit = datetime.timedelta(minutes=config.max_minutes)
    return lightning.Trainer(
        accelerator='gpu' if gpu else 'cpu',
        devices=devices,
        num_nodes=max(1, world // devices),
        strategy=DDPStrategy(process_group_backend='nccl' if gpu else 'gloo')
        if world > 1 else 'auto',
        precision=_precision(config.precision),  # type: ignore[arg-type]
        max_epochs=config.epochs,
        max_time=limit if config.max_minutes else None,
        val_check_interval=every if config.validate_minutes else None,
        check_val_every_n_epoch=None if config.validate_minutes else 1,
        gradient_clip_val=config.clip or None,
        logger=TensorBoardLogger(str(out), name='', version='log'),
        callbacks=callbacks,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        log_every_n_steps=10,
        use_distributed_sampler=False,  # `steps` deals samples out
    )


def _precision(name: str) -> str:
    if name != 'auto':
        return name
    names = {torch.bfloat16: 'bf16-mixed', torch.float16: '16-mixed', torch.float32: '32-true'}
    return names[compute_dtype(select_device('auto'))]
