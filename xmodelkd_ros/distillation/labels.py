"""Which sweeps of some drives have labels, and labels that lie beside a drive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
