"""Loaders that know which step of a training comes next, so that a stopped one goes on there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from typing import Any, TypeVar

from torch import distributed
from torch.utils.data import DataLoader, Sampler

from .run_config import RunConfig

Own = TypeVar('Own')


class StepLoader(DataLoader[Any]):
    """A loader whose batches are given by the number of the step, which is all of its state."""

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


def rank_of(run: RunConfig) -> tuple[int, int]:
    """Return which process of a run this is, and how many there are."""
    rank = os.environ.get('RANK', os.environ.get('LOCAL_RANK', '0'))  # Lightning sets the latter
    return int(rank), int(os.environ.get('WORLD_SIZE', run.devices))


def gather(own: Own) -> list[Own]:
    """Return what each process of the run gives here, by rank."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [own]
    found = [own] * distributed.get_world_size()
    distributed.all_gather_object(found, own)
    return found
