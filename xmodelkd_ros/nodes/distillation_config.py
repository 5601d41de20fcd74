"""Parameters of the node `distillation`."""

from __future__ import annotations

import dataclasses

from ..config import setting
from ..distillation.pipeline_config import PipelineConfig


@dataclasses.dataclass(frozen=True)
class DistillationConfig(PipelineConfig):
    """Parameters of the node."""

    autostart: bool = setting(
        True, 'configure and activate at the start, and end when the work is done')
