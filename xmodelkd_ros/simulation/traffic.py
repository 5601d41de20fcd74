"""Everything that moves: routes, speeds that give way, and poses at any time."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ..labels import ID_BY_NAME
from .meshes import Mesh, placement
from .people import Articulated, cyclist, pedestrian, rigid
from .streets import JUNCTION, STEP, Network, make_route, resample
from .vehicles import CAR_COLOURS, CARS, bus, car, truck

TICK = 0.1
"""Step of the motion, s."""
WARM_UP = 4.0
"""Motion simulated before the first frame, s."""
PATIENCE = 3.0
"""After waiting this long anybody goes on, s."""
WALK, PEDAL = 1.5, 4.0
"""Distance per turn of the limbs of pedestrians and cyclists, m."""


@dataclasses.dataclass(frozen=True)
class Actor:
    """
    One thing that moves.

    Parameters
    ----------
    figure
        Its shape, labelled, at the origin, x forward.
    route
        (K, 3) x, y, heading every `STEP` m.
    cruise
        Speed it would go, m/s.
    half_length, half_width
        Of its footprint, m.
    stride
        Distance per turn of its limbs' phase, m; 0 for vehicles.

    """

    figure: Articulated
    route: np.ndarray
    cruise: float
    half_length: float
    half_width: float
    stride: float


@dataclasses.dataclass(frozen=True)
class Traffic:
    """
    All actors and how far each has gone along its route.

    Parameters
    ----------
    actors
        The first is the vehicle that carries the sensors.
    travelled
        (ticks, actors) m, every `TICK` s from `WARM_UP` before time 0.

    """

    actors: tuple[Actor, ...]
    travelled: np.ndarray

    def along(self, seconds: np.ndarray) -> np.ndarray:
        """Return (S, actors) distances gone at times (S,) s after the start of the drive."""
        tick = (np.asarray(seconds, float) + WARM_UP) / TICK
        first = np.clip(np.floor(tick).astype(int), 0, len(self.travelled) - 2)
        share = np.clip(tick - first, 0, 1)[:, None]
        return (1 - share) * self.travelled[first] + share * self.travelled[first + 1]

    @functools.cached_property
    def reach(self) -> np.ndarray:
        """(actors,) half lengths, m."""
        return np.array([a.half_length for a in self.actors])

    @functools.cached_property
    def routes(self) -> np.ndarray:
        """(actors, K, 3) routes, the shorter ones standing still at their end."""
        longest = max(len(a.route) for a in self.actors)
        return np.stack([
            np.pad(a.route, ((0, longest - len(a.route)), (0, 0)), mode='edge')
            for a in self.actors
        ])

    def places(self, along: np.ndarray, actor: int | slice = slice(None)) -> np.ndarray:
        """Return (S, 3) x, y, heading of all, or of one at S distances (S,) along its route, m."""
        routes = self.routes[actor]
        first = np.clip((along / STEP).astype(int), 0, routes.shape[-2] - 2)
        share = np.clip(along / STEP - first, 0, 1)[:, None]
        if isinstance(actor, int):
            before, after = routes[first], routes[first + 1]
        else:
            row = np.arange(len(along))
            before, after = routes[row, first], routes[row, first + 1]
        return (1 - share) * before + share * after

    def mesh(self, actor: int, along: float, place: np.ndarray, height: float) -> Mesh:
        """Return the mesh of an actor `along` its route, at a place (3,) on ground at `height`."""
        figure, stride = self.actors[actor].figure, self.actors[actor].stride
        mesh = figure.at(2 * np.pi * along / stride) if stride else figure.mesh
        return mesh.moved(placement(*place, height))


def make_traffic(
    network: Network, duration: float, density: float, first_instance: int,
    rng: np.random.Generator,
) -> Traffic:
    """
    Return the motion of all actors for `duration` seconds.

    Parameters
    ----------
    network
        The streets.
    duration
        Length of the drive, s.
    density
        1 for usual traffic: about 28 vehicles, 16 cyclists and 60 pedestrians.
    first_instance
        Instance id of the first actor.
    rng
        Source of shapes, routes and speeds.

    """
    reach = 14.0 * (duration + WARM_UP + 2) + 60
    counts = [round(density * n) for n in (18, 5, 4, 16, 60)]
    makers = (_car, _truck, _bus, _cyclist, _pedestrian)
    actors = [_car(network, reach, rng)]
    actors += [make(network, reach, rng) for make, n in zip(makers, counts, strict=True)
               for _ in range(n)]
    actors = _spread(actors)
    named = [
        dataclasses.replace(a, figure=a.figure.named(int(a.figure.mesh.label[0]), first_instance + k))
        for k, a in enumerate(actors)
    ]
    return Traffic(tuple(named), _drive(named, duration + WARM_UP + 1, rng))


def _spread(actors: list[Actor]) -> list[Actor]:
    """Start vehicles further along their routes until none stands in another."""
    placed: list[Actor] = []
    for actor in actors:
        if actor.stride != WALK and placed:
            others = np.stack([a.route[0, :2] for a in placed])
            clear = np.array([a.half_length for a in placed]) + actor.half_length + 3
            apart = np.linalg.norm(actor.route[:400, None, :2] - others, axis=2)
            start = int(np.argmax((apart > clear).all(axis=1)))
            actor = dataclasses.replace(actor, route=actor.route[start:])
        placed.append(actor)
    return placed


def _vehicle(
    mesh: Mesh, name: str, network: Network, reach: float, cruise: float, rng: np.random.Generator
) -> Actor:
    route = make_route(network, reach, 0.0, rng)
    route = route[rng.integers(0, 100):]
    size = np.ptp(mesh.corners.reshape(-1, 3), axis=0)
    figure = rigid(mesh.named(ID_BY_NAME[name]))
    return Actor(figure, route, cruise, 0.5 * float(size[0]), 0.5 * float(size[1]), 0.0)


def _car(network: Network, reach: float, rng: np.random.Generator) -> Actor:
    kinds = list(CARS)
    paint = CAR_COLOURS[rng.integers(len(CAR_COLOURS))] * rng.uniform(0.8, 1.1)
    mesh = car(kinds[rng.integers(len(kinds))], paint, rng)
    return _vehicle(mesh, 'car', network, reach, rng.uniform(7, 12), rng)


def _truck(network: Network, reach: float, rng: np.random.Generator) -> Actor:
    mesh = truck(CAR_COLOURS[rng.integers(len(CAR_COLOURS))], rng)
    return _vehicle(mesh, 'truck', network, reach, rng.uniform(6, 9), rng)


def _bus(network: Network, reach: float, rng: np.random.Generator) -> Actor:
    paint = rng.choice(CAR_COLOURS[[5, 6, 7, 9, 10, 11, 1]])
    return _vehicle(bus(paint, rng), 'bus', network, reach, rng.uniform(6, 9), rng)


def _cyclist(network: Network, reach: float, rng: np.random.Generator) -> Actor:
    figure = cyclist(rng).named(ID_BY_NAME['rider'], 0)
    route = make_route(network, 0.5 * reach, rng.uniform(1.3, 1.45), rng)[rng.integers(0, 100):]
    return Actor(figure, route, rng.uniform(3.5, 5.5), 0.85, 0.3, PEDAL)


def _pedestrian(network: Network, reach: float, rng: np.random.Generator) -> Actor:
    figure = pedestrian(rng).named(ID_BY_NAME['person'], 0)
    inner = [s for s in network.streets if s.end >= 0]
    street = inner[rng.integers(len(inner))]
    side = 'left' if rng.random() < 0.5 else 'right'
    border, sign = getattr(street, side), 1 if side == 'left' else -1
    inset = street.edge(side) + 0.15 + border.verge + rng.uniform(0.6, border.sidewalk - 0.5)
    line = street.offset(sign * inset, JUNCTION, JUNCTION)[:, :2]
    line = line + np.cumsum(rng.normal(0, 0.015, line.shape), axis=0)
    if rng.random() < 0.3:
        other = 'right' if side == 'left' else 'left'
        across = street.offset(-sign * (street.edge(other) + 1.2), JUNCTION, JUNCTION)[:, :2]
        line = np.stack([across[3], street.offset(sign * inset, JUNCTION, JUNCTION)[3, :2]])
        line = resample(line)[:, :2]
    laps = int(np.ceil(0.2 * reach / (len(line) * STEP))) + 1
    turns = [line if k % 2 == 0 else line[-2:0:-1] for k in range(laps)]
    route = resample(np.concatenate(turns))[rng.integers(0, max(1, len(line) // 2)):]
    cruise = rng.uniform(0.8, 1.7) if rng.random() < 0.85 else 0.0
    return Actor(figure, route, cruise, 0.3, 0.3, WALK)


def _speed_limit(route: np.ndarray, cruise: float) -> np.ndarray:
    """Return (K,) m/s along a route, slower in and before bends."""
    bend = np.abs(np.gradient(route[:, 2])) / STEP
    bend = np.convolve(np.pad(bend, 3, mode='edge'), np.ones(7) / 7, mode='valid')
    limit = np.minimum(cruise, np.sqrt(2.2 / np.maximum(bend, 1e-3)))
    for k in range(len(limit) - 2, -1, -1):
        limit[k] = min(limit[k], np.sqrt(limit[k + 1] ** 2 + 2 * 1.8 * STEP))
    return limit


def _drive(actors: list[Actor], duration: float, rng: np.random.Generator) -> np.ndarray:
    """Return (ticks, actors) distances gone while everybody gives way to those ahead."""
    longest = max(len(a.route) for a in actors)
    routes = np.stack([
        np.pad(a.route, ((0, longest - len(a.route)), (0, 0)), mode='edge') for a in actors
    ])
    limits = np.stack([
        np.pad(_speed_limit(a.route, a.cruise), (0, longest - len(a.route))) for a in actors
    ])
    half_length = np.array([a.half_length for a in actors])
    half_width = np.array([a.half_width for a in actors])
    on_foot = np.array([a.stride == WALK for a in actors])
    row = np.arange(len(actors))
    gone, speed = np.zeros(len(actors)), np.array([a.cruise for a in actors]) * 0.7
    waited, history = np.zeros(len(actors)), []
    for _ in range(round(duration / TICK) + 1):
        history.append(gone)
        here = routes[row, np.minimum((gone / STEP).astype(int), longest - 1)]
        behind, crossing = _free_road(routes, here, gone, half_length, half_width, on_foot)
        wanted = limits[row, np.minimum((gone / STEP).astype(int), longest - 1)]
        impatient = waited > PATIENCE
        free = np.where(impatient, behind, np.minimum(behind, crossing))
        target = np.minimum(wanted, np.sqrt(2 * 3.0 * np.maximum(free - 1.5, 0)))
        target = np.where(impatient, np.minimum(target, 2.0), target)
        speed = np.clip(target, speed - 5.0 * TICK, speed + 1.8 * TICK)
        waited = np.where((speed < 0.3) | impatient, waited + TICK, 0)
        waited[waited > PATIENCE + 3] = 0
        gone = gone + speed * TICK
    return np.array(history)


LOOK_AHEAD = np.array([0.5, 2.0, 4.0, 6.5, 9.5, 13.0])


def _free_road(
    routes: np.ndarray, here: np.ndarray, gone: np.ndarray, half_length: np.ndarray,
    half_width: np.ndarray, on_foot: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (A,) m to the next actor that goes the same way, and to one to give way to."""
    count, longest = routes.shape[:2]
    ahead = gone[:, None] + half_length[:, None] + LOOK_AHEAD
    index = np.minimum((ahead / STEP).astype(int), longest - 1)
    probe = routes[np.arange(count)[:, None], index, :2]
    spread = np.array([-0.7, 0.0, 0.7])[:, None] * half_length
    heading = np.stack([np.cos(here[:, 2]), np.sin(here[:, 2])], axis=1)
    discs = here[None, :, :2] + spread[..., None] * heading
    apart = probe[:, :, None, None] - discs
    near = np.einsum('iajkc,iajkc->iajk', apart, apart).min(axis=2)
    reach = half_width[:, None] + np.maximum(half_width, 0.3 * half_length)[None] + 0.1
    meets = near < (reach**2)[:, None]
    rank = np.arange(count)
    same_way = heading @ heading.T > 0.5
    gives_way = (rank[:, None] > rank) | on_foot[None]
    gives_way &= ~on_foot[:, None] & ~same_way
    close = LOOK_AHEAD < 3.0
    meets[rank, :, rank] = False
    crosses = meets & (gives_way[:, None] | (close[None, :, None] & ~on_foot[:, None, None]))
    each_other = meets.any(axis=1) & meets.any(axis=1).T & (rank[:, None] < rank)
    follows = meets & (same_way & ~each_other)[:, None]
    behind, crossing = (
        np.where(m.any(axis=2), LOOK_AHEAD, 60.0).min(axis=1) for m in (follows, crosses)
    )
    return behind, crossing
