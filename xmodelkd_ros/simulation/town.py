"""The town: everything that stands still, placed along the streets without overlap."""

from __future__ import annotations

import dataclasses

import numpy as np

from . import buildings, furniture, plants
from .ground import Ground, make_ground
from .meshes import join, Mesh, placement
from .people import bicycle
from .plots import corridor, Plots
from .streets import EXTENT, JUNCTION, make_network, Network, STEP, Street
from .vehicles import car, CAR_COLOURS, CARS, truck
from ..labels import ID_BY_NAME

SIGNS = {'left': 1, 'right': -1}


@dataclasses.dataclass(frozen=True)
class Town:
    """
    A town at rest.

    Parameters
    ----------
    network, ground
        Its streets and its ground.
    mesh
        All that stands on the ground.
    lamps
        (L, 3) places of the street lights, m.
    instances
        How many instance ids its parked vehicles take, from 1.

    """

    network: Network
    ground: Ground
    mesh: Mesh
    lamps: np.ndarray
    instances: int


class Builder:
    """Places things and collects their meshes, lights and instance ids."""

    def __init__(self, network: Network, ground: Ground, rng: np.random.Generator) -> None:
        self.ground, self.rng, self.plots = ground, rng, Plots(network)
        self.parts: list[Mesh] = []
        self.lamps: list[np.ndarray] = []
        self.instances = 0
        self.trees = [plants.tree(rng) for _ in range(16)]
        self.bushes = [plants.bush(rng) for _ in range(8)]

    def put(self, mesh: Mesh, x: float, y: float, yaw: float) -> np.ndarray:
        """Stand a mesh on the ground and return its pose (4, 4)."""
        pose = placement(x, y, yaw, self.ground.heights(np.array([[x, y]]))[0])
        self.parts.append(mesh.moved(pose))
        return pose

    def put_thing(self, mesh: Mesh, name: str, x: float, y: float, yaw: float) -> None:
        """Stand a thing with an instance id of its own on the ground."""
        self.instances += 1
        self.put(mesh.named(ID_BY_NAME[name], self.instances), x, y, yaw)

    def plant(self, templates: list[Mesh], x: float, y: float) -> None:
        """Plant one of the templates, turned and scaled at random."""
        mesh = templates[self.rng.integers(len(templates))]
        scale = np.float32(self.rng.uniform(0.8, 1.2))
        mesh = dataclasses.replace(mesh, corners=mesh.corners * scale)
        self.put(mesh, x, y, self.rng.uniform(0, 2 * np.pi))

    def places(self, street: Street, side: str, distance: float) -> np.ndarray:
        """Return (K, 3) x, y and heading along one side, `distance` m from the middle."""
        return street.offset(SIGNS[side] * distance)

    def facing(self, street: Street, side: str, along: float, distance: float) -> np.ndarray:
        """Return x, y and the heading that has the street on its right, at `along` m."""
        line = self.places(street, side, distance)
        x, y, heading = line[min(round(along / STEP), len(line) - 1)]
        return np.array([x, y, heading + (0 if side == 'left' else np.pi)])


def make_town(rng: np.random.Generator) -> Town:
    """Return a town with all that stands in it."""
    network = make_network(rng)
    ground = make_ground(network, rng)
    builder = Builder(network, ground, rng)
    for street in network.streets:
        for side in SIGNS:
            line_with_furniture(builder, street, side)
    for street in network.streets:
        for side in SIGNS:
            line_with_plots(builder, street, side)
    fill(builder)
    surround(builder)
    return Town(network, ground, join(builder.parts), np.array(builder.lamps), builder.instances)


