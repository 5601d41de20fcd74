"""
Image teachers: frozen networks that give features, and class logits where they have classes.

A teacher is named by a line of text, `<kind>:<weights>[@<scale>,...][+flip]`:

- `espnetv2:one.pth,two.safetensors@0.7`: one or several weight files, at 0.7 of the picture's size
- `transformers:<name or folder>`: semantic segmentation models and backbones of that library
- `timm:<name>` or `timm:local-dir:<folder>`: backbones of that library
- `exported:<file.pt2>` and `torchscript:<file.pt>`: programs, see `programs`

Nothing is ever downloaded; a model that is not there is refused with the command that gets it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
import importlib
import re
from typing import Protocol

import numpy as np

from .network_teacher import NetworkTeacher, TeacherOutput
from ...errors import ConfigurationError
from ...inference.devices import select_device
from ...networks.norm_adaptation import adapt_norms, batch_norms

KINDS = {
    'espnetv2': 'espnetv2',
    'transformers': 'transformers_models',
    'timm': 'timm_backbones',
    'exported': 'programs',
    'torchscript': 'programs',
}
"""Module `<value>` of this folder has a function `load_<kind>`: text -> list of TeacherNetwork."""

_SPEC = re.compile(
    r'(?P<kind>[^:]+):(?P<weights>.+?)(?:@(?P<scales>[\d.]+(?:,[\d.]+)*))?(?P<flip>\+flip)?'
)
_ADAPTATION_BATCH = 8


class Teacher(Protocol):
    """
    What the extraction needs of a teacher.

    Attributes
    ----------
    name : str
        As it was asked for.
    sha256 : str
        Identity of weights, preprocessing and adaptation, hexadecimal.
    class_names : tuple of str or None
        Row c is the name of logit c; None of a teacher without classes.
    class_ids : np.ndarray or None
        (C,) uint16 our id of each class, likewise.
    feature_size : int
        Number of features.

    """

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...] | None: ...

    @property
    def class_ids(self) -> np.ndarray | None: ...

    @property
    def feature_size(self) -> int: ...

    def __call__(self, images: Sequence[np.ndarray]) -> list[TeacherOutput]:
        """Look at images, (H, W, 3) uint8 RGB of any sizes."""


def make_teacher(
    spec: str, device: str = 'auto', class_map: Mapping[str, str] | None = None
) -> NetworkTeacher:
    """
    Load a teacher.

    Parameters
    ----------
    spec
        As the module says.
    device
        As `inference.devices.select_device` takes it.
    class_map
        Our class name by the teacher's, see `classes.id_of_teacher_class`.

    Raises
    ------
    ConfigurationError
        If the text, a name of the class map or a class of the teacher is not known, or the model
        is not on this machine (with the command that downloads it).
    CheckpointError
        If a file cannot be read.
    MissingDependencyError
        If the library is not installed.

    """
    found = _SPEC.fullmatch(spec)
    if found is None or found['kind'] not in KINDS:
        allowed = f'<kind>:<weights>[@<scale>,...][+flip], kinds {", ".join(KINDS)}'
        raise ConfigurationError('teacher', spec, allowed)
    scales = tuple(float(s) for s in (found['scales'] or '1').split(','))
    if not all(0.05 <= scale <= 8 for scale in scales):
        raise ConfigurationError('teacher', spec, 'scales from 0.05 to 8')
    where = select_device(device)
    module = importlib.import_module(f'.{KINDS[found["kind"]]}', __package__)
    networks = getattr(module, f'load_{found["kind"]}')(found['weights'])
    return NetworkTeacher(spec, networks, scales, bool(found['flip']), where, class_map)


def adapt(
    teacher: NetworkTeacher, images: Sequence[np.ndarray], share: float = 0.5
) -> NetworkTeacher:
    """
    Return a teacher whose batch norms know unlabelled images; the given one stays as it is.

    See `networks.norm_adaptation`.

    Parameters
    ----------
    teacher
        Whose networks are PyTorch modules.
    images
        (H, W, 3) uint8 RGB; some dozens from all drives are enough.
    share
        Of the new statistics, above 0 up to 1.

    Raises
    ------
    ConfigurationError
        If there are no images, or a network has no batch norm, as transformers and programs have.

    """
    if not 0 < share <= 1 or not len(images):
        raise ConfigurationError('adaptation', share, 'a share above 0 up to 1, and some images')
    if not all(batch_norms(network.module) for network in teacher.networks):
        raise ConfigurationError(
            'adaptation', teacher.name, 'only for networks with batch norms; this one has none')
    adapted = copy.deepcopy(teacher)
    adapted.__dict__.pop('sha256', None)

    def look() -> None:
        for start in range(0, len(images), _ADAPTATION_BATCH):
            adapted(images[start: start + _ADAPTATION_BATCH])

    norms = [norm for network in adapted.networks for norm in batch_norms(network.module)]
    adapt_norms(norms, look, share)
    return adapted
