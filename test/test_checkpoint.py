"""Checkpoints: what is saved comes back, and every fault is one clear line."""

import dataclasses
import json
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch
from torch import nn
from xmodelkd_ros.config import setting
from xmodelkd_ros.errors import CheckpointError, DeviceError
from xmodelkd_ros.inference.devices import compute_dtype, download, select_device, upload
from xmodelkd_ros.labels import POINT_CLASSES
from xmodelkd_ros.networks.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_config,
    load_weights,
    save_checkpoint,
)


@dataclasses.dataclass(frozen=True)
class WidthConfig:
    width: int = setting(8, 'Channels.', low=1, high=64)


def make_checkpoint(**changes):
    torch.manual_seed(0)
    state = {'weight': torch.randn(3, 2), 'half': torch.randn(4).half(), 'count': torch.tensor(7)}
    base = Checkpoint(
        'point', {'width': 8}, {'mean': [0.5, 0.25]}, POINT_CLASSES, {'epochs': 3}, state
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'models' / 'net.safetensors'
    save_checkpoint(path, make_checkpoint())
    return path


def change_header(path, edit):
    """Rewrite the file's metadata without touching its tensors."""
    data = path.read_bytes()
    (size,) = struct.unpack('<Q', data[:8])
    header = json.loads(data[8:8 + size])
    edit(header['__metadata__'])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + data[8 + size:])


def refusal(path, kind='point'):
    with pytest.raises(CheckpointError) as info:
        load_checkpoint(path, kind)
    text = str(info.value)
    assert '\n' not in text and str(path) in text
    return text


def test_what_is_saved_comes_back(path):
    loaded, saved = load_checkpoint(path, 'point'), make_checkpoint()
    assert loaded.classes == saved.classes and loaded.kind == 'point'
    assert loaded.network == saved.network and loaded.preprocessing == saved.preprocessing
    assert loaded.training == saved.training and loaded.sha256 == saved.sha256
    assert loaded.state.keys() == saved.state.keys()
    for name, tensor in saved.state.items():
        assert loaded.state[name].dtype == tensor.dtype
        assert torch.equal(loaded.state[name], tensor)
    assert [p.name for p in path.parent.iterdir()] == ['net.safetensors']


@given(st.lists(st.floats(allow_nan=False), max_size=5))
@settings(max_examples=25, deadline=None)
def test_hash_survives_the_file(tmp_path_factory, values):
    path = tmp_path_factory.mktemp('hash') / 'net.safetensors'
    checkpoint = make_checkpoint(preprocessing={'mean': tuple(values)})
    save_checkpoint(path, checkpoint)
    assert load_checkpoint(path, 'point').sha256 == checkpoint.sha256


@pytest.mark.parametrize(
    'changes',
    [
        {'network': {'width': 9}},
        {'preprocessing': {'mean': [0.5, 0.26]}},
        {'classes': POINT_CLASSES[:-1]},
        {'training': {}},
        {'state': {'weight': torch.zeros(3, 2)}},
        {'kind': 'video'},
    ],
)
def test_hash_covers_everything(changes):
    assert make_checkpoint(**changes).sha256 != make_checkpoint().sha256


def test_missing_file(tmp_path):
    assert 'no such checkpoint' in refusal(tmp_path / 'absent.safetensors')


@pytest.mark.parametrize('content', [b'', b'no weights', bytes(range(256)) * 40])
def test_other_files(tmp_path, content):
    path = tmp_path / 'other.safetensors'
    path.write_bytes(content)
    assert 'not a safetensors file' in refusal(path)


@pytest.mark.parametrize('keep', [0.1, 0.5, 0.99])
def test_truncated_file(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    assert 'truncated' in refusal(path)


def test_other_format_version(path):
    change_header(path, lambda m: m.update(format_version='2'))
    text = refusal(path)
    assert "'2'" in text and "'1' is needed" in text


def test_other_kind(path):
    assert "kind is 'point', 'video' is needed" in refusal(path, 'video')


def test_changed_weights(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert 'sha256' in refusal(path)


def test_changed_configuration(path):
    change_header(path, lambda m: m.update(network='{"width": 16}'))
    assert 'sha256' in refusal(path)


@pytest.mark.parametrize('broken', ['{', '[{"id": 1}]', '[{"id": 1, "hue": 3}]', '3'])
def test_unreadable_metadata(path, broken):
    change_header(path, lambda m: m.update(classes=broken))
    assert 'metadata' in refusal(path)


def test_missing_metadata(path):
    change_header(path, lambda m: m.pop('network'))
    assert 'network' in refusal(path)


def test_failed_save_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(state, partial, metadata):
        partial.write_bytes(b'half')
        raise OSError('disk full')

    monkeypatch.setattr('xmodelkd_ros.networks.checkpoint.save_file', fail)
    with pytest.raises(OSError, match='disk full'):
        save_checkpoint(path, make_checkpoint(training={}))
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_configuration_from_a_checkpoint(path):
    assert load_config(WidthConfig, {'width': 4}, path) == WidthConfig(4)
    for values in ({'wdith': 4}, {'width': 99}, {'width': 'wide'}):
        with pytest.raises(CheckpointError, match=next(iter(values))):
            load_config(WidthConfig, values, path)


def test_weights_are_cast_and_must_fit(path):
    state = {'weight': torch.ones(2, 3).half(), 'bias': torch.zeros(2).half()}
    network = nn.Linear(3, 2)
    load_weights(network, make_checkpoint(state=state), path)
    assert network.weight.dtype == torch.float32 and torch.equal(network.weight, torch.ones(2, 3))
    with pytest.raises(CheckpointError, match='do not fit') as info:
        load_weights(nn.Linear(4, 2), make_checkpoint(state=state), path)
    assert '\n' not in str(info.value)


def test_devices(monkeypatch):
    assert select_device('cpu').type == 'cpu'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert select_device('auto').type == 'cpu'
    for name in ('cuda', 'cuda:3', 'tpu9', 'meta', ''):
        with pytest.raises(DeviceError, match='device = '):
            select_device(name)


def test_auto_takes_cuda_where_it_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    assert select_device('auto').type == 'cuda'
    with pytest.raises(DeviceError, match='1 CUDA devices'):
        select_device('cuda:1')


def test_copies_to_and_from_the_cpu():
    array = torch.arange(12.0).reshape(3, 4).numpy()
    assert upload(array, torch.device('cpu')).data_ptr() == array.ctypes.data
    array.setflags(write=False)
    (back,) = download(upload(array[:, ::2], torch.device('cpu')))
    assert (back == array[:, ::2]).all()
    assert compute_dtype(torch.device('cpu')) in (torch.bfloat16, torch.float32)
