"""
The rule that pairs images with clouds, shared by the live node and the offline reader.

The cloud is the reference. Each camera gives its image that is nearest in time, within a
tolerance, after its own trigger offset has been taken off. All stamps are integer nanoseconds.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
import itertools
import statistics


def nearest(stamps: Sequence[int], stamp: int, tolerance: int, offset: int = 0) -> int | None:
    """
    Return the index of the image that belongs to a cloud, or None.

    Parameters
    ----------
    stamps
        Image stamps of one camera, ascending, ns.
    stamp
        Stamp of the cloud, ns.
    tolerance
        Largest distance in time that is accepted, ns.
    offset
        How much later the camera is stamped than the instant it shares with the cloud, ns.

    Returns
    -------
    index of the nearest stamp (the earlier of two equally near), None if none is near enough

    """
    wanted = stamp + offset
    after = bisect.bisect_left(stamps, wanted)
    candidates = [index for index in (after - 1, after) if 0 <= index < len(stamps)]
    best = min(candidates, key=lambda index: abs(stamps[index] - wanted), default=None)
    if best is None or abs(stamps[best] - wanted) > tolerance:
        return None
    return best


def is_settled(stamps: Sequence[int], stamp: int, offset: int = 0) -> bool:
    """
    Return whether no image that is still to come can be nearer than those that are there.

    A camera's images arrive in order, so it is once the newest is at or after the instant that
    is asked for, or so near before it that the next, a period later, must be further from it.
    The period is the median of those between the images that are there, if these are three or
    more. Parameters as in `nearest`.
    """
    if not stamps:
        return False
    missing = stamp + offset - stamps[-1]
    if missing <= 0 or len(stamps) < 3:
        return missing <= 0
    period = statistics.median(after - before for before, after in itertools.pairwise(stamps))
    return 2 * missing <= period
