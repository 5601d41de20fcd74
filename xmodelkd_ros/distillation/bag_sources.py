"""Which bags a distillation is made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .cache_files import read_json, write_json
from .pipeline_config import PipelineConfig
from ..bags.folders import find_bags
from ..errors import ConfigurationError


def choose_drives(config: PipelineConfig) -> tuple[list[Path], list[Path]]:
    """Return the bags to learn from and those to judge by."""
    bags, validation = find_bags(config.bags), find_bags(config.validation)
    if not validation and len(bags) > 1:
        validation = [bags.pop()]
    return bags, validation or bags


def check_drives(
    path: Path, named: Sequence[str], bags: Sequence[Path], validation: Sequence[Path]
) -> None:
    """
    Write down which bags were found, or compare them with those that were before.

    Parameters
    ----------
    path
        File for it, in the folder of the distillation.
    named
        What the user named: bags, or folders of bags.
    bags, validation
        What was found.

    Raises
    ------
    ConfigurationError
        With the bags that were added, and those that are gone.

    """
    if not path.is_file():
        write_json(path, {
            'bags': [*map(str, bags)], 'validation': [*map(str, validation)]})
    then = {bag for found in read_json(path).values() for bag in found}
    now = {*map(str, bags), *map(str, validation)}
    changes = [f'{bag} was added' for bag in sorted(now - then)]
    changes += [f'{bag} is gone' for bag in sorted(then - now)]
    if changes:
        raise ConfigurationError(
            'bags', [*named],
            f'those that {path.parent} was made from, but {", ".join(changes)}; or choose another '
            'folder')
