"""A tree of frames over time, in ns, and the transforms between any two of them."""

from .exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
)
from .frame_cache import MovingFrame, StaticFrame
from .poses import compose, IDENTITY, invert


class FrameTree:
    """Frames, each with its parent; poses take points of a frame to its parent."""

    def __init__(self, cache_time):
        self._cache_time = cache_time
        self._frames = {}
        self._names = set()

    def insert(self, frame, parent, stamp, pose, static):
        """Add a pose; return whether it was not too old."""
        self._names |= {frame, parent}
        if static:
            self._frames[frame] = StaticFrame(parent, pose)
            return True
        if not isinstance(self._frames.get(frame), MovingFrame):
            self._frames[frame] = MovingFrame(self._cache_time)
        return self._frames[frame].insert(stamp, parent, pose)

    def clear(self):
        """Forget all poses but the static ones."""
        for frame in self._frames.values():
            frame.clear()

    def check_name(self, name, argument):
        """Raise if a frame's name is impossible or not known."""
        for reason, wrong in (
            ('cannot be empty', not name), ("cannot start with a '/'", name.startswith('/')),
        ):
            if wrong:
                raise InvalidArgumentException(
                    f'Invalid argument "{name}" passed to {argument} - in tf2 frame_ids {reason}'
                )
        if name not in self._names:
            raise LookupException(f'"{name}" passed to {argument} does not exist. ')

    def target_from_source(self, target, source, stamp):
        """
        Return (pose, stamp): points of the source to the target; at 0, the latest common time.

        Raises
        ------
        ConnectivityException, ExtrapolationException, LookupException
            If there is no path between the frames at that time.

        """
        if target == source:
            known = self._frames.get(target)
            return IDENTITY, stamp or (known.latest if known else 0)
        stamp = stamp or self._latest_common_time(target, source)
        from_source, failure = self._climb(source, stamp, target)
        if target in from_source:
            return from_source[target], stamp
        from_target, failed = self._climb(target, stamp, *from_source)
        meeting = next((name for name in from_target if name in from_source), None)
        if meeting is None:
            self._refuse(target, source, failure or failed)
        return compose(invert(from_target[meeting]), from_source[meeting]), stamp

    def _climb(self, name, stamp, *ends):
        """
        Return the pose of a frame in each of its ancestors, itself first, up to one of `ends`.

        The second result is the error that ended the climb before the root.
        """
        pose = IDENTITY
        poses = {name: pose}
        while name not in ends and name in self._frames:
            try:
                sample = self._frames[name].at(stamp)
            except ExtrapolationException as error:
                return poses, error
            if sample is None:
                return poses, None
            name = sample[0]
            pose = compose(sample[1], pose)
            if name in poses:
                raise LookupException('The tf tree is invalid because it contains a loop.')
            poses[name] = pose
        return poses, None

    def _latest_common_time(self, target, source):
        """Return the newest stamp at which every link between two frames is known."""
        up, across = self._latest_times(source), self._latest_times(target)
        meeting = next((name for name in across if name in up), None)
        if meeting is None:
            self._refuse(target, source, None)
        return min(filter(None, (up[meeting], across[meeting])), default=0)

    def _latest_times(self, name):
        """Return for each ancestor the oldest of the newest stamps on the way, 0 if all static."""
        oldest = 0
        times = {name: oldest}
        while name in self._frames:
            frame = self._frames[name]
            sample = frame.at(0)
            if sample is None or sample[0] in times:
                break
            oldest = min(filter(None, (oldest, frame.latest)), default=0)
            name = sample[0]
            times[name] = oldest
        return times

    def _refuse(self, target, source, failure):
        if failure:
            raise ExtrapolationException(
                f'{failure}, when looking up transform from frame [{source}] to frame [{target}]'
            )
        raise ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not "
            'part of the same tree.Tf has two or more unconnected trees.'
        )
