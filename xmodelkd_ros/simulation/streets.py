"""The street network: a bent grid of streets, the lanes on them, and routes through them."""

from __future__ import annotations

import dataclasses

import numpy as np

STEP = 0.5
"""Distance between samples of a street or a route, m."""
GRID = 3
"""Junctions along each side of the town."""
EXTENT = 160.0
"""Half the side of the town, m."""
JUNCTION = 10.0
"""Distance from the middle of a junction at which its lanes and markings begin, m."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of a street, widths in m from the lane outwards, 0 where there is none."""

    parking: float
    verge: float
    sidewalk: float
    frontage: str


@dataclasses.dataclass(frozen=True)
class Street:
    """
    One street between two junctions, or from a junction out of the town.

    Parameters
    ----------
    start, end
        Junction numbers; `end` is -1 for a street that leaves the town.
    line
        (K, 3) x, y, heading of its middle line every `STEP` m.
    lane
        Width of each of its two lanes, m.
    left, right
        What borders it, seen from its start.

    """

    start: int
    end: int
    line: np.ndarray
    lane: float
    left: Side
    right: Side

    @property
    def length(self) -> float:
        """Length of the middle line, m."""
        return (len(self.line) - 1) * STEP

    def offset(self, distance: float, first: float = 0.0, last: float = 0.0) -> np.ndarray:
        """
        Return the line `distance` m to the left of the middle, less m at its two ends.

        Returns
        -------
        np.ndarray
            (K, 3) x, y, heading.

        """
        line = self.line[round(first / STEP): len(self.line) - round(last / STEP)]
        normal = np.stack([-np.sin(line[:, 2]), np.cos(line[:, 2])], axis=1)
        return np.column_stack([line[:, :2] + distance * normal, line[:, 2]])

    def edge(self, side: str) -> float:
        """Return the distance from the middle to the kerb on a side ('left' or 'right'), m."""
        return self.lane + getattr(self, side).parking


@dataclasses.dataclass(frozen=True)
class Network:
    """Junctions (J, 2) in m and the streets between them."""

    junctions: np.ndarray
    streets: tuple[Street, ...]

    def leaving(self, junction: int) -> list[tuple[Street, bool]]:
        """Return the inner streets at a junction, and whether each begins there."""
        inner = [s for s in self.streets if s.end >= 0]
        return [(s, True) for s in inner if s.start == junction] + [
            (s, False) for s in inner if s.end == junction
        ]


def resample(points: np.ndarray, step: float = STEP) -> np.ndarray:
    """Return (K, 3) x, y, heading every `step` m along a polyline (P, 2)."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    where = np.arange(0.0, length[-1], step)
    x, y = (np.interp(where, length, points[:, k]) for k in range(2))
    heading = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))
    return np.stack([x, y, heading], axis=1)


def bezier(start: np.ndarray, end: np.ndarray, reach: float) -> np.ndarray:
    """Return (64, 2) of the curve between two poses (x, y, heading) with handles of `reach` m."""
    first = start[:2] + reach * np.array([np.cos(start[2]), np.sin(start[2])])
    last = end[:2] - reach * np.array([np.cos(end[2]), np.sin(end[2])])
    t = np.linspace(0, 1, 64)[:, None]
    return ((1 - t) ** 3 * start[:2] + 3 * t * (1 - t) ** 2 * first
            + 3 * t**2 * (1 - t) * last + t**3 * end[:2])


def _side(rng: np.random.Generator) -> Side:
    parking = 2.2 if rng.random() < 0.6 else 0.0
    verge = rng.uniform(0.8, 2.5) if rng.random() < 0.45 else 0.0
    frontage = rng.choice(['row', 'houses', 'gardens', 'park'], p=(0.28, 0.24, 0.26, 0.22))
    return Side(parking, float(verge), float(rng.uniform(1.6, 3.0)), str(frontage))


def _street(
    start: int, end: int, first: np.ndarray, last: np.ndarray, rng: np.random.Generator
) -> Street:
    reach = 0.38 * float(np.hypot(*(last - first)[:2]))
    line = resample(bezier(first, last, reach))
    return Street(start, end, line, float(rng.uniform(3.1, 3.7)), _side(rng), _side(rng))


def make_network(rng: np.random.Generator) -> Network:
    """Return a grid of junctions moved and turned at random, with a street on every edge."""
    spacing = 2 * EXTENT / (GRID + 1)
    grid = (np.arange(GRID) - 0.5 * (GRID - 1)) * spacing
    x, y = np.meshgrid(grid, grid, indexing='ij')
    junctions = np.stack([x, y], axis=2).reshape(-1, 2) + rng.uniform(-13, 13, (GRID**2, 2))
    turn = rng.uniform(-0.35, 0.35, GRID**2)

    def pose(node: int, quarter: int) -> np.ndarray:
        return np.array([*junctions[node], turn[node] + 0.5 * np.pi * quarter])

    streets = []
    for i in range(GRID):
        for j in range(GRID):
            node = i * GRID + j
            if i + 1 < GRID:
                far = node + GRID
                streets.append(_street(node, far, pose(node, 0), pose(far, 0), rng))
            if j + 1 < GRID:
                streets.append(_street(node, node + 1, pose(node, 1), pose(node + 1, 1), rng))
            for quarter, leaves in enumerate((i == GRID - 1, j == GRID - 1, i == 0, j == 0)):
                if leaves:
                    out = pose(node, quarter)
                    direction = 0.5 * np.pi * quarter
                    away = out[:2] + 85 * np.array([np.cos(direction), np.sin(direction)])
                    streets.append(_street(node, -1, out, np.array([*away, direction]), rng))
    return Network(junctions, tuple(streets))


def lane_line(street: Street, forward: bool, offset: float) -> np.ndarray:
    """Return (K, 3) of the line `offset` m right of the middle in a direction of travel."""
    if forward:
        return street.offset(-offset, JUNCTION, JUNCTION)
    line = street.offset(offset, JUNCTION, JUNCTION)[::-1].copy()
    line[:, 2] += np.pi
    return line


def make_route(
    network: Network, length: float, aside: float, rng: np.random.Generator
) -> np.ndarray:
    """
    Return a route on the right-hand lanes, turning at random at junctions and never back.

    Parameters
    ----------
    network
        The town.
    length
        Least length, m.
    aside
        Metres right of the middle of the lane.
    rng
        Chooses the start and the turns.

    Returns
    -------
    np.ndarray
        (K, 3) x, y, heading every `STEP` m; headings are continuous.

    """
    inner = [s for s in network.streets if s.end >= 0]
    street, forward = inner[rng.integers(len(inner))], bool(rng.integers(2))
    pieces: list[np.ndarray] = []
    total = 0.0
    while total < length:
        line = lane_line(street, forward, 0.5 * street.lane + aside)
        if pieces:
            before = pieces[-1][-1]
            gap = float(np.hypot(*(line[0, :2] - before[:2])))
            pieces.append(bezier(before, line[0], 0.39 * gap)[1:-1])
        pieces.append(line)
        total += len(line) * STEP + 2 * JUNCTION
        here = street.end if forward else street.start
        choices = [c for c in network.leaving(here) if c[0] is not street]
        street, forward = choices[rng.integers(len(choices))]
    return resample(np.concatenate([piece[:, :2] for piece in pieces]))
