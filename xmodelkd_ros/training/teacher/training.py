"""Supervised training of an image teacher, ESPNetv2, on labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from pathlib import Path

from .module import TeacherModule, TeacherTrainingConfig
from .pictures import PictureDataset
from ..cache import cached_drives
from ..point.losses import class_weights
from ..segmentation_module import fit_segmentation
from ..trainer import seed_everything
from ...config import to_mapping
from ...labels import ALL_CLASSES, ID_BY_NAME, ID_FROM_CITYSCAPES, SemanticClass
from ...networks.espnetv2 import EspNetV2
from ...networks.espnetv2_weights import load_espnetv2, PUBLISHED_NAMES, save_espnetv2

CLASSES = ALL_CLASSES[1:]
CHECKPOINT = 'image.safetensors'


def train_teacher(
    drives: Sequence[str | Path],
    validation: Sequence[str | Path],
    out: Path,
    config: TeacherTrainingConfig,
    cache: Path,
    resume: bool = False,
) -> Path:
    """
    Train an image teacher.

    Parameters
    ----------
    drives, validation
        Bags with labelled pictures, or folders of the array cache.
    out
        Folder for the result, the log and the checkpoints.
    config
        Everything else.
    cache
        Where bags are kept as arrays.
    resume
        Go on from where the last run in `out` stopped.

    Returns
    -------
    Path
        The checkpoint with the best validation mIoU.

    """
    seed_everything(config.run.seed)
    samples = PictureDataset(
        cached_drives(drives, cache), CLASSES, (config.height, config.width), config.augmentation)
    held = PictureDataset(cached_drives(validation, cache), CLASSES, every=config.validate_every)
    module = TeacherModule(
        starting_network(config, CLASSES), CLASSES, class_weights(samples.counts(len(CLASSES))),
        config)
    path = out / CHECKPOINT

    def export() -> None:
        told = to_mapping(dataclasses.replace(config, start=Path(config.start).name))
        save_espnetv2(path, module.network, CLASSES, {
            **module.summary(), 'pictures': len(samples), 'configuration': told})

    fit_segmentation(module, samples, held, out, export, resume)
    return path


def starting_network(
    config: TeacherTrainingConfig, classes: Sequence[SemanticClass]
) -> EspNetV2:
    """
    Return the network before training.

    With starting weights, the classifier of a class is the mean of those of the classes that stand
    for it in the weights; a class that none stands for keeps its random start.
    """
    if not config.start:
        return EspNetV2(config.network, len(classes))
    published, names = load_espnetv2(config.start)
    network = EspNetV2(published.config, len(classes))
    state = published.state_dict()
    for name in ('classify.out.weight', 'classify.out.bias'):
        fresh = network.state_dict()[name]
        for row, kind in enumerate(classes):
            alike = [c for c, other in enumerate(names) if _stands_for(other, kind)]
            if alike:
                fresh[row] = state[name][alike].mean(0)
        state[name] = fresh
    network.load_state_dict(state)
    return network


def _stands_for(name: str, kind: SemanticClass) -> bool:
    """Return whether a class of starting weights, ours or of Cityscapes, is one of ours."""
    if name in ID_BY_NAME:
        return name == kind.name
    if name not in PUBLISHED_NAMES[:-1]:
        return False
    return int(ID_FROM_CITYSCAPES[PUBLISHED_NAMES.index(name)]) == kind.id
