"""
A simulated drive as a recording: the topics of a vehicle, and the truth below /ground_truth.

Sweeps are logged when they end, half a period after their stamp; pictures when they are exposed.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools

from .recording import Entry, Messages, Recording, StorageConfig
from .sensor_files import transform_entry
from ..config import setting
from ..messages.cameras import camera_info_message
from ..messages.clouds import cloud_message
from ..messages.images import image_message
from ..messages.stamps import header_message
from ..records import Cloud, Frame
from ..simulation.drive import Drive, SimulationConfig


@dataclasses.dataclass(frozen=True)
class SimulatedDrivesConfig(SimulationConfig, StorageConfig):
    """Drives to simulate, and how to store them."""

    drives: int = setting(1, 'Number of drives; each further one has the next seed.', low=1)


def simulated_drive(config: SimulationConfig) -> Recording:
    """
    Return a drive whose frames are made as they are written.

    Parameters
    ----------
    config
        What to simulate.

    """
    drive = Drive(config)
    make_frame = functools.lru_cache(maxsize=2)(drive.frame)
    sweep_end = round(0.5e9 / config.rate_hz)
    exposure = round(config.camera_delay * 1e9)
    mounting = [('base_link', 'lidar', drive.base_from_lidar)]
    mounting += [('base_link', name, drive.base_from_camera[name]) for name in drive.cameras]
    start = min(drive.stamp(0), drive.stamp(0) + exposure)
    entries = [transform_entry('/tf_static', start, mounting)]
    for index in range(config.frames):
        stamp, frame = drive.stamp(index), functools.partial(make_frame, index)
        entries += [
            transform_entry('/tf', at, [('odom', 'base_link', drive.pose(at))])
            for at in sorted({stamp, stamp + exposure})
        ]
        entries += [
            Entry(stamp + exposure, functools.partial(_view, frame, name))
            for name in drive.cameras
        ]
        cloud = functools.partial(_cloud, frame, config.deskewed)
        entries.append(Entry(stamp + sweep_end, cloud))
    return Recording(entries, [])


def _cloud(frame: Callable[[], Frame], deskewed: bool) -> Messages:
    cloud = frame().cloud
    truth = Cloud(
        cloud.stamp, cloud.points, label=cloud.label, instance=cloud.instance, frame=cloud.frame)
    measured = dataclasses.replace(cloud, label=None, instance=None)
    if deskewed:  # whoever saw times would move the points again
        measured = dataclasses.replace(measured, time_offset=None)
    return [
        ('/ground_truth/points', cloud_message(truth)), ('/points', cloud_message(measured)),
    ]


def _view(frame: Callable[[], Frame], name: str) -> Messages:
    view = frame().views[name]
    picture, stamp = view.picture, view.picture.stamp
    header = header_message(stamp, name)
    assert picture.label is not None and picture.instance is not None
    return [
        (f'/ground_truth/{name}/label', image_message(picture.label, 'mono8', header)),
        (f'/ground_truth/{name}/instance', image_message(picture.instance, 'mono16', header)),
        (f'/{name}/camera_info', camera_info_message(view.camera, stamp, name)),
        (f'/{name}/image', image_message(picture.rgb, 'rgb8', header)),
    ]
