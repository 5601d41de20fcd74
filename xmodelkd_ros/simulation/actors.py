"""Who moves: the shapes, routes and cruising speeds of vehicles, cyclists and pedestrians."""

from __future__ import annotations

import dataclasses

import numpy as np

from .meshes import Mesh
from .people import Articulated, cyclist, pedestrian, rigid
from .streets import JUNCTION, make_route, Network, resample, STEP
from .vehicles import bus, car, CAR_COLOURS, CARS, truck
from ..labels import ID_BY_NAME

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


def make_actors(
    network: Network, reach: float, density: float, rng: np.random.Generator
) -> list[Actor]:
    """
    Return the vehicle that carries the sensors, then all others.

    Parameters
    ----------
    network
        The streets.
    reach
        Length of their routes, m.
    density
        1 for usual traffic: about 28 vehicles, 16 cyclists and 60 pedestrians.
    rng
        Source of shapes, routes and speeds.

    """
    counts = [round(density * n) for n in (18, 5, 4, 16, 60)]
    makers = (_car, _truck, _bus, _cyclist, _pedestrian)
    actors = [_car(network, reach, rng)]
    actors += [make(network, reach, rng) for make, n in zip(makers, counts, strict=True)
               for _ in range(n)]
    return _spread(actors)


def _spread(actors: list[Actor]) -> list[Actor]:
    """Start vehicles further along their routes until none stands in another."""
    placed: list[Actor] = []
    for actor in actors:
        if actor.stride != WALK and placed:
            others = np.stack([a.route[0, :2] for a in placed])
            clear = np.array([a.half_length for a in placed]) + actor.half_length + 3
            apart = np.linalg.norm(actor.route[:400, None, :2] - others, axis=2)
            start = int(np.argmax((apart > clear).all(axis=1)))
            start = min(start, len(actor.route) - 2)  # a route has a direction: two samples
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
    route = make_route(network, 0.5 * reach, rng.uniform(1.35, 1.5), rng)[rng.integers(0, 100):]
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
