"""
Which sweep each step of a training sees.

Everything is a function of (seed, step, slot): nothing hidden in workers, so a run that was
killed goes on as if nothing had been. A step has `batch` slots on each of `ranks` processes. Each
slot walks through its own share of the sweeps, in an order that each pass draws anew; so a
process reads its own shards only, and as many slots on fewer processes see the same sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import dataclasses

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info, IterableDataset

from .batches import collate, DistillationBatch
from .samples import SampleMaker
from ..records import FrameSource

_SHARED = 8
"""Where a slot's share would hold fewer sweeps than this, every slot takes all of them."""


@dataclasses.dataclass(frozen=True)
class Place:
    """
    One sweep of a drive.

    Parameters
    ----------
    drive, index
        Where it is.
    labelled
        Whether its true labels may be seen.

    """

    drive: FrameSource
    index: int
    labelled: bool


class DistillationDataset(IterableDataset[DistillationBatch]):
    """
    The batches of a training, from the present step to the end of its epoch.

    Parameters
    ----------
    labelled, others
        The sweeps whose labels are known, and the rest; one of the two may be empty.
    make
        Makes the samples.
    batch
        Slots on each process.
    labelled_slots
        How many of them see labelled sweeps, where there are both kinds.
    steps
        Steps of an epoch.
    seed
        Seed of order and augmentation.
    present
        Returns the step at which an iteration starts.
    rank, ranks
        This process and how many there are.

    """

    def __init__(
        self,
        labelled: Sequence[Place],
        others: Sequence[Place],
        make: SampleMaker,
        batch: int,
        labelled_slots: int,
        steps: int,
        seed: int,
        present: Callable[[], int],
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if not others:
            labelled_slots = batch
        elif not labelled:
            labelled_slots = 0
        self.make, self.steps, self.seed, self.present = make, steps, seed, present
        self.slots = range(rank * batch, (rank + 1) * batch)
        kinds = [slot % batch < labelled_slots for slot in range(ranks * batch)]
        self.shares = {
            slot: _share(
                labelled if kinds[slot] else others, sum(kinds[:slot]) if kinds[slot]
                else slot - sum(kinds[:slot]), kinds.count(kinds[slot]))
            for slot in self.slots
        }

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[DistillationBatch]:
        worker = get_worker_info()
        first = self.present()
        last = (first // self.steps + 1) * self.steps
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(first + number, last, count):
            yield self.at(step)

    def at(self, step: int) -> DistillationBatch:
        """Return the batch of a step."""
        return collate([self._sample(step, slot) for slot in self.slots])

    def _sample(self, step: int, slot: int) -> DistillationBatch:
        place = self.place(step, slot)
        rng = np.random.default_rng((self.seed, step, slot))
        return self.make(place.drive.frame(place.index), place.labelled, rng)

    def place(self, step: int, slot: int) -> Place:
        """Return the sweep of a slot in a step."""
        share = self.shares[slot]
        turn, index = divmod(step, len(share))
        order = np.random.default_rng((self.seed, turn, slot, len(share))).permutation(len(share))
        return share[order[index]]


class CheckedSweeps(Dataset[DistillationBatch]):
    """
    Whole sweeps with their labels, unvaried, to check on; by a teacher's guesses where need be.

    Parameters
    ----------
    drives
        Held out.
    make
        Makes the samples.
    every
        Take every n-th sweep only.

    """

    def __init__(self, drives: Sequence[FrameSource], make: SampleMaker, every: int = 1) -> None:
        self.places = [(d, i) for d in drives for i in range(len(d))][::every]
        self.make = make

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> DistillationBatch:
        drive, place = self.places[index]
        sample = self.make(drive.frame(place), True, np.random.default_rng(index))
        if (sample.target >= 0).any():
            return sample
        return dataclasses.replace(
            sample, target=torch.where(sample.trust > 0, sample.guess, sample.target))


def _share(places: Sequence[Place], part: int, parts: int) -> Sequence[Place]:
    """Return consecutive places, so that a part touches few drives; all, where they are few."""
    if len(places) < _SHARED * parts:
        return places
    edges = np.linspace(0, len(places), parts + 1).round().astype(int)
    return places[edges[part]: edges[part + 1]]
