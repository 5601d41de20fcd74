"""Scores of students and fused models on drives of the feature cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from xmodelkd_ros.distillation.records import FrameSource
from xmodelkd_ros.distillation.student.dataset import CheckedSweeps
from xmodelkd_ros.distillation.student.samples import SampleMaker
from xmodelkd_ros.distillation.student.students import load_student
from xmodelkd_ros.evaluation.segmentation import ConfusionMatrix
from xmodelkd_ros.inference.devices import autocast, select_device


def score_student(
    path: Path, drives: Sequence[FrameSource], device: str = 'auto'
) -> dict[str, ConfusionMatrix]:
    """
    Count true against predicted classes over all labelled points within the sensor's profile.

    Parameters
    ----------
    path
        Checkpoint of kind 'point' or 'fused'.
    drives
        Held out, with labels.
    device
        As `select_device` takes it.

    Returns
    -------
    dict[str, ConfusionMatrix]
        'student', the LiDAR alone, and of a fused model 'fused', with its views.

    """
    place = select_device(device)
    student, view, classes = load_student(path)
    student.to(place).eval()
    sweeps = CheckedSweeps(drives, SampleMaker(view, classes, 0.0))
    ids = np.array([0, *(row.id for row in classes)], np.uint16)
    names = ('student', 'fused') if hasattr(student, 'fusion') else ('student',)
    found = {name: ConfusionMatrix(classes) for name in names}
    for index in tqdm(range(len(sweeps)), desc='score', unit='sweep', disable=None):
        batch = sweeps[index].to(place)
        with torch.inference_mode(), autocast(place):
            channels = student.channels(batch)
        true = ids[batch.target.cpu().numpy() + 1]
        for name, channel in channels.items():
            found[name].add(true, ids[channel.cpu().numpy() + 1])
    return found
