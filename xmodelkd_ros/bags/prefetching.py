"""Reading ahead in a thread, so that disk and decompression do not delay what plays a bag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import queue
import threading
from typing import Generic, TypeVar

T = TypeVar('T')

_END = object()


class Prefetch(Generic[T]):
    """
    Iterate over `items` that a thread takes ahead of time; use as a context manager.

    An exception of the source is raised where the iteration reaches it.

    Parameters
    ----------
    items
        The source, used by the thread alone.
    size
        How many items to hold at most.

    """

    def __init__(self, items: Iterable[T], size: int = 32) -> None:
        self._items = items
        self._queue: queue.Queue[object] = queue.Queue(size)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return iter(self)

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _fill(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(_END)
        except Exception as error:
            self._put(error)

    def _put(self, item: object) -> bool:
        """Queue an item; return False if nobody wants it any more."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def __iter__(self) -> Iterator[T]:
        while (item := self._queue.get()) is not _END:
            if isinstance(item, Exception):
                raise item
            yield item  # type: ignore[misc]
