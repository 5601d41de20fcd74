"""A keyframe with what the teacher says of its pictures, pixel by pixel, while it is needed."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import numpy as np
import torch

from .moving import RangeCells
from ..records import CLASS_COUNT
from ..teachers.network_teacher import TeacherOutput
from ...geometry.pairing import Pairing, sample_bilinear
from ...records import Frame

_LARGEST = float(np.finfo(np.float16).max)


class Answer:
    """
    A teacher's output, ready to be asked at pixels.

    Parameters
    ----------
    output
        The teacher's.
    size
        (H, W) of the image.
    ids
        (C,) our id of each class, None for a teacher without classes.
    mixing
        (F, D) what is kept of its D features, None for all.

    """

    def __init__(
        self, output: TeacherOutput, size: tuple[int, int], ids: np.ndarray | None,
        mixing: np.ndarray | None,
    ) -> None:
        self._features = _rows_first(output.features)
        if mixing is not None:
            self._features = self._features @ mixing.T
        self._logits = None if output.logits is None or ids is None else _rows_first(output.logits)
        self._size, self._ids = size, ids

    def features(self, pairing: Pairing) -> np.ndarray:
        """Look up the teacher at the pixels of points: (M, D) float16."""
        found = sample_bilinear(self._features, self._scaled(pairing, self._features))
        return np.clip(found, -_LARGEST, _LARGEST).astype(np.float16)

    def probabilities(self, pairing: Pairing) -> np.ndarray | None:
        """Look up our ids 1 to 16 at points: (M, 16) float16; what other classes have is lost."""
        if self._logits is None or self._ids is None:
            return None
        logits = sample_bilinear(self._logits, self._scaled(pairing, self._logits))
        weight = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
        weight /= weight.sum(1, keepdims=True)
        ours = np.zeros((weight.shape[1], CLASS_COUNT + 1), np.float32)
        ours[np.arange(len(ours)), self._ids] = 1
        return (weight @ ours)[:, 1:].astype(np.float16)

    def _scaled(self, pairing: Pairing, values: np.ndarray) -> Pairing:
        """Return the pairing with pixels of `values` (h, w, K), cell centres on whole numbers."""
        scale = np.array(values.shape[1::-1], np.float32) / np.array(self._size[::-1], np.float32)
        return Pairing(pairing.index, (pairing.pixels + 0.5) * scale - 0.5, pairing.depth)


def make_mixing(size: int, kept: int) -> np.ndarray | None:
    """
    Return `kept` random orthonormal directions (kept, size) float32, None where all are kept.

    Scaled so that lengths and distances of features stay the same on average, and nearly so for
    each (Johnson and Lindenstrauss 1984). They depend on the sizes alone.
    """
    if kept == 0 or kept >= size:
        return None
    drawn = np.random.default_rng((size, kept)).standard_normal((size, kept))
    return (np.linalg.qr(drawn)[0].T * np.sqrt(size / kept)).astype(np.float32)


def _rows_first(values: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.detach().cpu().float().permute(1, 2, 0).numpy())


@dataclasses.dataclass(frozen=True)
class Sighting:
    """
    A keyframe and the teacher's answers.

    Parameters
    ----------
    number
        Of the keyframe in its drive.
    frame
        Sweep and views, placed with the drive's odometry.
    points
        (N, 3) float32 lidar frame at the sweep's stamp, m.
    motion
        See `DistillationFrame`.
    segment
        Of the trajectory, -1 without a pose.
    answers
        By camera.
    cells
        Returns of the sweep by direction.

    """

    number: int
    frame: Frame
    points: np.ndarray
    motion: np.ndarray | None
    segment: int
    answers: Mapping[str, Answer]
    cells: RangeCells

    def is_connected(self, other: Sighting) -> bool:
        """Return whether the way from one to the other is known."""
        return self.segment >= 0 and self.segment == other.segment
