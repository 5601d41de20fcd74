"""A distillation that takes seconds: small bags, a tiny teacher with random weights."""

from __future__ import annotations

import dataclasses

from distillation_drives import SMALL
import numpy as np
from small_world import CAMERA, CAMERA_FROM_LIDAR, cloud, picture
from test_networks_espnetv2 import SMALL as SMALL_TEACHER
from tf2_msgs.msg import TFMessage
import torch
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.config import from_mapping, to_mapping
from xmodelkd_ros.distillation.student.config import DistillConfig
from xmodelkd_ros.geometry.transforms import invert
from xmodelkd_ros.labels import ALL_CLASSES, POINT_CLASSES, SemanticClass
from xmodelkd_ros.messages.cameras import camera_info_message
from xmodelkd_ros.messages.clouds import cloud_message
from xmodelkd_ros.messages.images import image_message
from xmodelkd_ros.messages.stamps import header_message
from xmodelkd_ros.messages.transforms import transform_message
from xmodelkd_ros.networks.checkpoint import Checkpoint, save_checkpoint
from xmodelkd_ros.networks.espnetv2 import EspNetV2
from xmodelkd_ros.networks.espnetv2_weights import save_espnetv2
from xmodelkd_ros.networks.point_network import PointNetwork
from xmodelkd_ros.training.point.training import range_view

START = 1_700_000_000_000_000_000
STEP = 100_000_000
STUDENT = {
    **SMALL, 'steps': 2, 'points': 300, 'losses': {**SMALL['losses'], 'floor': 0.0}}
FINE_TUNING = {
    key: STUDENT[key] for key in ('steps', 'points', 'warm_up', 'validate_every', 'rate', 'run')}


def write_teacher(path, classes=ALL_CLASSES[1:], seed=3):
    """Write a tiny teacher; return how it is named."""
    torch.manual_seed(seed)
    network = EspNetV2(SMALL_TEACHER, len(classes)).eval()
    save_espnetv2(path, network, classes, {})
    return f'espnetv2:{path}'


def write_start(path, seed=3):
    """Write a point network with random weights that `STUDENT` can start from."""
    torch.manual_seed(seed)
    config = from_mapping(DistillConfig, STUDENT)
    view = dataclasses.replace(range_view(config.lidar), columns=config.columns)
    network = PointNetwork(config.network, len(POINT_CLASSES))
    save_checkpoint(path, Checkpoint(
        'point', to_mapping(config.network), to_mapping(view), POINT_CLASSES, {},
        network.state_dict()))
    return path


def strange_classes():
    """Return class rows of which one means nothing to us."""
    return (*ALL_CLASSES[1:4], SemanticClass(4, 'dragon', (1, 2, 3)))


def write_drive(
    path, frames=3, cameras=('front',), images=True, mounted=True, seed=0, labelled=False,
    late=0,
):
    """Write a bag of a drive that moves ahead by 2 m a frame; pictures are `late` by some ns."""
    with BagWriter(path) as bag:
        if mounted:
            bag.write('/tf_static', TFMessage(transforms=[
                transform_message(invert(CAMERA_FROM_LIDAR), START, 'lidar', name)
                for name in cameras]), START)
        for number in range(frames):
            stamp, pose = START + number * STEP, np.eye(4)
            pose[0, 3] = 2.0 * number
            place = transform_message(pose, stamp, 'odom', 'lidar')
            bag.write('/tf', TFMessage(transforms=[place]), stamp)
            sweep = cloud(stamp, 800, seed=seed + number)
            bag.write('/points', cloud_message(sweep), stamp)
            if labelled:
                true = dataclasses.replace(sweep, label=np.ones(800, np.uint16))
                bag.write('/ground_truth/points', cloud_message(true), stamp)
            for name in cameras if images else ():
                bag.write(
                    f'/{name}/camera_info', camera_info_message(CAMERA, stamp + late, name), stamp)
                rgb = picture(stamp, seed=seed + number).rgb
                bag.write(f'/{name}/image', image_message(
                    rgb, 'rgb8', header_message(stamp + late, name)), stamp)
    return path


def settings(folder, teacher, **others):
    """Return the plain values of a pipeline's configuration."""
    return {
        'bags': [str(folder / 'drive')], 'out': str(folder / 'out'), 'teacher': teacher,
        'start': 'none', 'adaptation_pictures': 2, 'device': 'cpu', 'student': STUDENT,
        'extraction': {'instants': [-1, 1]}, **others,
    }
