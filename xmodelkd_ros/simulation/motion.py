"""How actors move along their routes: slower in bends, giving way to those ahead."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from .actors import Actor, WALK
from .streets import STEP

TICK = 0.1
"""Step of the motion, s."""
WARM_UP = 4.0
"""Motion simulated before the first frame, s."""
PATIENCE = 3.0
"""After waiting this long anybody goes on, the vehicle with the sensors last of all, s."""
LOOK_AHEAD = np.array([0.5, 2.0, 4.0, 6.5, 9.5, 13.0])
"""Where drivers look for others, m before their own front."""
_CLOSE = LOOK_AHEAD < 3.0
_DISCS = np.array([-0.7, 0.0, 0.7])


@dataclasses.dataclass(frozen=True)
class Movers:
    """
    All actors as arrays.

    Parameters
    ----------
    routes
        (A, K, 3) x, y, heading every `STEP` m; the shorter ones stand still at their end.
    limits
        (A, K) speed limits along them, m/s.
    half_length, half_width
        (A,) m.
    drivers
        (D,) indices of all but the pedestrians, who give way to nobody.

    """

    routes: np.ndarray
    limits: np.ndarray
    half_length: np.ndarray
    half_width: np.ndarray
    drivers: np.ndarray

    @classmethod
    def of(cls, actors: Sequence[Actor]) -> Movers:
        """Return the arrays of some actors."""
        longest = max(len(a.route) for a in actors)
        routes = [np.pad(a.route, ((0, longest - len(a.route)), (0, 0)), mode='edge')
                  for a in actors]
        limits = [np.pad(speed_limit(a.route, a.cruise), (0, longest - len(a.route)))
                  for a in actors]
        return cls(
            np.stack(routes), np.stack(limits), np.array([a.half_length for a in actors]),
            np.array([a.half_width for a in actors]),
            np.flatnonzero([a.stride != WALK for a in actors]),
        )

    @property
    def radius(self) -> np.ndarray:
        """Return the (A,) radius of the three discs that stand for each, m."""
        return np.maximum(self.half_width, 0.3 * self.half_length)

    def index(self, gone: np.ndarray) -> np.ndarray:
        """Return the samples of the routes at distances along them, m."""
        return np.minimum((gone / STEP).astype(int), self.routes.shape[1] - 1)

    def discs(self, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (A, 3, 2) places of everybody's discs and (A, 2) headings at distances (A,)."""
        here = self.routes[np.arange(len(gone)), self.index(gone)]
        heading = np.stack([np.cos(here[:, 2]), np.sin(here[:, 2])], axis=1)
        spread = _DISCS * self.half_length[:, None]
        return here[:, None, :2] + spread[..., None] * heading[:, None], heading


def speed_limit(route: np.ndarray, cruise: float) -> np.ndarray:
    """Return (K,) m/s along a route, slower in and before bends."""
    bend = np.abs(np.gradient(route[:, 2])) / STEP
    bend = np.convolve(np.pad(bend, 3, mode='edge'), np.ones(7) / 7, mode='valid')
    limit = np.minimum(cruise, np.sqrt(2.2 / np.maximum(bend, 1e-3)))
    for k in range(len(limit) - 2, -1, -1):
        limit[k] = min(limit[k], np.sqrt(limit[k + 1] ** 2 + 2 * 1.8 * STEP))
    return limit


def drive(movers: Movers, duration: float) -> np.ndarray:
    """Return (ticks, A) distances gone while all drivers give way to those ahead, m."""
    row = np.arange(len(movers.routes))
    gone: np.ndarray = np.zeros(len(row))
    waited: np.ndarray = np.zeros(len(row))
    speed = 0.7 * movers.limits[:, 0]
    patience = np.where(row == 0, 3 * PATIENCE, PATIENCE)
    history = []
    for _ in range(round(duration / TICK) + 1):
        history.append(gone)
        ahead, crossing = np.full((2, len(row)), 60.0)
        ahead[movers.drivers], crossing[movers.drivers] = _free_road(movers, gone)
        impatient = waited > patience
        free = np.where(impatient, ahead, np.minimum(ahead, crossing))
        target = np.minimum(
            movers.limits[row, movers.index(gone)], np.sqrt(6 * np.maximum(free - 1.5, 0))
        )
        target = np.where(impatient, np.minimum(target, 2.0), target)
        speed = np.clip(target, speed - 5.0 * TICK, speed + 1.8 * TICK)
        waited = np.where((speed < 0.3) | impatient, waited + TICK, 0)
        waited[waited > patience + 3] = 0
        gone = gone + speed * TICK
    return np.array(history)


def _free_road(movers: Movers, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (D,) m to the next actor that goes the same way, and to one to give way to."""
    drivers, radius = movers.drivers, movers.radius
    discs, heading = movers.discs(gone)
    looked = (gone + movers.half_length)[drivers, None] + LOOK_AHEAD
    probe = movers.routes[drivers[:, None], movers.index(looked), :2]
    apart = probe[:, :, None, None] - discs
    near = (apart[..., 0] ** 2 + apart[..., 1] ** 2).min(axis=3)
    meets = near < ((movers.half_width[drivers, None] + radius + 0.1) ** 2)[:, None]
    order = np.arange(len(drivers))
    meets[order, :, drivers] = False
    same_way = heading[drivers] @ heading.T > 0.5
    others = np.arange(len(gone))
    on_foot = ~np.isin(others, drivers)
    gives_way = ((drivers[:, None] > others) | on_foot) & ~same_way
    crosses = meets & (gives_way[:, None] | _CLOSE[None, :, None])
    sees = meets.any(axis=1)
    mutual = np.zeros_like(sees)
    mutual[:, drivers] = sees[:, drivers] & sees[:, drivers].T
    follows = meets & (same_way & ~(mutual & (drivers[:, None] < others)))[:, None]
    ahead, crossing = (
        np.where(m.any(axis=2), LOOK_AHEAD, 60.0).min(axis=1) for m in (follows, crosses)
    )
    return ahead, crossing


def bumped(movers: Movers, travelled: np.ndarray) -> np.ndarray:
    """Return (A,) bool: who touches actor 0, the vehicle with the sensors, at any time."""
    touches = np.zeros(travelled.shape[1], bool)
    allowed = (movers.half_width[0] + movers.radius + 0.1) ** 2
    for gone in travelled[::2]:
        discs, _ = movers.discs(gone)
        apart = discs[:, :, None] - discs[0]
        touches |= (apart[..., 0] ** 2 + apart[..., 1] ** 2).min(axis=(1, 2)) < allowed
    touches[0] = False
    return touches
