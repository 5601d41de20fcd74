"""Scores of an image teacher on the labelled pictures of drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .teacher import make_teacher
from ...errors import ConfigurationError
from ...evaluation.environment import describe_model
from ...evaluation.segmentation import ConfusionMatrix
from ...labels import ALL_CLASSES
from ...training.cache import cached_drives
from ...training.teacher.pictures import PictureDataset

_EVERY = 4
"""Pictures of a drive are much alike: every n-th frame is looked at."""


def evaluate_teacher(
    drives: Sequence[str | Path], model: str | Path, device: str, cache: Path
) -> str:
    """
    Return the IoU of each class over all pixels as a table; logits are enlarged bilinearly.

    Parameters
    ----------
    drives
        Bags with true classes of the pixels, or folders of the array cache.
    model
        The teacher, as `make_teacher` takes it.
    device
        'cpu', 'cuda', 'cuda:<n>' or 'auto'.
    cache
        Where bags are kept as arrays.

    Raises
    ------
    BagError
        If a picture has no labels.
    ConfigurationError
        If the teacher has no classes, or some that are not known.

    """
    teacher = make_teacher(str(model), device)
    if teacher.class_ids is None:
        raise ConfigurationError('model', model, 'a teacher with classes')
    ids, confusion = teacher.class_ids, ConfusionMatrix(ALL_CLASSES[1:])
    samples = PictureDataset(cached_drives(drives, cache), ALL_CLASSES[1:], every=_EVERY)
    for index in tqdm(range(len(samples)), desc='pictures', unit='picture', disable=None):
        picture = samples.picture(index)
        logits = teacher([picture.rgb])[0].logits
        assert logits is not None and picture.label is not None  # it has classes
        whole = torch.nn.functional.interpolate(logits[None], picture.label.shape, mode='bilinear')
        confusion.add(picture.label.astype(np.uint16), ids[whole[0].argmax(0).cpu().numpy()])
    return f'{confusion.table()}\n\n{describe_model(model, teacher.sha256)}'
