"""Where the lidar was: poses of all sweeps of a drive, and the keyframes among them."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...geometry.transforms import interpolate, invert
from ...records import MOTION_PERIOD


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """
    Poses of the lidar at the stamps of a drive's sweeps.

    Parameters
    ----------
    stamps
        (S,) int64, ns.
    poses
        (S, 4, 4) fixed_from_lidar; what a row without a pose holds means nothing.
    segment
        (S,) int32: sweeps of different segments have nothing to do with each other; -1 where
        there is no pose.

    """

    stamps: np.ndarray
    poses: np.ndarray
    segment: np.ndarray

    def pose(self, index: int) -> np.ndarray | None:
        """Return the (4, 4) pose of a sweep, or None."""
        return self.poses[index] if self.segment[index] >= 0 else None

    def pose_at(self, index: int, stamp: int) -> np.ndarray | None:
        """Return the (4, 4) pose at a stamp, ns, near that of a sweep: steady motion."""
        pair = self._step(index, bool(stamp < self.stamps[index]))
        if pair is None:
            return self.pose(index)
        return pose_between(self.stamps[pair], self.poses[pair], stamp)

    def motion(self, index: int) -> np.ndarray | None:
        """Return the (4, 4) lidar `MOTION_PERIOD` after a sweep's stamp to lidar at it."""
        pair = self._step(index, False)
        if pair is None:
            return None
        moved = invert(self.poses[pair[0]]) @ self.poses[pair[1]]
        share = MOTION_PERIOD / int(self.stamps[pair[1]] - self.stamps[pair[0]])
        return interpolate(np.eye(4), moved, np.array([share]))[0]

    def _step(self, index: int, backwards: bool) -> list[int] | None:
        """Return a sweep and the next or the last one, or the other way round, or None."""
        steps = [[index - 1, index], [index, index + 1]]
        for first, last in steps if backwards else steps[::-1]:
            if first < 0 or last == len(self.stamps):
                continue
            joined = self.segment[first] == self.segment[last] >= 0
            if joined and self.stamps[first] != self.stamps[last]:
                return [first, last]
        return None


def pose_between(stamps: np.ndarray, poses: np.ndarray, stamp: int) -> np.ndarray:
    """Return the (4, 4) pose at a stamp of the steady motion through two (2,), (2, 4, 4)."""
    share = int(stamp - stamps[0]) / int(stamps[1] - stamps[0])
    return interpolate(poses[0], poses[1], np.array([share]))[0]


def steady_segments(stamps: np.ndarray, longest_gap: int) -> np.ndarray:
    """
    Return (S,) int32 that grows by one where time jumps: back, not at all, or too far.

    Parameters
    ----------
    stamps
        (S,) int64, ns.
    longest_gap
        Longest step that is no jump, ns.

    """
    step = np.diff(stamps)
    jumps = (step <= 0) | (step > longest_gap)
    return np.append(0, np.cumsum(jumps)).astype(np.int32)


def choose_keyframes(trajectory: Trajectory, distance: float, angle: float) -> np.ndarray:
    """
    Return the indices (K,) int64 of the sweeps at which the lidar has moved on.

    The first of a segment is one, and each that is `distance`, m, away from the last one or
    turned by `angle`, deg. A sweep without a pose always is.
    """
    chosen: list[int] = []
    for index, segment in enumerate(trajectory.segment):
        last = chosen[-1] if chosen else None
        if last is None or segment < 0 or trajectory.segment[last] != segment:
            chosen.append(index)
            continue
        moved = invert(trajectory.poses[last]) @ trajectory.poses[index]
        turn = np.degrees(np.arccos(np.clip((np.trace(moved[:3, :3]) - 1) / 2, -1, 1)))
        if np.linalg.norm(moved[:3, 3]) >= distance or turn >= angle:
            chosen.append(index)
    return np.array(chosen, np.int64)
