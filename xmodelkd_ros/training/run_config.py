"""How a training run goes; readable where nothing is installed that trains."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from ..config import setting

LAST = Path('checkpoints', 'last.ckpt')
"""Where a run in a folder can be gone on from."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """How a training run goes."""

    epochs: int = setting(40, 'Passes over the training drives.', low=1)
    max_minutes: float = setting(
        0.0, 'End after this long, the learning rate too; 0 for never.', unit='min', low=0
    )
    validate_minutes: float = setting(
        0.0, 'Validate this often instead of after each epoch, 0 for not.', unit='min', low=0
    )
    precision: str = setting(
        'auto', 'Number format; auto is bf16 where it is fast.',
        choices=('auto', '32-true', 'bf16-mixed', '16-mixed'),
    )
    devices: int = setting(1, 'Processes, one per GPU; torchrun sets it itself.', low=1)
    workers: int = setting(2, 'Processes that prepare samples, for each device.', low=0)
    clip: float = setting(1.0, 'Largest norm of the gradient, 0 for any.', low=0)
    seed: int = setting(0, 'Seed of the weights, the order and the augmentation.', low=0)

    @property
    def present_workers(self) -> int:
        """Return `workers`, but no more than this process has cores."""
        return min(self.workers, len(os.sched_getaffinity(0)))


def own_rank() -> int:
    """Return which process of a run this is."""
    rank = os.environ.get('RANK', os.environ.get('LOCAL_RANK', '0'))  # Lightning sets the latter
    return int(rank)


def rank_of(run: RunConfig) -> tuple[int, int]:
    """Return which process of a run this is, and how many there are."""
    return own_rank(), int(os.environ.get('WORLD_SIZE', run.devices))
