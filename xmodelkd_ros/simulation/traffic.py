"""Everything that moves, and where it is at any time."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from .actors import Actor, make_actors
from .meshes import Mesh, placement
from .motion import bumped, drive, Movers, TICK, WARM_UP
from .streets import Network, STEP

_ATTEMPTS = 6


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
        x, y, heading = place
        return mesh.moved(placement(x, y, heading, height))


def make_traffic(
    network: Network, duration: float, density: float, first_instance: int,
    rng: np.random.Generator,
) -> Traffic:
    """
    Return the motion of all actors for `duration` seconds.

    Whoever would run into the vehicle with the sensors is taken out of the traffic.

    Parameters
    ----------
    network
        The streets.
    duration
        Length of the drive, s.
    density
        Share of the usual traffic, see `make_actors`.
    first_instance
        Instance id of the first actor.
    rng
        Source of shapes, routes and speeds.

    """
    reach = 14.0 * (duration + WARM_UP + 2) + 60
    actors = make_actors(network, reach, density, rng)
    for _ in range(_ATTEMPTS):
        movers = Movers.of(actors)
        travelled = drive(movers, duration + WARM_UP + 1)
        out = bumped(movers, travelled)
        if not out.any():
            break
        actors = [a for a, gone in zip(actors, out, strict=True) if not gone]
    named = tuple(_numbered(a, first_instance + k) for k, a in enumerate(actors))
    return Traffic(named, travelled[:, : len(named)])


def _numbered(actor: Actor, instance: int) -> Actor:
    figure = actor.figure
    return dataclasses.replace(
        actor, figure=figure.named(int(figure.mesh.label[0]), instance)
    )
