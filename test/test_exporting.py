"""Exported students against their networks, and what a wrong program looks like."""

import builtins
import resource

from distillation_drives import MadeDrive
import pytest
import torch
from xmodelkd_ros.config import to_mapping
from xmodelkd_ros.distillation.student.exporting import (
    compare,
    export_onnx,
    export_program,
    export_programs,
)
from xmodelkd_ros.distillation.student.students import load_student
from xmodelkd_ros.errors import CacheError, ConfigurationError, MissingDependencyError
from xmodelkd_ros.labels import POINT_CLASSES
from xmodelkd_ros.networks.checkpoint import Checkpoint, save_checkpoint
from xmodelkd_ros.networks.convolution import fuse
from xmodelkd_ros.networks.point_network import PointNetwork, PointNetworkConfig
from xmodelkd_ros.training.point.training import range_view

NETWORK = PointNetworkConfig(channels=(8, 8), blocks=(1, 1), head=8)
CLOUDS = [MadeDrive(1, points=900).frame(0).cloud, MadeDrive(2, points=1300).frame(0).cloud]


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    torch.manual_seed(1)
    network = PointNetwork(NETWORK, len(POINT_CLASSES))
    path = tmp_path_factory.mktemp('student') / 'student.safetensors'
    view = to_mapping(range_view('hdl64e'))
    save_checkpoint(path, Checkpoint(
        'point', to_mapping(NETWORK), view, POINT_CLASSES, {}, network.state_dict()))
    return path


def test_a_program_says_what_the_network_says(student, tmp_path):
    parity = export_program(student, tmp_path / 'out' / 'student.pt2', CLOUDS)
    assert parity.points == 2200 and parity.largest < 1e-4 and parity.changed == 0
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['student.pt2']


def test_onnx_says_what_the_network_says(student, tmp_path):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    parity = export_onnx(student, tmp_path / 'student.onnx', CLOUDS)
    assert parity.points == 2200 and parity.largest < 1e-3 and parity.changed <= 1e-3
    assert [path.name for path in tmp_path.iterdir()] == ['student.onnx']


def test_a_wrong_program_is_noticed(student):
    loaded, view, _ = load_student(student)
    network = fuse(loaded.network)

    def wrong(image, cell, features):
        return network(image, cell, features).roll(1, 0)

    parity = compare(network, wrong, view, CLOUDS)
    assert parity.largest > 0 and parity.changed > 0.5


@pytest.mark.parametrize('export', [export_program, export_onnx])
def test_a_full_disk_is_named_and_nothing_is_left(student, tmp_path, export):
    if export == export_onnx:
        pytest.importorskip('onnxruntime')
        pytest.importorskip('onnxscript')
    size, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, most))
    try:
        with pytest.raises(CacheError, match=r'student.* cannot be written: File too large'):
            export(student, tmp_path / 'student', CLOUDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_said(student, tmp_path, monkeypatch, caplog):
    with pytest.raises(ConfigurationError, match='sweep'):
        export_program(student, tmp_path / 'student.pt2', [])
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == 'onnxruntime':
            raise ImportError(name='onnxruntime')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', refuse)
    table = export_programs(student, tmp_path, CLOUDS)
    assert 'student.pt2' in table and ' 2200 ' in table and 'onnx' not in table
    assert any(m.startswith('no student.onnx: onnxruntime is needed') for m in caplog.messages)
    with pytest.raises(MissingDependencyError, match='pip install onnxruntime'):
        export_onnx(student, tmp_path / 'student.onnx', CLOUDS)
