"""Read and write the weights of ESPNetv2: the published state dicts and our own checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import os
from pathlib import Path
import pickle
import re
from typing import Any

import torch
from torch import Tensor

from .checkpoint import (
    Checkpoint,
    halves,
    load_checkpoint,
    load_config,
    load_weights,
    save_checkpoint,
)
from .espnetv2 import DEVIATION, EspNetV2, EspNetV2Config, MEAN
from ..config import to_mapping
from ..errors import CheckpointError
from ..labels import CITYSCAPES_NAMES, SemanticClass

KIND = 'image'
PUBLISHED_NAMES = (*CITYSCAPES_NAMES, 'background')
"""Outputs of the published Cityscapes weights."""


def load_espnetv2(path: str | os.PathLike[str]) -> tuple[EspNetV2, tuple[str, ...]]:
    """
    Read a network and the names of its classes.

    Parameters
    ----------
    path
        A checkpoint of kind 'image' (`*.safetensors`), or a published state dict (`*.pth`).

    Returns
    -------
    tuple
        The network in evaluation mode, float32, on the CPU; row c is the name of output c.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or of another network.

    """
    path = Path(path)
    if path.suffix == '.safetensors':
        checkpoint = load_checkpoint(path, KIND)
        config = load_config(EspNetV2Config, checkpoint.network, path)
        names = tuple(row.name for row in checkpoint.classes)
    else:
        checkpoint = _published(path)
        config, names = EspNetV2Config(**checkpoint.network), PUBLISHED_NAMES
    network = EspNetV2(config, len(names))
    load_weights(network, checkpoint, path)
    return network.eval(), names


def save_espnetv2(
    path: str | os.PathLike[str],
    network: EspNetV2,
    classes: Sequence[SemanticClass],
    training: Mapping[str, Any],
) -> None:
    """
    Write a network as a checkpoint of kind 'image', weights as float16.

    Parameters
    ----------
    path
        Where to write it.
    network
        What to write.
    classes
        Row c is the class of output c.
    training
        Summary of the training, plain values.

    """
    preprocessing = {'mean': MEAN, 'deviation': DEVIATION}
    save_checkpoint(path, Checkpoint(
        KIND, to_mapping(network.config), preprocessing, tuple(classes), training,
        halves(network),
    ))


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Return the weights of the EdgeNets release under the names of `EspNetV2`.

    Parameters
    ----------
    state
        A state dict of its segmentation variant of ESPNetv2, any width and number of classes.

    """
    renamed = {}
    for name, tensor in state.items():
        for pattern, ours in _RENAMES:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
    return renamed


_RENAMES = (
    (r'^base_net\.level1\.', 'stem.'),
    (r'^base_net\.level([234])_0\.', lambda found: f'down.{int(found[1]) - 2}.'),
    (r'^base_net\.level3\.', 'third.'),
    (r'^base_net\.level4\.', 'fourth.'),
    (r'^bu_dec_l4\.', 'classify.'),
    (r'^bu_dec_l([123])\.', lambda found: f'pyramids.{int(found[1]) - 1}.'),
    (r'^merge_enc_dec_l([234])\.', lambda found: f'skips.{int(found[1]) - 2}.'),
    (r'^bu_br_l([234])\.', lambda found: f'joints.{int(found[1]) - 2}.'),
    (r'\.(proj_1x1|projection_layer)\.', '.project.'),
    (r'\.spp_dw\.(\d)\.conv\.', r'.branches.\1.'),
    (r'\.br_after_cat\.', '.fused.'),
    (r'\.conv_1x1_exp\.', '.expand.'),
    (r'\.module_act\.', '.act.'),
    (r'\.inp_reinf\.', '.reinforce.'),
    (r'\.wt_layer\.1\.', '.weigh.'),
    (r'\.expansion_layer\.', '.mix.'),
    (r'\.merge_layer\.0\.', '.fused.'),
    (r'\.merge_layer\.2\.', '.merge.'),
    (r'\.merge_layer\.3\.', '.out.'),
    (r'\.br\.br\.', '.norm.'),
    (r'\.(cbr|br)\.', '.'),
    (r'^stem\.conv\.', 'stem.0.'),
    (r'\.fused\.bn\.', '.fused.0.'),
    (r'\.fused\.act\.', '.fused.1.'),
    (r'\.conv\.', '.0.'),
    (r'\.bn\.', '.1.'),
    (r'(project|stem|reinforce\.0)\.act\.', r'\1.2.'),
)


def _published(path: Path) -> Checkpoint:
    """Read a published state dict; only tensors are unpickled."""
    if not path.is_file():
        raise CheckpointError(f'{path}: there are no such weights')
    try:
        state = from_published(torch.load(path, map_location='cpu', weights_only=True))
        config = _config_of(state)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = ' '.join(str(error).split())
        raise CheckpointError(f'{path}: not a readable state dict ({reason})') from error
    except (KeyError, AttributeError, IndexError) as error:
        raise CheckpointError(f'{path}: not weights of ESPNetv2: it lacks {error}') from error
    outputs = len(state['classify.out.weight'])
    if outputs != len(PUBLISHED_NAMES):
        raise CheckpointError(
            f'{path}: {outputs} outputs, the {len(PUBLISHED_NAMES)} of Cityscapes are needed')
    return Checkpoint(KIND, dataclasses.asdict(config), {}, (), {}, state)


def _config_of(state: Mapping[str, Tensor]) -> EspNetV2Config:
    """Return the configuration that a state dict is of; our names."""
    down = (len(state[f'down.{k}.act.weight']) for k in range(3))
    scales = ('third', 'fourth')
    return EspNetV2Config(
        encoder=(len(state['stem.0.weight']), *down),
        blocks=tuple(len({n.split('.')[1] for n in state if n.startswith(s)}) for s in scales),
        decoder=tuple(len(state[f'joints.{k}.0.weight']) for k in range(3)),
        pyramid=state['classify.out.weight'].shape[1],
    )
