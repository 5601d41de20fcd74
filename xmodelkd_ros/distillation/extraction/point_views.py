"""
The pictures of several cameras and instants that show each point of a sweep.

The pictures of the sweep's own instant show all its points that nothing hides. Those of another
instant may show what is there no more, and miss what has come since, so a point takes their view
only if it is at rest: not found gone by more of the other sweeps than found it there, not gone in
that very sweep, hidden neither by that sweep nor by its own, and if the teacher calls it
something that can move in its own picture, there in that very sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from .config import ExtractionConfig
from .sightings import Answer, Sighting
from ..records import CLASS_COUNT, DistillationFrame, PointViews
from ...geometry.pairing import Pairing
from ...geometry.projection import project_points
from ...geometry.transforms import invert, transform_points
from ...labels import IS_THING
from ...records import View

_CAN_MOVE = IS_THING[1:CLASS_COUNT + 1].astype(np.float32)


def view_names(cameras: tuple[str, ...], instants: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the views: cameras of the own instant, then of each other one."""
    names = list(cameras)
    for instant in sorted(set(instants) - {0}):
        names += [f'{camera}{instant:+d}' for camera in cameras]
    return tuple(names)


def no_views(names: tuple[str, ...], feature_size: int, has_classes: bool) -> PointViews:
    """Return no row, of the widths that the rows of a teacher have."""
    return PointViews(
        np.zeros(0, np.int32), np.zeros(0, np.uint8), np.zeros(0, np.float32),
        np.zeros(0, np.float32), np.zeros((0, feature_size), np.float16),
        np.zeros((0, CLASS_COUNT), np.float16) if has_classes else None, names)


def look_up_points(
    own: Sighting, others: Mapping[int, Sighting], none: PointViews, config: ExtractionConfig
) -> DistillationFrame:
    """
    Return a keyframe with the views of its points.

    Parameters
    ----------
    own
        The keyframe.
    others
        Other keyframes whose way from this one is known, by how many keyframes later they are.
    none
        No views, of the drive's names and widths.
    config
        Occlusion.

    """
    look = _Look(own, none.names, config)
    seen = [
        look.rows(name, view, look.pairing(own.points, view), own.answers[name])
        for name, view in own.frame.views.items()
    ]
    can_move = _can_move(seen, len(own.points))
    states = {instant: _State.of(own, other) for instant, other in others.items()}
    moving = None
    if states:
        moving = sum(s.gone.astype(int) - s.there for s in states.values()) > 0
        for instant, state in states.items():
            usable = ~(moving | state.gone | (can_move & ~state.there))
            seen += look.other_rows(others[instant], instant, state.points, usable)
    return DistillationFrame(
        own.frame.cloud, _assemble(seen, none), own.frame.fixed_from_lidar, moving,
        own.motion, max(own.segment, 0))


@dataclasses.dataclass(frozen=True)
class _State:
    """A sweep's points (N, 3) in another's frame, and which are gone and which there."""

    points: np.ndarray
    gone: np.ndarray
    there: np.ndarray

    @classmethod
    def of(cls, own: Sighting, other: Sighting) -> _State:
        here, there = own.frame.fixed_from_lidar, other.frame.fixed_from_lidar
        assert here is not None and there is not None
        points = transform_points(invert(there) @ here, own.points)
        return cls(points, *other.cells.compare(points))


@dataclasses.dataclass(frozen=True)
class _Look:
    """Makes the rows of a keyframe's views."""

    own: Sighting
    names: tuple[str, ...]
    config: ExtractionConfig

    def pairing(self, points: np.ndarray, view: View) -> Pairing:
        return project_points(points, view.camera_from_lidar, view.camera, self.config.occlusion)

    def rows(self, name: str, view: View, pairing: Pairing, answer: Answer) -> PointViews:
        late = (view.exposed - self.own.frame.cloud.stamp) * 1e-9
        return PointViews(
            pairing.index.astype(np.int32),
            np.full(len(pairing), self.names.index(name), np.uint8),
            pairing.depth.astype(np.float32), np.full(len(pairing), late, np.float32),
            answer.features(pairing), answer.probabilities(pairing), self.names)

    def other_rows(
        self, other: Sighting, instant: int, moved: np.ndarray, usable: np.ndarray
    ) -> list[PointViews]:
        """Return the rows of another keyframe's pictures; both sweeps' points hide each other."""
        index = np.flatnonzero(usable)
        points = np.concatenate([other.points, moved[index]])
        found = []
        for name, view in other.frame.views.items():
            pairing = self.pairing(points, view)
            mine = pairing.index >= len(other.points)
            row = index[pairing.index[mine] - len(other.points)]
            kept = Pairing(row, pairing.pixels[mine], pairing.depth[mine])
            found.append(self.rows(f'{name}{instant:+d}', view, kept, other.answers[name]))
        return found


def _can_move(seen: list[PointViews], count: int) -> np.ndarray:
    """Return (N,) bool: which points a picture of the own instant takes for what can move."""
    can_move = np.zeros(count, bool)
    for rows in seen:
        if rows.probability is not None:
            can_move[rows.point] |= rows.probability @ _CAN_MOVE > 0.5
    return can_move


def _assemble(seen: list[PointViews], none: PointViews) -> PointViews:
    """Join the rows of all views, sorted by point."""
    joined: dict[str, Any] = {
        name: [getattr(rows, name) for rows in (none, *seen)]
        for name in ('point', 'view', 'depth', 'delay', 'feature', 'probability')
    }
    order = np.argsort(np.concatenate(joined['point']), kind='stable')
    for name, parts in joined.items():
        joined[name] = None if parts[0] is None else np.concatenate(parts)[order]
    return PointViews(**joined, names=none.names)
