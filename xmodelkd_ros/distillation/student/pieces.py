"""
Parts of an extraction that one process works on.

Each drive is cut into shards of consecutive keyframes. Whoever makes a shard goes through its
keyframes and those within the reach of `instants` around them, so that shards can be made in any
order, by any process, with the same bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
import dataclasses
import time

from ..cache import shard_file, write_shard
from ..extraction.drive_plan import DrivePlan
from ..extraction.lookout import Lookout
from ..extraction.point_views import look_up_points, no_views, view_names
from ..extraction.sightings import Sighting
from ..records import DistillationFrame
from ..teachers.teacher import Teacher


@dataclasses.dataclass(frozen=True)
class Piece:
    """
    Work for one process: shards of a drive that follow one another and are missing.

    Parameters
    ----------
    plan
        The drive.
    first, last
        Numbers of the shards, `last` not included.

    """

    plan: DrivePlan
    first: int
    last: int

    @property
    def keyframes(self) -> int:
        """How many keyframes it has."""
        size = self.plan.config.shard
        return min(self.last * size, len(self.plan.keyframes)) - self.first * size

    def extract(self, teacher: Teacher, check: Callable[[], None]) -> float:
        """
        Write the shards, each as soon as it is complete, and return the s that it took.

        Parameters
        ----------
        teacher
            Whom to ask.
        check
            Called after each keyframe; what it raises stops the work.

        """
        started, size = time.monotonic(), self.plan.config.shard
        waiting: list[DistillationFrame] = []
        number = self.first
        for keyframe, frame in extract_frames(
                self.plan, teacher, self.first * size, self.last * size):
            while keyframe >= (number + 1) * size:
                write_shard(self.plan.folder / shard_file(number), waiting)
                waiting, number = [], number + 1
            waiting.append(frame)
            check()
        for rest in range(number, self.last):
            write_shard(self.plan.folder / shard_file(rest), waiting)
            waiting = []
        return time.monotonic() - started


def missing_pieces(plan: DrivePlan, count: int) -> list[Piece]:
    """Return what is missing of a drive, in at least `count` pieces where there is enough."""
    missing = [n for n in range(plan.shards) if not (plan.folder / shard_file(n)).is_file()]
    longest = max(1, -(-len(missing) // count))
    pieces: list[Piece] = []
    for number in missing:
        last = pieces[-1] if pieces else None
        if last is not None and last.last == number and number - last.first < longest:
            pieces[-1] = dataclasses.replace(last, last=number + 1)
        else:
            pieces.append(Piece(plan, number, number + 1))
    return pieces


def extract_frames(
    plan: DrivePlan, teacher: Teacher, first: int, last: int
) -> Iterator[tuple[int, DistillationFrame]]:
    """
    Yield keyframes with their numbers, from number `first` to before `last`.

    Holds as many sightings as lie within the reach of the instants.
    """
    config = plan.config
    instants = sorted(set(config.instants) - {0})
    before, after = -min([*instants, 0]), max([*instants, 0])
    last = min(last, len(plan.keyframes))
    none = no_views(
        view_names(plan.survey.cameras, config.instants), plan.identity['feature_size'],
        teacher.class_names is not None)
    known: dict[int, Sighting] = {}
    waiting: deque[Sighting] = deque()

    def finish(now: int) -> Iterator[tuple[int, DistillationFrame]]:
        """Yield what nothing that comes from keyframe `now` on can add to."""
        while waiting and waiting[0].number + after < now:
            own = waiting.popleft()
            others = {step: known[own.number + step] for step in instants
                      if own.number + step in known}
            others = {step: o for step, o in others.items() if own.is_connected(o)}
            yield own.number, look_up_points(own, others, none, config)
            for old in [number for number in known if number + before <= own.number]:
                del known[old]

    for sighting in Lookout(plan).sightings(teacher, max(0, first - before), last + after):
        yield from finish(sighting.number)
        known[sighting.number] = sighting
        if first <= sighting.number < last:
            waiting.append(sighting)
    yield from finish(last + 2 * after + 1)
