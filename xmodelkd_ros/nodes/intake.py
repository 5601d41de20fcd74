"""Where callbacks leave messages and the worker fetches them: the newest complete cloud wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import threading
import time

from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from .image_queue import ImageQueue
from .ledger import LATE, Ledger, REPLACED
from .time_jump import TimeJumps, Verdict
from ..errors import MessageError
from ..messages.stamps import measured_at, nanoseconds

MOST_CLOUDS = 5
"""Clouds that wait for images or for the worker; more would only be replaced later."""


@dataclasses.dataclass(frozen=True)
class Arrival:
    """
    A cloud that has come in.

    Parameters
    ----------
    message
        The cloud.
    stamp
        ns.
    received
        When it came in, monotonic, s.
    epoch
        How often time had jumped backwards before it.

    """

    message: PointCloud2
    stamp: int
    received: float
    epoch: int


class Intake:
    """
    Queues of clouds and of each camera's images, and the fate of all that comes in.

    Parameters
    ----------
    queues
        Image queue by camera.
    max_wait
        Longest wait of a cloud for its images, s.
    ledger
        Told the fate of each message, but for that of what the worker has fetched.
    on_jump
        Called with the stamp, ns, after which time has jumped backwards and the queues have
        been cleared.

    """

    def __init__(
        self,
        queues: Mapping[str, ImageQueue],
        max_wait: float,
        ledger: Ledger,
        on_jump: Callable[[int], None],
    ) -> None:
        self._queues, self._max_wait = queues, max_wait
        self._ledger, self._on_jump = ledger, on_jump
        self._jumps = TimeJumps()
        self._changed = threading.Condition()
        self._clouds: list[Arrival] = []
        self._taken: int | None = None
        self._is_open = True
        self._epoch = 0

    def add_cloud(self, message: PointCloud2) -> None:
        """Queue a cloud."""
        with self._changed:
            if not self._admit('points', message):
                return
            stamp = nanoseconds(message.header.stamp)
            arrival = Arrival(message, stamp, time.monotonic(), self._epoch)
            if self._taken is not None and arrival.stamp <= self._taken:
                self._ledger.settle('points', LATE)
                return
            self._clouds = sorted([*self._clouds, arrival], key=lambda cloud: cloud.stamp)
            self._drop_clouds(len(self._clouds) - MOST_CLOUDS)
            self._changed.notify()

    def add_image(self, camera: str, message: Image | CompressedImage) -> None:
        """Queue an image."""
        with self._changed:
            if self._admit(self._queues[camera].source, message):
                self._queues[camera].add(message)
                self._changed.notify()

    def take_cloud(self) -> Arrival | None:
        """Wait for the newest cloud that is complete or overdue; None once this is closed."""
        with self._changed:
            while self._is_open:
                ready = [row for row, cloud in enumerate(self._clouds) if self._is_ready(cloud)]
                # Of a full queue the next cloud would push one out that has not had its turn.
                if ready or len(self._clouds) == MOST_CLOUDS:
                    self._drop_clouds(max(ready, default=0))
                    cloud = self._clouds.pop(0)
                    self._taken = cloud.stamp
                    return cloud
                self._changed.wait(self._time_left())
            return None

    def take_images(self, arrival: Arrival) -> dict[str, Image | CompressedImage]:
        """Return the image of each camera that belongs to a cloud; none once time has jumped."""
        with self._changed:
            if arrival.epoch != self._epoch:
                return {}
            found = {camera: queue.take(arrival.stamp) for camera, queue in self._queues.items()}
        return {camera: message for camera, message in found.items() if message is not None}

    def close(self) -> None:
        """Let the worker go, and settle what is waiting."""
        with self._changed:
            self._is_open = False
            self._clear()
            self._changed.notify()

    def _admit(self, source: str, message: PointCloud2 | Image | CompressedImage) -> bool:
        """Count a message that has come in, and return whether it belongs to the present."""
        self._ledger.receive(source)
        try:
            stamp = measured_at(message.header)
        except MessageError as error:
            self._ledger.refuse(source, nanoseconds(message.header.stamp), error)
            return False
        verdict = self._jumps.judge(source, stamp)
        if verdict is Verdict.FROM_BEFORE:
            self._ledger.settle(source, LATE)
            return False
        if verdict is Verdict.JUMPS:
            self._clear()
            self._epoch += 1
            self._on_jump(stamp)
        return True

    def _clear(self) -> None:
        self._drop_clouds(len(self._clouds))
        for queue in self._queues.values():
            queue.clear()
        self._taken = None

    def _drop_clouds(self, count: int) -> None:
        for cloud in self._clouds[: max(count, 0)]:
            self._ledger.settle('points', REPLACED)
            for queue in self._queues.values():
                queue.replace(cloud.stamp)
        del self._clouds[: max(count, 0)]

    def _is_ready(self, cloud: Arrival) -> bool:
        is_overdue = time.monotonic() >= cloud.received + self._max_wait
        return is_overdue or all(q.is_settled(cloud.stamp) for q in self._queues.values())

    def _time_left(self) -> float | None:
        """Return until when the first cloud is overdue, s; None where none is waiting."""
        deadlines = [cloud.received + self._max_wait for cloud in self._clouds]
        return max(min(deadlines) - time.monotonic(), 0.0) if deadlines else None
