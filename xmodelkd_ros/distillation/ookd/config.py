"""How the online video segmenter learns from the offline one."""

from __future__ import annotations

import dataclasses

from .queries import QueryFilterConfig
from ...config import setting
from ...training.clip.long_clips import LongClipConfig
from ...training.video.module import VideoTrainingConfig


@dataclasses.dataclass(frozen=True)
class QueryLossConfig:
    """Weights of the losses between queries of teacher and student; 0 switches one off."""

    embedding: float = setting(0.5, 'weight of the contrastive loss of embeddings', low=0.0)
    classes: float = setting(1.0, 'weight of the divergence of classes', low=0.0)
    cover: float = setting(0.5, 'weight of the cross-entropy of masks', low=0.0)
    dice: float = setting(1.0, 'weight of the dice loss of masks', low=0.0)
    contrast: float = setting(
        0.1, 'temperature of the contrastive loss', low=0.01, high=1.0)
    softness: float = setting(1.0, 'temperature of the classes', low=0.1, high=10.0)

    @property
    def wanted(self) -> bool:
        """Whether any of the losses is."""
        return any((self.embedding, self.classes, self.cover, self.dice))


@dataclasses.dataclass(frozen=True)
class OokdTrainingConfig(VideoTrainingConfig):
    """How the student is trained; its shape and cost are those of a student trained alone."""

    mode: str = setting(
        'qfa', 'alone: labels only; plain: queries paired by rank; qfa: by instance',
        choices=('alone', 'plain', 'qfa'),
    )
    teacher: str = setting('', 'checkpoint of the clip network; not needed alone')
    unlabelled: tuple[str, ...] = setting(
        (), 'bags that the teacher labels, each once: all it says for plain, filtered for qfa')
    clips: LongClipConfig = setting(LongClipConfig(), 'how clips are drawn')
    queries: QueryFilterConfig = setting(QueryFilterConfig(), 'which queries are kept')
    distil: QueryLossConfig = setting(QueryLossConfig(), 'weights of the losses of queries')
    batch: int = setting(2, 'clips per step, on each device', low=1, high=1024)
