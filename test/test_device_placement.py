"""
What a GPU would be given, checked where there is none.

Tensors without content stand for CUDA tensors: an operation on tensors of two devices raises as it
would there. The builds of torch for CPUs alone cannot make them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from xmodelkd_ros.inference import point_segmenter, video_segmenter

MODELS = Path(__file__).parents[1] / 'models'
CUDA = torch.device('cuda', 0)

pytestmark = pytest.mark.skipif(
    torch.version.cuda is None, reason='this build of torch knows no CUDA tensors')


class DownloadReachedError(Exception):
    """A predictor has come to the copy of its results to the host."""


@pytest.fixture
def pretend(monkeypatch):
    """Return a function that runs a predictor on CUDA tensors without content."""
    monkeypatch.setattr(torch.__future__, '_overwrite_module_params_on_conversion', True)

    def upload(array, device):
        return torch.empty(array.shape, dtype=torch.from_numpy(array[:0]).dtype, device=device)

    def download(*tensors):
        raise DownloadReachedError(tensors)

    def run(module, segmenter, *args):
        monkeypatch.setattr(module, 'upload', upload)
        monkeypatch.setattr(module, 'download', download)
        with FakeTensorMode() as mode:
            for name, value in vars(segmenter).items():
                if isinstance(value, nn.Module):
                    value._apply(lambda tensor: mode.from_tensor(tensor).to(CUDA))
                elif isinstance(value, torch.Tensor):
                    setattr(segmenter, name, mode.from_tensor(value).to(CUDA))
            segmenter.device = CUDA
            with pytest.raises(DownloadReachedError) as reached:
                segmenter(*args)
        return reached.value.args[0]

    return run


def test_the_point_segmenter_stays_on_its_device(pretend):
    segmenter = point_segmenter.PointSegmenter(
        MODELS / 'point_hdl64e_simulated.safetensors', precision='float')
    found = pretend(
        point_segmenter, segmenter, np.zeros((10_000, 3), np.float32),
        np.zeros(10_000, np.float32))
    assert [(t.device, t.shape) for t in found] == [(CUDA, (10_000,))] * 2


def test_the_video_segmenter_stays_on_its_device(pretend):
    segmenter = video_segmenter.VideoSegmenter(
        MODELS / 'video_simulated.safetensors', precision='float')
    found = pretend(video_segmenter, segmenter, [np.zeros((375, 1242, 3), np.uint8)] * 2)
    assert all(t.device == CUDA and len(t) == 2 for t in found)


def test_a_tensor_left_on_the_host_is_noticed(pretend):
    segmenter = video_segmenter.VideoSegmenter(
        MODELS / 'video_simulated.safetensors', precision='float')
    segmenter._prepare = lambda images: torch.zeros(1, 3, 192, 640, dtype=segmenter._dtype)
    with pytest.raises(RuntimeError, match='two devices'):
        pretend(video_segmenter, segmenter, [np.zeros((64, 64, 3), np.uint8)])
