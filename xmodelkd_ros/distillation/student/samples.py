"""Sweeps with the views of their points, as the networks take them."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
import torch

from .batches import DistillationBatch
from .pseudo_labels import trust, vote
from ..extraction.point_views import no_views
from ..records import DistillationFrame, PointViews
from ...labels import channel_table, SemanticClass
from ...networks.fusion import SAID, Views
from ...networks.point_projection import RangeProjection, RangeViewConfig
from ...training.point.augmentation import augment, PointAugmentation
from ...training.point.losses import IGNORED


class SampleMaker:
    """
    Make samples from frames.

    Parameters
    ----------
    view
        The range view.
    classes
        Row c is target c.
    floor
        Confidence at which a guess counts nothing.
    augmentation
        How sweeps are varied; None gives them as they are.
    points
        Points drawn from a sweep, 0 for all; those of which something is known come first.
    views
        Whether samples hold what images say.

    """

    def __init__(
        self,
        view: RangeViewConfig,
        classes: Sequence[SemanticClass],
        floor: float,
        augmentation: PointAugmentation | None = None,
        points: int = 0,
        views: bool = True,
    ) -> None:
        self.projection, self.classes, self.floor = RangeProjection(view), tuple(classes), floor
        self.augmentation, self.points, self.views = augmentation, points, views
        self._target_of_id = channel_table(classes, IGNORED)

    def __call__(
        self, frame: DistillationFrame, labelled: bool, rng: np.random.Generator
    ) -> DistillationBatch:
        """
        Make a sample of one sweep.

        Parameters
        ----------
        frame
            The sweep with its views.
        labelled
            Whether its true labels may be seen.
        rng
            Source of randomness.

        """
        cloud = frame.cloud
        kept = np.flatnonzero(np.isfinite(cloud.points).all(1))
        points, intensity = cloud.points[kept], cloud.intensity
        intensity = None if intensity is None else intensity[kept]
        if self.augmentation is not None:
            columns = self.projection.config.columns
            points, intensity, left = augment(points, intensity, self.augmentation, columns, rng)
            kept = kept[left]
        strength = None if intensity is None else torch.from_numpy(intensity)
        seen = self.projection(torch.from_numpy(points), strength)
        label = cloud.label if labelled else None
        views = frame.views if self.views else no_views((), 0, False)
        index = self._drawn(
            np.flatnonzero(seen.inside.numpy()), self._known(frame, label)[kept], rng)
        kept, rows = kept[index], torch.from_numpy(index)
        views = select_views(views, kept, len(cloud.points))
        target, guess, sure = self.targets(
            len(kept), views, None if label is None else label[kept])
        return DistillationBatch(
            seen.image[None], seen.cell[rows], seen.features.index_select(1, rows),
            torch.from_numpy(points[index]), torch.zeros(len(index), dtype=torch.int64),
            torch.from_numpy(target), torch.from_numpy(guess), torch.from_numpy(sure),
            as_tensors(views))

    def targets(
        self, count: int, views: PointViews, label: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return true classes, guessed classes, and how much these are trusted, (count,) each.

        Where a sweep has labels, what they leave open stays open: nothing guessed is trusted.

        Parameters
        ----------
        count
            Number of points.
        views
            Of these points.
        label
            (count,) true class ids, or None.

        """
        guess, confidence = vote(views, count, self.classes)
        if label is not None:
            return self._target_of_id[label], guess, np.zeros(count, np.float32)
        return np.full(count, IGNORED, np.int64), guess, trust(confidence, self.floor)

    def _known(self, frame: DistillationFrame, label: np.ndarray | None) -> np.ndarray:
        """Return of which points something is known."""
        known = np.zeros(len(frame.cloud.points), bool)
        if self.views:
            known[frame.views.point] = True
        return known if label is None else known | (self._target_of_id[label] >= 0)

    def _drawn(
        self, inside: np.ndarray, known: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return ascending indices of at most `points` points, the known ones first."""
        if not self.points or len(inside) <= self.points:
            return inside
        told = inside[known[inside]]
        if len(told) >= self.points:
            return np.sort(rng.choice(told, self.points, replace=False))
        rest = inside[~known[inside]]
        more = rng.choice(rest, self.points - len(told), replace=False)
        return np.sort(np.concatenate([told, more]))


def select_views(views: PointViews, kept: np.ndarray, count: int) -> PointViews:
    """
    Return the views of some points, numbered anew.

    Parameters
    ----------
    views
        Of a cloud of `count` points.
    kept
        (M,) int64, ascending: the points that are left.
    count
        Number of points before.

    """
    place = np.full(count, -1, np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    point = place[views.point]
    rows = np.flatnonzero(point >= 0)
    return dataclasses.replace(views.take(rows), point=point[rows])


def as_tensors(views: PointViews) -> Views:
    """Return views as the fusion encoder takes them."""
    probability = views.probability
    if probability is None:
        probability = np.zeros((len(views), SAID), np.float16)
    arrays = (views.point.astype(np.int64), views.feature, probability, views.depth, views.delay)
    return Views(*map(torch.from_numpy, arrays))
