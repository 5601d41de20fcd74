"""Backbones of the timm library as teachers."""

from __future__ import annotations

from typing import Any

from torch import nn, Tensor

from .network_teacher import TeacherNetwork
from ...errors import ConfigurationError, MissingDependencyError

_LOCAL = 'local-dir:'


class Backbone(nn.Module):
    """The deepest feature map of a timm model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, None]:
        """pixels: B x 3 x H x W. Output: B x D x h x w."""
        return self.model(pixels)[-1], None


def load_timm(weights: str) -> list[TeacherNetwork]:
    """
    Load a backbone by its name, from the local cache, or `local-dir:<folder>`.

    Raises
    ------
    ConfigurationError
        If the name is unknown, or its weights are not there (with the command that gets them).
    MissingDependencyError
        If timm does not import; it needs a torchvision that fits torch.

    """
    try:
        import timm
    except (ImportError, RuntimeError) as missing:  # RuntimeError: torchvision of another torch
        raise MissingDependencyError('timm torchvision', f'use the teacher {weights}') from missing
    overlay = {} if weights.startswith(_LOCAL) else {'file': _cached_file(timm, weights)}
    try:
        model: Any = timm.create_model(
            weights, pretrained=True, features_only=True, pretrained_cfg_overlay=overlay)
    except (RuntimeError, ValueError, OSError) as error:
        reason = ' '.join(str(error).split())
        raise ConfigurationError('teacher', weights, f'a timm backbone ({reason})') from error
    values = model.pretrained_cfg
    multiple = max(model.feature_info.reduction())
    return [TeacherNetwork(
        Backbone(model).eval(), f'timm {weights}', None, tuple(values['mean']),
        tuple(values['std']), multiple,
    )]


def _cached_file(library: Any, name: str) -> str:
    """Return the weight file of a model in the local cache of the hub."""
    import huggingface_hub

    config = library.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        allowed = f'a timm model with weights, or {_LOCAL}<folder>'
        raise ConfigurationError('teacher', name, allowed)
    found = huggingface_hub.try_to_load_from_cache(config.hf_hub_id, 'model.safetensors')
    if not isinstance(found, str):
        advice = f'a model on this machine; get it by: hf download {config.hf_hub_id}'
        raise ConfigurationError('teacher', name, advice)
    return found
