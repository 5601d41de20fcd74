"""
Which sweep each step of a training sees.

Everything is a function of (seed, step, slot), so a run that was killed goes on as if nothing had
been. A step has `batch` slots on each of `ranks` processes. Each
slot walks through its own share of the sweeps, in an order that each pass draws anew; so a
process reads its own shards only, and as many slots on fewer processes see the same sweeps.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import torch
from torch.utils.data import Dataset

from .batches import DistillationBatch
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


class DistillationDataset(Dataset[DistillationBatch]):
    """
    The samples of a training by their number: the slots of each step, one after the other.

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
    seed
        Seed of order and augmentation.
    ranks
        How many processes there are.

    """

    def __init__(
        self,
        labelled: Sequence[Place],
        others: Sequence[Place],
        make: SampleMaker,
        batch: int,
        labelled_slots: int,
        seed: int,
        ranks: int = 1,
    ) -> None:
        if not others:
            labelled_slots = batch
        elif not labelled:
            labelled_slots = 0
        self.make, self.seed = make, seed
        kinds = [slot % batch < labelled_slots for slot in range(ranks * batch)]
        self.shares = [
            _share(
                labelled if kind else others, kinds[:slot].count(kind), kinds.count(kind))
            for slot, kind in enumerate(kinds)
        ]

    def __getitem__(self, number: int) -> DistillationBatch:
        step, slot = divmod(number, len(self.shares))
        place, rng = self.place(step, slot), np.random.default_rng((self.seed, step, slot))
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
