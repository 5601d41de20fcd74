"""
Loaders that know which step of a training comes next, so that a stopped one goes on there.

All trainings and their validations deal samples out to the processes of a run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import distributed
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from .run_config import rank_of, RunConfig

Own = TypeVar('Own')
Collate = Callable[[list[Any]], Any]


class StepLoader(DataLoader[Any]):
    """A loader whose batches are given by the number of the step, which is all of its state."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # Lightning may ask for this before it knows the step, and workers would begin at once.
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing, which tells Lightning that an epoch can be gone on with."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Need nothing."""


class StepSampler(Sampler[list[int]]):
    """
    The indices of the samples of each step, from the present one to the end of its epoch.

    Every sample of a run has its own index, whatever the number of processes.

    Parameters
    ----------
    steps
        Steps of an epoch.
    batch
        Samples of a step, on each process.
    present
        Returns the step at which an iteration starts.
    rank, ranks
        This process and how many there are.

    """

    def __init__(
        self, steps: int, batch: int, present: Callable[[], int], rank: int = 0, ranks: int = 1
    ) -> None:
        self.steps, self.batch, self.present = steps, batch, present
        self.rank, self.ranks = rank, ranks

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        first = self.present()
        for step in range(first, (first // self.steps + 1) * self.steps):
            start = (step * self.ranks + self.rank) * self.batch
            yield list(range(start, start + self.batch))


class Varied(Protocol):
    """Samples that are varied at random."""

    def __len__(self) -> int: ...

    def sample(self, index: int, random: np.random.Generator) -> Any:
        """Return a sample, varied by a source of randomness."""


class Draws(Dataset[Any]):
    """
    Samples of a training by the number of the draw, of which there is no end.

    Each pass over them has an order of its own, by the seed and its number alone; how a sample is
    varied is by the seed and the draw alone.
    """

    def __init__(self, samples: Varied, seed: int) -> None:
        self.samples, self.seed = samples, seed

    def __getitem__(self, draw: int) -> Any:
        count = len(self.samples)
        turn, place = divmod(draw, count)
        order = np.random.default_rng((self.seed, turn, count)).permutation(count)
        return self.samples.sample(
            int(order[place]), np.random.default_rng((self.seed, draw)))


def step_loader(
    module: lightning.LightningModule, samples: Dataset[Any], steps: int, batch: int,
    run: RunConfig, collate: Collate | None = None,
) -> StepLoader:
    """
    Return this process's batches of a training, from the step that comes next.

    Parameters
    ----------
    module
        What is trained; it knows the step.
    samples
        By number, each of a run its own.
    steps
        Steps of an epoch.
    batch
        Samples of a step, on each process.
    run
        Says how many processes and workers there are.
    collate
        Joins samples.

    """
    numbers = StepSampler(steps, batch, lambda: module.global_step, *rank_of(run))
    return StepLoader(
        samples, batch_sampler=numbers, collate_fn=collate, **_workers(run))


def check_loader(
    samples: Dataset[Any], run: RunConfig, collate: Collate | None = None
) -> DataLoader[Any]:
    """Return this process's samples to validate by, one by one; all take as many steps."""
    rank, ranks = rank_of(run)
    dealt: DistributedSampler[Any] = DistributedSampler(samples, ranks, rank, shuffle=False)
    return DataLoader(samples, 1, sampler=dealt, collate_fn=collate, **_workers(run))


def is_repeated(module: lightning.LightningModule, index: int) -> bool:
    """
    Return whether a sample to validate by is of another process, and does not count here.

    Where their number is no multiple of that of the processes, `check_loader` repeats some.

    Parameters
    ----------
    module
        What is validated.
    index
        Of the batch, on this process.

    """
    trainer = module.trainer
    number = index * trainer.world_size + trainer.global_rank
    return number >= len(trainer.val_dataloaders.dataset)  # type: ignore[union-attr]


def _workers(run: RunConfig) -> dict[str, Any]:
    workers = run.present_workers
    return {
        'num_workers': workers, 'persistent_workers': workers > 0,
        'pin_memory': torch.cuda.is_available()}


def gather(own: Own) -> list[Own]:
    """Return what each process of the run gives here, by rank."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [own]
    found = [own] * distributed.get_world_size()
    distributed.all_gather_object(found, own)
    return found
