"""A simulated drive: a vehicle with a LiDAR and cameras goes through a town."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import dataclasses

import numpy as np

from .casting import Scene
from .lidar import column_times, GROUPS, sweep
from .lighting import make_light
from .meshes import join
from .mounting import base_from_camera, BASE_FROM_LIDAR, HEADINGS, make_camera
from .pictures import pixel_rays, render
from .profiles import lidar_profile, PROFILES
from .town import make_town
from .traffic import make_traffic
from ..config import setting
from ..geometry.cameras import Camera
from ..geometry.transforms import invert
from ..records import Cloud, Frame, Picture, View

EPOCH = 1_700_000_000_000_000_000
"""Stamp of the first cloud of seed 0, ns; each further seed starts an hour later."""
NEAR = 100.0
"""Moving things farther away than this are left out, m."""


@dataclasses.dataclass(frozen=True)
class SimulationConfig:
    """What to simulate."""

    seed: int = setting(0, 'Seed of the town, its traffic and the noise.', low=0)
    frames: int = setting(100, 'Number of sweeps.', low=1)
    rate_hz: float = setting(10.0, 'Turns of the LiDAR per second.', unit='Hz', low=1, high=30)
    every: int = setting(1, 'Record every n-th turn only.', low=1)
    lidar: str = setting('hdl64e', 'LiDAR unit.', choices=tuple(PROFILES))
    columns: int = setting(1024, 'Columns per sweep, 0 for as many as the unit has.', low=0)
    deskewed: bool = setting(True, 'Undo the motion of the vehicle during a sweep.')
    cameras: tuple[str, ...] = setting(
        ('front',), 'Cameras on the vehicle.', choices=('front', 'left', 'right', 'rear')
    )
    width: int = setting(640, 'Width of the pictures.', unit='px', low=16)
    height: int = setting(192, 'Height of the pictures.', unit='px', low=16)
    distorted: bool = setting(False, 'Give the cameras a plumb_bob lens distortion.')
    camera_delay: float = setting(
        0.006, 'From the stamp of a sweep to the exposure.', unit='s', low=-0.05, high=0.05
    )
    light: str = setting(
        'random', 'Light of the drive.', choices=('random', 'day', 'overcast', 'dusk', 'night')
    )
    traffic: float = setting(1.0, 'Density of the traffic.', low=0, high=3)


class Drive:
    """
    One drive; any frame of it can be had at any time, and is always the same.

    Parameters
    ----------
    config
        What to simulate.

    """

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.profile = lidar_profile(config.lidar)
        self.cameras: dict[str, Camera] = {
            name: make_camera(config.width, config.height, config.distorted)
            for name in config.cameras
        }
        self.base_from_lidar = BASE_FROM_LIDAR
        self.base_from_camera = {name: base_from_camera(name) for name in config.cameras}
        self.start = EPOCH + config.seed * 3_600_000_000_000
        town_rng, traffic_rng, light_rng, shake_rng = (
            np.random.default_rng((config.seed, part)) for part in range(4)
        )
        self.light = make_light(config.light, light_rng)
        self.town = make_town(town_rng)
        self.traffic = make_traffic(
            self.town.network, config.frames * config.every / config.rate_hz, config.traffic,
            self.town.instances + 1, traffic_rng,
        )
        self._world = Scene(self.town.mesh)
        self._rays = {name: pixel_rays(camera) for name, camera in self.cameras.items()}
        self._shake = shake_rng.uniform(0, 2 * np.pi, (3, 3))

    def stamp(self, index: int) -> int:
        """Return the stamp of a sweep, ns: the moment at which the LiDAR faces forward."""
        return self.start + round(index * self.config.every * 1e9 / self.config.rate_hz)

    def pose(self, stamp: int) -> np.ndarray:
        """Return odom_from_base (4, 4) at a stamp, ns."""
        return self.poses(np.array([(stamp - self.start) * 1e-9]))[0]

    def poses(self, seconds: np.ndarray) -> np.ndarray:
        """Return odom_from_base (S, 4, 4) at times (S,) s after the first sweep's stamp."""
        along = self.traffic.along(seconds)[:, 0]
        x, y, yaw = self.traffic.places(along, 0).T
        pitch, roll, heave = np.sin(
            along[:, None, None] * np.array([0.31, 0.83, 1.7]) + self._shake
        ).sum(axis=2).T * np.array([[0.0018], [0.0022], [0.006]])
        poses = np.tile(np.eye(4), (len(x), 1, 1))
        cy, sy, zero, one = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw), np.ones_like(yaw)
        turn = np.stack([cy, -sy, zero, sy, cy, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)
        cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        lean = np.stack(
            [cp, sp * sr, sp * cr, zero, cr, -sr, -sp, cp * sr, cp * cr], axis=1
        ).reshape(-1, 3, 3)
        poses[:, :3, :3] = turn @ lean
        poses[:, :3, 3] = np.stack([x, y, heave], axis=1)
        return poses

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        for index in range(self.config.frames):
            yield self.frame(index)

    def frame(self, index: int) -> Frame:
        """Return one frame with its truth."""
        stamp = self.stamp(index)
        odom_from_lidar = self.pose(stamp) @ self.base_from_lidar
        with ThreadPoolExecutor(1) as pool:
            cloud = pool.submit(self._cloud, index, stamp, odom_from_lidar)
            views = {
                name: self._view(index, number, name, stamp, odom_from_lidar)
                for number, name in enumerate(self.cameras)
            }
            return Frame(cloud.result(), views, odom_from_lidar)

    def _cloud(self, index: int, stamp: int, odom_from_lidar: np.ndarray) -> Cloud:
        config, second = self.config, (stamp - self.start) * 1e-9
        columns = config.columns or self.profile.columns
        times = column_times(columns, 1 / config.rate_hz)
        poses = self.poses(second + times) @ self.base_from_lidar
        middles = second + column_times(GROUPS, 1 / config.rate_hz)
        sector = 2 * np.pi / GROUPS
        rng = np.random.default_rng((config.seed, 10, index))
        made = sweep(
            self.profile, poses, self._world, self.town.ground,
            lambda group: self._moving(
                middles[group], np.pi - (group + 0.5) * sector, 0.5 * sector, 1.0
            ),
            rng,
        )
        if config.deskewed:
            lidar_from_odom = invert(odom_from_lidar)
            points = made.position @ lidar_from_odom[:3, :3].T + lidar_from_odom[:3, 3]
        else:
            own = poses[made.column]
            points = np.einsum('nji,nj->ni', own[:, :3, :3], made.position - own[:, :3, 3])
        ring = (len(self.profile.elevations_deg) - 1 - made.beam).astype(np.uint16)
        offset = np.round(times[made.column] * 1e9).astype(np.int64)
        return Cloud(
            stamp, points.astype(np.float32), made.intensity, ring, offset,
            made.label, made.instance, 'lidar',
        )

    def _view(
        self, index: int, number: int, name: str, stamp: int, odom_from_lidar: np.ndarray
    ) -> View:
        exposed = stamp + round(self.config.camera_delay * 1e9)
        odom_from_camera = self.pose(exposed) @ self.base_from_camera[name]
        rays = self._rays[name]
        half_angle = float(np.abs(np.arctan2(rays[..., 0], rays[..., 2])).max()) + 0.1
        second = (exposed - self.start) * 1e-9
        scene = self._moving(second, HEADINGS[name], half_angle, 20.0)
        rng = np.random.default_rng((self.config.seed, 11, index, number))
        rgb, label, instance = render(
            rays, odom_from_camera, (self._world, scene), self.town.ground, self.light,
            self.town.lamps, rng,
        )
        picture = Picture(exposed, rgb, label, instance, name)
        return View(name, picture, self.cameras[name], invert(odom_from_camera) @ odom_from_lidar)

    def _moving(self, second: float, middle: float, half_angle: float, around: float) -> Scene:
        """
        Return the scene of moving things near the vehicle that reach into a sector.

        Parameters
        ----------
        second
            Time, s after the first sweep's stamp.
        middle, half_angle
            The sector about the vehicle's heading, rad.
        around
            What is nearer than this is in any case in the scene, m.

        """
        traffic = self.traffic
        along = traffic.along(np.array([second]))[0]
        base = self.poses(np.array([second]))[0]
        places = traffic.places(along)
        away = places[:, :2] - base[:2, 3]
        distance = np.maximum(np.hypot(*away.T), 0.1)
        azimuth = np.arctan2(away[:, 1], away[:, 0]) - np.arctan2(base[1, 0], base[0, 0])
        apart = np.abs(np.mod(azimuth - middle + np.pi, 2 * np.pi) - np.pi)
        reach = traffic.reach + 1.5
        inside = apart < half_angle + np.arcsin(np.minimum(reach / distance, 1))
        wanted = (inside | (distance < reach + around)) & (distance < NEAR)
        wanted[0] = False
        heights = self.town.ground.heights(places[:, :2])
        return Scene(join(
            traffic.mesh(k, along[k], places[k], heights[k])
            for k in np.flatnonzero(wanted).tolist()
        ))
