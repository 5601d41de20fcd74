"""The C library's memory allocator, set up for a process that does the same work every frame."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # <malloc.h>
_HUGE_PAGE_ADVICE = 14  # <sys/mman.h>
_HUGE_PAGE = 2 * 2**20
_BLOCK = 32 * 2**20
_HEAP = 1024 * 2**20


def keep_freed_memory() -> None:
    """
    Keep freed memory for the next frame instead of giving it back to the system; in huge pages.

    Temporary arrays of a frame are megabytes: by default each is mapped, filled with zeros page
    by page, and unmapped, which takes a tenth of the time of a frame, and half of that of the
    first. Only glibc can be told, and only Linux asked for huge pages; others go without.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, 'mallopt'):
        return
    library.mallopt(_ARENA_MAX, 1)
    library.mallopt(_MMAP_THRESHOLD, _BLOCK)  # The largest that it takes.
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 2**20)
    library.mallopt(_TOP_PAD, _HEAP)
    _advise_huge_pages(library)
    library.mallopt(_TOP_PAD, 2 * _BLOCK)


def _advise_huge_pages(library: ctypes.CDLL) -> None:
    """Grow the heap, in addresses alone, and ask that its pages become huge when first used."""
    for function in (library.malloc, library.sbrk):
        function.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = library.malloc(ctypes.c_size_t(_BLOCK - _HUGE_PAGE))
    library.free(block)
    first, end = -(-block // _HUGE_PAGE) * _HUGE_PAGE, library.sbrk(ctypes.c_ssize_t(0))
    if first < end <= first + _HEAP + 2 * _BLOCK:  # else the block is not of the heap
        library.madvise(first, end - first, _HUGE_PAGE_ADVICE)
