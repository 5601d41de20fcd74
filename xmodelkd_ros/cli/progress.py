"""A progress bar with an estimate of the time left."""

from __future__ import annotations

from collections.abc import Iterable
import sys
from typing import TypeVar

from ..errors import needed

T = TypeVar('T')


def progress(
    items: Iterable[T], label: str, unit: str = 'it', total: int | None = None
) -> Iterable[T]:
    """Pass `items`, `total` in number, through and show on a terminal's stderr how far that is."""
    with needed('show progress'):
        from tqdm import tqdm
    return tqdm(items, desc=label, unit=unit, total=total, disable=not sys.stderr.isatty())
