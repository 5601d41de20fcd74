"""What is known of one frame over time: its parent and its pose in the parent."""

from bisect import bisect_right

from .exceptions import ExtrapolationException
from .poses import interpolate


class StaticFrame:
    """A pose that holds at every time."""

    latest = 0

    def __init__(self, parent, pose):
        self._sample = parent, pose

    def at(self, stamp):
        """Return (parent, pose)."""
        return self._sample

    def clear(self):
        """Keep the pose: it is sent only once."""


class MovingFrame:
    """Poses of the last `cache_time` ns."""

    def __init__(self, cache_time):
        self._cache_time = cache_time
        self._stamps, self._samples = [], []

    @property
    def latest(self):
        """Newest stamp in ns, 0 without samples."""
        return self._stamps[-1] if self._stamps else 0

    def insert(self, stamp, parent, pose):
        """Add a pose; return whether it was not too old."""
        if stamp < self.latest - self._cache_time:
            return False
        place = bisect_right(self._stamps, stamp)
        if place and self._stamps[place - 1] == stamp:
            self._samples[place - 1] = parent, pose
            return True
        self._stamps.insert(place, stamp)
        self._samples.insert(place, (parent, pose))
        old = bisect_right(self._stamps, self.latest - self._cache_time - 1)
        del self._stamps[:old], self._samples[:old]
        return True

    def at(self, stamp):
        """Return (parent, pose) at a stamp in ns, 0 for the newest, or None without samples."""
        if not self._stamps:
            return None
        if stamp == 0:
            return self._samples[-1]
        self._check(stamp)
        after = bisect_right(self._stamps, stamp)
        parent, pose = self._samples[after - 1]
        before = self._stamps[after - 1]
        if before == stamp or self._samples[after][0] != parent:
            return parent, pose
        share = (stamp - before) / (self._stamps[after] - before)
        return parent, interpolate(pose, self._samples[after][1], share)

    def _check(self, stamp):
        earliest, latest = self._stamps[0], self._stamps[-1]
        if earliest <= stamp <= latest:
            return
        if earliest == latest:
            raise ExtrapolationException(
                f'Lookup would require extrapolation at time {_seconds(stamp)}, but only time '
                f'{_seconds(latest)} is in the buffer'
            )
        when, which, known = (
            ('future', 'latest', latest) if stamp > latest else ('past', 'earliest', earliest)
        )
        raise ExtrapolationException(
            f'Lookup would require extrapolation into the {when}.  Requested time '
            f'{_seconds(stamp)} but the {which} data is at time {_seconds(known)}'
        )

    def clear(self):
        """Forget all poses."""
        self._stamps.clear()
        self._samples.clear()


def _seconds(stamp):
    return f'{stamp / 1e9:.6f}'
