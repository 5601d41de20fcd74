"""ESPNetv2 as a teacher: the one that runs on a small CPU."""

from __future__ import annotations

from .network_teacher import TeacherNetwork
from ...networks import espnetv2_weights


def load_espnetv2(weights: str) -> list[TeacherNetwork]:
    """
    Load one or several weight files, comma separated.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, or of another network.

    """
    loaded = [espnetv2_weights.load_espnetv2(path) for path in weights.split(',')]
    return [TeacherNetwork(network, 'espnetv2', names) for network, names in loaded]
