"""Teachers of the transformers library: semantic segmentation models and backbones."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn, Tensor

from .network_teacher import TeacherNetwork
from ...errors import ConfigurationError, needed
from ...networks.espnetv2 import DEVIATION, MEAN

_LEAST = 1e-6
_MULTIPLE = 32


class Model(nn.Module):
    """A model of the library, loaded anew where it is copied to: its hooks cannot be sent."""

    def __init__(self, model: Any, weights: str) -> None:
        super().__init__()
        self.model, self.weights = model, weights

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_again, (self.weights, self.model.device, self.state_dict())


class Segmenter(Model):
    """A model with a classifier of pixels; its features are what the classifier sees."""

    def __init__(self, model: Any, weights: str) -> None:
        super().__init__(model, weights)
        self._seen: list[Tensor] = []
        _classifier(model).register_forward_pre_hook(self._see)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """pixels: B x 3 x H x W. Output: B x D x h x w features, B x C x h x w logits."""
        logits = self.model(pixel_values=pixels).logits
        return self._seen.pop(), logits

    def _see(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen[:] = [inputs[0]]


class MaskSegmenter(Model):
    """A model that classifies masks (MaskFormer, Mask2Former: Cheng et al. 2021, 2022)."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """
        Sum the masks of each class, weighted by its probability.

        pixels: B x 3 x H x W. Output: B x D x h x w of the pixel decoder, B x C x h x w logits.
        """
        found = self.model(pixel_values=pixels)
        classes = found.class_queries_logits.float().softmax(-1)[..., :-1]
        masks = found.masks_queries_logits.float().sigmoid()
        score = torch.einsum('bqc,bqhw->bchw', classes, masks)
        return found.pixel_decoder_last_hidden_state, score.clamp(min=_LEAST).log()


class Backbone(Model):
    """A model without classes: the last hidden state, as a map."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, None]:
        """pixels: B x 3 x H x W. Output: B x D x h x w; class and register tokens are left out."""
        hidden = self.model(pixel_values=pixels).last_hidden_state
        if hidden.ndim == 4:
            return hidden, None
        patch = _patch(self.model.config)
        height, width = (n // patch for n in pixels.shape[2:])
        tokens = hidden[:, -height * width:].transpose(1, 2)
        return tokens.unflatten(2, (height, width)), None


def load_transformers(weights: str) -> list[TeacherNetwork]:
    """
    Load a model by its name on the hub, from the local cache, or from a local folder.

    Raises
    ------
    ConfigurationError
        If it is not there (with the command that downloads it), or of no kind that is known.
    MissingDependencyError
        If transformers, or a package that the model needs, is not installed.

    """
    with needed(f'use the teacher {weights}'):
        import transformers

        try:
            config = transformers.AutoConfig.from_pretrained(weights, local_files_only=True)
            auto, wrap = _kind(transformers, config)
            model = auto.from_pretrained(weights, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ConfigurationError('teacher', weights, _advice(weights, error)) from error
    names, multiple = None, _patch(config)
    if wrap is not Backbone:
        names = tuple(config.id2label[row] for row in range(config.num_labels))
        multiple = _MULTIPLE
    mean, deviation = _normalisation(transformers, weights)
    module = wrap(model, weights).eval()
    return [TeacherNetwork(module, _identity(model), names, mean, deviation, multiple)]


def _load_again(weights: str, device: torch.device, state: dict[str, Tensor]) -> nn.Module:
    module = load_transformers(weights)[0].module
    module.load_state_dict(state)
    return module.to(device)


def _kind(library: Any, config: Any) -> tuple[Any, Any]:
    """Return the loader and the wrapper of the model that a configuration describes."""
    name = (config.architectures or [''])[0]
    if name.endswith('ForSemanticSegmentation'):
        return library.AutoModelForSemanticSegmentation, Segmenter
    if name.endswith(('ForUniversalSegmentation', 'ForInstanceSegmentation')):
        return library.AutoModelForUniversalSegmentation, MaskSegmenter
    return library.AutoModel, Backbone


def _patch(config: Any) -> int:
    """Return the side of the patch that a token stands for; convolutional models reduce by 32."""
    patch = getattr(config, 'patch_size', _MULTIPLE)
    return patch if isinstance(patch, int) else _MULTIPLE


def _classifier(model: Any) -> nn.Module:
    """Return the layer that turns features into logits."""
    classes = model.config.num_labels
    found = [
        module for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.out_channels == classes
        and 'auxiliary' not in name
    ]
    if not found:
        kind = type(model).__name__
        raise ConfigurationError('teacher', kind, 'a model whose last layer is a convolution')
    return found[-1]


def _normalisation(library: Any, weights: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of the preprocessing beside the weights, ImageNet's by default."""
    mixin = library.image_processing_utils.ImageProcessingMixin
    try:
        values, _ = mixin.get_image_processor_dict(weights, local_files_only=True)
    except OSError:
        return MEAN, DEVIATION
    mean, deviation = values.get('image_mean') or MEAN, values.get('image_std') or DEVIATION
    return tuple(mean), tuple(deviation)


def _identity(model: Any) -> str:
    values = model.config.to_dict()
    kept = {k: v for k, v in values.items() if k not in ('_name_or_path', 'transformers_version')}
    return f'{type(model).__name__} {json.dumps(kept, sort_keys=True, default=str)}'


def _advice(weights: str, error: Exception) -> str:
    reason = ' '.join(str(error).split())[:200]
    return f'a model on this machine; get it by: hf download {weights} ({reason})'