def line_with_plots(builder: Builder, street: Street, side: str) -> None:
    """Put houses, gardens, fences and trees along one side of a street."""
    frontage = getattr(street, side).frontage
    rng, edge, at = builder.rng, corridor(street, side), 8.0
    if frontage != 'row':
        _boundaries(builder, street, side, edge + 1.3)
    while at < street.length - 8:
        if frontage == 'park':
            x, y, _ = builder.facing(street, side, at, edge + rng.uniform(2.5, 16))
            if builder.plots.claim(placement(x, y), 2.5, 2.5):
                builder.plant(builder.trees if rng.random() < 0.6 else builder.bushes, x, y)
            at += rng.uniform(1, 4)
            continue
        row = frontage == 'row'
        length, depth = rng.uniform(8, 17) if row else rng.uniform(8, 12), rng.uniform(8, 11)
        setback = {'row': 0.4, 'houses': 4.0, 'gardens': 8.0}[frontage]
        setback += rng.uniform(0, 2) * (not row)
        floors = int(rng.integers(2, 6)) if row else int(rng.integers(1, 3))
        pose = builder.facing(street, side, at + 0.5 * length, edge + setback + 0.5 * depth)
        if builder.plots.claim(placement(*pose), length, depth):
            gabled = not row or rng.random() < 0.4
            builder.put(buildings.building(length, depth, floors, gabled, rng), *pose)
        at += length + (0.1 if row and rng.random() < 0.8 else rng.uniform(3, 8))


def _boundaries(builder: Builder, street: Street, side: str, distance: float) -> None:
    """Put fences, walls and hedges with gaps along the front of gardens."""
    rng, at = builder.rng, JUNCTION + 2.0
    while at < street.length - JUNCTION - 8:
        length = rng.uniform(4, 8)
        pose = builder.facing(street, side, at + 0.5 * length, distance)
        if rng.random() < 0.85 and builder.plots.claim(placement(*pose), length, 1.0):
            make = plants.hedge if rng.random() < 0.5 else buildings.fence
            builder.put(make(length, rng), *pose)
        elif rng.random() < 0.5 and builder.plots.claim(placement(*pose), 2, 2):
            builder.plant(builder.bushes, *pose[:2])
        at += length + (0.05 if rng.random() < 0.6 else 3.0)


def line_with_furniture(builder: Builder, street: Street, side: str) -> None:
    """Put parked vehicles, trees, lamps, signs, bins and bicycles along one side of a street."""
    border, kerb = getattr(street, side), street.edge(side)
    _park(builder, street, side)
    _street_trees(builder, street, side)
    rng, last = builder.rng, street.length - JUNCTION - 3
    inwards = -0.5 * np.pi
    first = JUNCTION + 3 + 10 * (side == 'left')
    for at in np.arange(first, last, rng.uniform(20, 30)).tolist():
        mesh, light = furniture.lamp(rng)
        x, y, yaw = builder.facing(street, side, at, kerb + 0.5)
        pose = builder.put(mesh, x, y, yaw + inwards)
        builder.lamps.append(pose[:3, :3] @ light + pose[:3, 3])
    for at in rng.uniform(JUNCTION, last, rng.integers(1, 5)):
        x, y, yaw = builder.facing(street, side, at, kerb + 0.45)
        builder.put(furniture.sign(rng), x, y, yaw + np.pi + rng.normal(0, 0.1))
    for at in rng.uniform(JUNCTION, last, rng.integers(0, 3)):
        x, y, yaw = builder.facing(street, side, at, kerb + 0.5)
        builder.put(furniture.post(rng), x, y, yaw)
    if rng.random() < 0.6 and (side == 'right' or street.end >= 0):
        entry = JUNCTION + 0.5 if side == 'left' else street.length - JUNCTION - 0.5
        x, y, yaw = builder.facing(street, side, entry, kerb + 0.6)
        builder.put(furniture.traffic_light(rng), x, y, yaw + np.pi)
    far = corridor(street, side) - 0.45
    for make, beyond in ((furniture.bin_or_box, 0.0), (buildings.kiosk, 1.2)):
        for at in rng.uniform(JUNCTION, last, rng.integers(0, 3 if border.sidewalk > 1.8 else 1)):
            x, y, yaw = builder.facing(street, side, at, far + beyond)
            if builder.plots.claim(placement(x, y, yaw), 0.3, 0.3) or not beyond:
                builder.put(make(rng), x, y, yaw)
    for at in rng.uniform(JUNCTION, last, rng.integers(0, 5)):
        x, y, yaw = builder.facing(street, side, at, far + rng.uniform(-0.3, 0))
        builder.put_thing(bicycle(rng), 'bicycle', x, y, yaw + rng.choice((0, np.pi, 0.5 * np.pi)))


