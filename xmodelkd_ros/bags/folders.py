"""Bags by their paths, or by those of folders that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import BagError


def find_bags(paths: Sequence[str | Path]) -> list[Path]:
    """
    Return bags: those that are named, and those in folders that are named.

    Raises
    ------
    BagError
        If a path is missing or is neither a bag nor a folder of bags.

    """
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise BagError(f'there is no bag at {path}')
        own = [path] if _is_bag(path) else sorted(filter(_is_bag, path.glob('*')))
        if not own:
            raise BagError(f'{path} is neither a bag nor a folder of bags')
        found += own
    return found


def _is_bag(path: Path) -> bool:
    return (path / 'metadata.yaml').is_file() or path.suffix in ('.mcap', '.db3')
