"""Which bags a distillation is made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .pipeline_config import PipelineConfig
from ..errors import BagError


def choose_drives(config: PipelineConfig) -> tuple[list[Path], list[Path]]:
    """Return the bags to learn from and those to judge by."""
    bags, validation = find_bags(config.bags), find_bags(config.validation)
    if not validation and len(bags) > 1:
        validation = [bags.pop()]
    return bags, validation or bags


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
        own = [path] if _is_bag(path) else sorted(filter(_is_bag, path.iterdir()))
        if not own:
            raise BagError(f'{path} is neither a bag nor a folder of bags')
        found += own
    return found


def _is_bag(path: Path) -> bool:
    return (path / 'metadata.yaml').is_file() or path.suffix in ('.mcap', '.db3')