def _park(builder: Builder, street: Street, side: str) -> None:
    border, rng = getattr(street, side), builder.rng
    if not border.parking:
        return
    kinds = list(CARS)
    for at in np.arange(JUNCTION + 5, street.length - JUNCTION - 5, 5.5).tolist():
        x, y, yaw = builder.facing(street, side, at, street.lane + 1.1 + rng.normal(0, 0.06))
        yaw += rng.normal(0, 0.03) + (np.pi if rng.random() < 0.85 else 0)
        chance = rng.random()
        if chance < 0.6:
            paint = CAR_COLOURS[rng.integers(len(CAR_COLOURS))] * rng.uniform(0.8, 1.1)
            mesh = car(kinds[rng.integers(len(kinds))], paint, rng)
            builder.put_thing(mesh, 'car', x, y, yaw)
        elif chance < 0.63 and street.length - at > 20:
            mesh = truck(CAR_COLOURS[rng.integers(len(CAR_COLOURS))], rng)
            scale = np.float32(min(1.0, 5.3 / np.ptp(mesh.corners[..., 0])))
            mesh = dataclasses.replace(mesh, corners=mesh.corners * scale)
            builder.put_thing(mesh, 'truck', x, y, yaw)


def _street_trees(builder: Builder, street: Street, side: str) -> None:
    border, rng = getattr(street, side), builder.rng
    if border.verge < 1.2 or rng.random() < 0.3:
        return
    spacing = rng.uniform(8, 15)
    for at in np.arange(JUNCTION + 4, street.length - JUNCTION - 4, spacing).tolist():
        if rng.random() < 0.85:
            distance = street.edge(side) + 0.2 + 0.5 * border.verge
            x, y, _ = builder.facing(street, side, at + rng.normal(0, 0.7), distance)
            builder.plant(builder.trees, x, y)


def fill(builder: Builder) -> None:
    """Fill what is left with trees, bushes and a few houses."""
    rng = builder.rng
    for x, y in rng.uniform(-EXTENT + 12, EXTENT - 12, (60, 2)):
        pose = (x, y, rng.uniform(0, np.pi))
        length, depth = rng.uniform(9, 18), rng.uniform(8, 12)
        if builder.plots.claim(placement(*pose), length + 3, depth + 3):
            floors = int(rng.integers(1, 5))
            builder.put(buildings.building(length, depth, floors, floors < 3, rng), *pose)
    for x, y in rng.uniform(-EXTENT + 3, EXTENT - 3, (420, 2)):
        if builder.plots.claim(placement(x, y), 2.5, 2.5):
            builder.plant(builder.trees if rng.random() < 0.5 else builder.bushes, x, y)


def surround(builder: Builder) -> None:
    """Close the horizon with a ring of buildings and trees outside the town."""
    rng = builder.rng
    for angle in np.arange(0, 2 * np.pi, 0.075).tolist():
        reach = (EXTENT + rng.uniform(16, 40)) / max(abs(np.cos(angle)), abs(np.sin(angle)))
        x, y = reach * np.cos(angle), reach * np.sin(angle)
        if rng.random() < 0.6:
            floors = int(rng.integers(2, 8))
            mesh = buildings.building(rng.uniform(12, 26), 12.0, floors, floors < 4, rng)
            builder.put(mesh, x, y, angle - 0.5 * np.pi)
        else:
            builder.plant(builder.trees, x, y)
