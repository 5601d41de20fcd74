"""Joining windows of a sequence: instances of one window become tracks through all of them."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools

import numpy as np

from .assignment import associate
from .track_ids import next_id
from ..config import setting


@dataclasses.dataclass(frozen=True)
class StitchingConfig:
    """When an instance of a window is a known track."""

    min_affinity: float = setting(
        0.7, 'similarity plus overlap that a pair needs', low=-1.0, high=2.0)
    momentum: float = setting(
        0.5, 'share of the old in the remembered appearance', low=0.0, high=1.0)
    max_age: float = setting(
        4.0, 'time after which an unseen track is forgotten', unit='s', low=0.0, high=60.0)
    max_tracks: int = setting(
        128, 'tracks in memory; beyond it the longest unseen are forgotten', low=1, high=4096)


@dataclasses.dataclass(frozen=True)
class ClipInstances:
    """
    The instances of one window of L images.

    Parameters
    ----------
    class_id
        (N,) uint16.
    score
        (N,) float32 in 0..1.
    embedding
        (N, E) float32, unit length.
    logits
        (L, N, h, w) float32 mask logits.
    masks
        (L, N, h, w) bool: cells that each keeps beside the others.

    """

    class_id: np.ndarray
    score: np.ndarray
    embedding: np.ndarray
    logits: np.ndarray
    masks: np.ndarray


class Stitcher:
    """
    Gives ids to the instances of overlapping windows.

    Parameters
    ----------
    config
        When an instance is a known track.

    """

    def __init__(self, config: StitchingConfig = StitchingConfig()) -> None:
        self._config = config
        self._new_ids = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forget all tracks; ids go on."""
        self._id = np.zeros(0, np.uint16)
        self._stamp = np.zeros(0, np.int64)
        self._embedding: np.ndarray | None = None
        self._masks: np.ndarray | None = None

    @property
    def memory_size(self) -> int:
        """Count the tracks in memory."""
        return len(self._id)

    def update(self, found: ClipInstances, stamps: Sequence[int], step: int) -> np.ndarray:
        """
        Return the ids of the instances of the next window.

        Parameters
        ----------
        found
            The window; its first images are the last of the window before.
        stamps
            Of its L images, ns.
        step
            How many images later the next window begins.

        Returns
        -------
        np.ndarray
            (N,) uint16.

        """
        row = self._join(found, stamps[0])
        ids = np.zeros(len(row), np.uint16)
        ids[row >= 0] = self._id[row[row >= 0]]
        living = {*self._id.tolist()}
        for new in np.flatnonzero(row < 0):
            ids[new] = next_id(self._new_ids, living)
        self._remember(found, ids, row, np.asarray(stamps, np.int64), step)
        return ids

    def _join(self, found: ClipInstances, start: int) -> np.ndarray:
        """Return (N,) the row in memory of each instance, -1 for none."""
        if self._embedding is None or self._masks is None:
            return np.full(len(found.score), -1)
        shared = len(self._masks)
        iou = _overlaps(found.masks[:shared], self._masks)
        here, known = (np.logical_or.reduce(_seen(m)) for m in (found.masks[:shared], self._masks))
        possible = ~(here[:, None] & known) | (iou > 0.1)
        possible &= start - self._stamp <= self._config.max_age * 1e9
        affinity = found.embedding @ self._embedding.T + iou
        cost = np.where(possible, -affinity, np.inf)
        return associate(cost, -self._config.min_affinity)

    def _remember(
        self, found: ClipInstances, ids: np.ndarray, row: np.ndarray, stamps: np.ndarray, step: int
    ) -> None:
        """Keep what the next window needs: the instances of this one, and the unseen tracks."""
        embedding = found.embedding.copy()
        known = row >= 0
        unseen = np.setdiff1d(np.arange(len(self._id)), row)
        seen = _seen(found.masks)
        last = stamps[len(seen) - 1 - seen[::-1].argmax(0)] if seen.shape[1] else stamps[:0]
        masks = found.masks[step:]
        if self._embedding is not None:
            share = self._config.momentum
            mixed = share * self._embedding[row[known]] + (1 - share) * embedding[known]
            norm = np.linalg.norm(mixed, axis=1, keepdims=True)
            embedding[known] = mixed / np.maximum(norm, 1e-6)
            embedding = np.concatenate((embedding, self._embedding[unseen]))
            nothing = np.zeros((len(masks), len(unseen), *masks.shape[2:]), bool)
            masks = np.concatenate((masks, nothing), 1)
            last = np.concatenate((last, self._stamp[unseen]))
            ids = np.concatenate((ids, self._id[unseen]))
        fresh = np.flatnonzero(stamps[-1] - last <= self._config.max_age * 1e9)
        fresh = fresh[np.argsort(-last[fresh], kind='stable')[: self._config.max_tracks]]
        self._id, self._stamp = ids[fresh], last[fresh]
        self._embedding, self._masks = embedding[fresh], masks[:, fresh]


def _seen(masks: np.ndarray) -> np.ndarray:
    """Return (L, N) bool: which have any cell. masks: L x N x h x w."""
    seen: np.ndarray = np.logical_or.reduce(masks, (2, 3))
    return seen


def _overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU (N, T) over all images. first: L x N x h x w. second: L x T x h x w."""
    axes = (0, 2, 3)
    shared = np.tensordot(first.astype(np.float32), second.astype(np.float32), (axes, axes))
    return shared / np.maximum(first.sum(axes)[:, None] + second.sum(axes) - shared, 1)
