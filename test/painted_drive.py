"""A tiny simulated drive whose pictures show their own truth, and a teacher that reads it."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from xmodelkd_ros.bags import simulated
from xmodelkd_ros.bags.reader import BagReader
from xmodelkd_ros.bags.recording import write_recording
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.distillation.teachers.network_teacher import TeacherOutput
from xmodelkd_ros.labels import ALL_CLASSES
from xmodelkd_ros.simulation.drive import Drive

CONFIG = simulated.SimulatedDrivesConfig(
    seed=3, frames=9, every=3, columns=256, width=200, height=80, cameras=('front', 'left'))
CODE = 15
"""Red is `CODE` times the class; green and blue are the instance, low and high byte."""


class PaintedDrive(Drive):
    """A drive whose pictures are painted with class and instance."""

    def frame(self, index):
        frame = super().frame(index)
        return dataclasses.replace(frame, views={
            name: dataclasses.replace(view, picture=_painted(view.picture))
            for name, view in frame.views.items()
        })


def _painted(picture):
    instance = picture.instance
    rgb = np.stack([picture.label * CODE, instance & 255, instance >> 8], -1).astype(np.uint8)
    return dataclasses.replace(picture, rgb=rgb)


def write_painted_bag(path, monkeypatch, **settings):
    """Write a drive as a bag."""
    monkeypatch.setattr(simulated, 'Drive', PaintedDrive)
    config = dataclasses.replace(CONFIG, **settings)
    write_recording(simulated.simulated_drive(config), path, config, {})
    return path


def copy_bag(source, path, without):
    """Copy a bag without some topics."""
    with BagReader(source) as bag, BagWriter(path) as copy:
        for topic, stamp, data in bag.raw([t for t in bag.topics if t not in without]):
            copy.write_raw(topic, bag.topics[topic].type_name, data, stamp)
    return path


class TruthTeacher:
    """Says what the pictures are painted with: class as logits, instance as features."""

    name, feature_size = 'truth', 2

    def __init__(self, sha256='0' * 64):
        self.sha256 = sha256
        self.class_names = tuple(c.name for c in ALL_CLASSES)
        self.class_ids = np.arange(len(ALL_CLASSES), dtype=np.uint16)

    def __call__(self, images):
        return [self._look(image) for image in images]

    def _look(self, image):
        label = torch.from_numpy(image[..., 0] // CODE).long()
        logits = 20.0 * torch.nn.functional.one_hot(label, len(ALL_CLASSES)).permute(2, 0, 1)
        features = torch.from_numpy(image[..., 1:].astype(np.float32)).permute(2, 0, 1)
        return TeacherOutput(features, logits)
