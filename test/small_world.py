"""A small scene for tests of the pipeline and of the node: clouds, images, tiny models."""

from __future__ import annotations

import numpy as np
from test_networks_point import SMALL as SMALL_POINT
from test_networks_point import VIEW
from test_networks_video import SMALL as SMALL_VIDEO
import torch
from xmodelkd_ros.config import to_mapping
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.inference.video_segmenter import VideoPreprocessing
from xmodelkd_ros.labels import POINT_CLASSES, THING_CLASSES
from xmodelkd_ros.networks.checkpoint import Checkpoint, save_checkpoint
from xmodelkd_ros.networks.point_network import PointNetwork
from xmodelkd_ros.networks.video_network import VideoNetwork
from xmodelkd_ros.records import Cloud, Frame, Picture, View

WIDTH, HEIGHT = 96, 64
CAMERA = Camera.pinhole(WIDTH, HEIGHT, 60.0, 60.0, 47.5, 31.5)
CAMERA_FROM_LIDAR = np.array(
    [[0, -1, 0, 0], [0, 0, -1, -0.1], [1, 0, 0, -0.2], [0, 0, 0, 1]], float)
"""Looking ahead from a little above and in front of the lidar."""

TRACK_EVERYTHING = {
    'low_score': 0.0, 'birth_score': 0.0, 'sure_score': 0.0, 'confirm_hits': 1,
    'min_visible': 0.0, 'min_affinity': 0.1,
}
"""A tracker that believes whatever a network with random weights says."""


def write_models(folder):
    """Write tiny models with random weights; return their paths, point and video."""
    torch.manual_seed(5)
    paths = folder / 'point.safetensors', folder / 'video.safetensors'
    point, video = PointNetwork(SMALL_POINT, len(POINT_CLASSES)), VideoNetwork(SMALL_VIDEO)
    for parameter in (*point.parameters(), *video.parameters()):
        parameter.data.mul_(2)
    save_checkpoint(paths[0], Checkpoint(
        'point', to_mapping(SMALL_POINT), to_mapping(VIEW), POINT_CLASSES, {},
        point.state_dict()))
    looks = VideoPreprocessing(width=WIDTH, height=HEIGHT, score_floor=0.0)
    save_checkpoint(paths[1], Checkpoint(
        'video', to_mapping(SMALL_VIDEO), to_mapping(looks), THING_CLASSES, {},
        video.state_dict()))
    return paths


def cloud(stamp, count=1500, seed=0):
    """Return a sweep of a made-up place."""
    rng = np.random.default_rng(seed)
    turn, rise = rng.uniform(-np.pi, np.pi, count), rng.uniform(-0.2, 0.1, count)
    reach = rng.uniform(3, 30, count)
    points = np.stack([reach * np.cos(turn), reach * np.sin(turn), reach * rise], 1)
    return Cloud(stamp, points.astype(np.float32), rng.random(count, np.float32))


def picture(stamp, seed=0, frame='front'):
    """Return an image with coarse coloured blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)
    return Picture(stamp, blocks.repeat(8, 0).repeat(8, 1), frame=frame)


def frame(stamp, cameras=('front',), seed=0):
    """Return a cloud with an image of each camera."""
    views = {
        name: View(name, picture(stamp, seed + 10 * n, name), CAMERA, CAMERA_FROM_LIDAR)
        for n, name in enumerate(cameras)
    }
    return Frame(cloud(stamp, seed=seed), views)
