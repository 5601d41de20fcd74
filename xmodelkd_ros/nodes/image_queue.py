"""The images of one camera that wait for a cloud to choose them."""

from __future__ import annotations

import bisect
import dataclasses

from message_filters import Cache, SimpleFilter
from sensor_msgs.msg import CompressedImage, Image

from .ledger import LATE, Ledger, REPLACED, UNMATCHED
from ..bags.synchronising import is_settled, nearest
from ..messages.stamps import nanoseconds, ros_time


@dataclasses.dataclass
class _Undecided:
    """An image that may still be chosen, and its fate if it is not."""

    stamp: int
    fate: str


class ImageQueue:
    """
    Keeps the newest images of one camera and knows the fate of each.

    An image that a cloud has chosen stays, as the next cloud may choose it again; it is the
    caller who counts it as used. Not safe for threads: `Intake` holds its lock.

    Parameters
    ----------
    source
        Name in the ledger.
    offset, tolerance
        As in `nearest`, ns.
    size
        How many images are kept.
    ledger
        Told the fate of the images that nobody chooses.

    """

    def __init__(
        self, source: str, offset: int, tolerance: int, size: int, ledger: Ledger
    ) -> None:
        self.source = source
        self._offset, self._tolerance, self._size = offset, tolerance, size
        self._ledger = ledger
        self._undecided: list[_Undecided] = []
        self._restart()

    def _restart(self) -> None:
        self._cache = Cache(SimpleFilter(), self._size)
        self._stamps: list[int] = []  # Of what the cache holds, which is slow to be asked.
        self._passed: int | None = None  # Images up to here have had their chance.
        self._missed: int | None = None  # The latest cloud, if no image had come for it.

    def add(self, message: Image | CompressedImage) -> None:
        """Keep an image, unless its cloud has gone."""
        stamp = nanoseconds(message.header.stamp)
        if self._passed is not None and stamp <= self._passed:
            self._ledger.settle(self.source, LATE)
            return
        missed = self._missed is not None and (
            abs(stamp - self._offset - self._missed) <= self._tolerance)
        self._undecided.append(_Undecided(stamp, LATE if missed else UNMATCHED))
        self._cache.add(message)
        bisect.insort(self._stamps, stamp)
        del self._stamps[: -self._size]
        if len(self._stamps) == self._size:
            self._pass(self._stamps[0] - 1)

    def is_settled(self, cloud_stamp: int) -> bool:
        """Return whether no image to come can suit a cloud better than those that are here."""
        return is_settled(self._stamps, cloud_stamp, self._offset)

    def take(self, cloud_stamp: int) -> Image | CompressedImage | None:
        """Return the image of a cloud, and settle the fate of those before it."""
        stamp = self._find(cloud_stamp)
        kept = [] if stamp is None else self._cache.getInterval(ros_time(stamp), ros_time(stamp))
        self._missed = None if kept else cloud_stamp
        if stamp is None or not kept:
            self._pass(cloud_stamp + self._offset)
            return None
        self._pass(stamp - 1)
        chosen = next((image for image in self._undecided if image.stamp == stamp), None)
        if chosen is not None:
            self._undecided.remove(chosen)
        self._pass(stamp)
        return kept[0]

    def replace(self, cloud_stamp: int) -> None:
        """Take note that a cloud is replaced by a newer one, and so is its image."""
        stamp = self._find(cloud_stamp)
        for image in self._undecided:
            if image.stamp == stamp:
                image.fate = REPLACED

    def clear(self) -> None:
        """Forget all images, as after a jump in time."""
        for image in self._undecided:
            self._ledger.settle(self.source, image.fate)
        self._undecided = []
        self._restart()

    def _find(self, cloud_stamp: int) -> int | None:
        """Return the stamp of the image of a cloud."""
        index = nearest(self._stamps, cloud_stamp, self._tolerance, self._offset)
        return None if index is None else self._stamps[index]

    def _pass(self, stamp: int) -> None:
        """Settle the fate of the images up to a stamp."""
        self._passed = max(stamp, self._passed or stamp)
        for image in self._undecided:
            if image.stamp <= self._passed:
                self._ledger.settle(self.source, image.fate)
        self._undecided = [image for image in self._undecided if image.stamp > self._passed]
