"""Which bags a distillation is made from."""

from __future__ import annotations

from pathlib import Path

from .pipeline_config import PipelineConfig
from ..bags.folders import find_bags


def choose_drives(config: PipelineConfig) -> tuple[list[Path], list[Path]]:
    """Return the bags to learn from and those to judge by."""
    bags, validation = find_bags(config.bags), find_bags(config.validation)
    if not validation and len(bags) > 1:
        validation = [bags.pop()]
    return bags, validation or bags
