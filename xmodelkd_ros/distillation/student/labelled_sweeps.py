"""Which sweeps have labels, and whose labels are used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..records import FrameSource


def labelled_sweeps(drive: FrameSource) -> Sequence[int]:
    """Return which sweeps have labels; a drive that does not tell has them for all, or none."""
    known: Sequence[int] | None = getattr(drive, 'labelled', None)
    if known is not None:
        return known
    has_labels = len(drive) and drive.frame(0).cloud.label is not None
    return range(len(drive)) if has_labels else ()


def choose_sweeps(lengths: Sequence[int], fraction: float, seed: int) -> list[tuple[int, int]]:
    """
    Choose whole sweeps, spread over the drives as evenly as can be.

    Parameters
    ----------
    lengths
        Number of sweeps of each drive.
    fraction
        Share of all sweeps, 0..1; more than 0 chooses one at least.
    seed
        Of the choice; a larger fraction adds to what a smaller one chose.

    Returns
    -------
    list of tuple
        Drive and sweep, ascending.

    """
    total = sum(lengths)
    count = min(total, max(round(fraction * total), int(fraction > 0)))
    rng = np.random.default_rng((seed, total))
    order = rng.permutation(len(lengths))
    within = {drive: rng.permutation(lengths[drive]) for drive in order}
    turns = max(lengths, default=0)
    dealt = [
        (int(drive), int(within[drive][turn]))
        for turn in range(turns) for drive in order if turn < lengths[drive]
    ]
    return sorted(dealt[:count])
