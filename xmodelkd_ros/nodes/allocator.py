"""The C library's memory allocator, set up for a process that does the same work every frame."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # <malloc.h>
_MIB = 2**20


def keep_freed_memory() -> None:
    """
    Keep freed memory for the next frame instead of giving it back to the system.

    Temporary arrays of a frame are megabytes: by default each is mapped, filled with zeros page
    by page, and unmapped, which takes a tenth of the time of a frame. Only glibc can be told.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_THRESHOLD, 32 * _MIB)  # The largest that it takes.
    mallopt(_TRIM_THRESHOLD, 2047 * _MIB)
    mallopt(_TOP_PAD, 64 * _MIB)
