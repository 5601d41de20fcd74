"""Scores of the offline teacher on labelled drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..cache import cached_drives
from ..video.evaluation import score_drives
from ...evaluation.environment import describe_model
from ...evaluation.video import TrackScoreConfig
from ...inference.clip_segmenter import load_clip_segmenter


def evaluate_clip(
    bags: Sequence[str | Path], model: Path, device: str, cache: Path,
    config: TrackScoreConfig,
) -> str:
    """
    Return the scores of a checkpoint of the kind 'clip'; else as `evaluate_video`.

    Raises
    ------
    BagError
        If a bag has no camera, or no true instances.

    """
    segment = load_clip_segmenter(model, device)
    scores = score_drives(cached_drives(bags, cache), segment.classes, segment, config)
    return f'{scores}\n\n{describe_model(model, segment.sha256)}'
