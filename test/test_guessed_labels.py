"""Guessed labels against their rule, and what a student learns from them without its body."""

from __future__ import annotations

import dataclasses

from distillation_drives import made_cloud, made_views, MadeDrive
from head_training import HeadConfig, train_head
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from student_averaging import average_students
import torch
from xmodelkd_ros.config import to_mapping
from xmodelkd_ros.distillation.records import DistillationFrame
from xmodelkd_ros.distillation.student.adaptation import adapt_student
from xmodelkd_ros.distillation.student.carrying import own_labels
from xmodelkd_ros.distillation.student.guessing import guess_labels, GuessConfig, settle
from xmodelkd_ros.errors import CheckpointError, ConfigurationError
from xmodelkd_ros.evaluation.street_classes import STREET_FROM_ID
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.labels import POINT_CLASSES, SKY
from xmodelkd_ros.networks.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from xmodelkd_ros.networks.norm_adaptation import adapt_norms, batch_norms
from xmodelkd_ros.networks.point_network import PointNetwork, PointNetworkConfig
from xmodelkd_ros.records import PointLabels
from xmodelkd_ros.training.point.training import range_view

SMALL = PointNetworkConfig(fold=4, channels=(8, 8, 8), blocks=(1, 1, 1), head=8)
CONFIG = GuessConfig()


@pytest.fixture
def student(tmp_path):
    torch.manual_seed(1)
    view = dataclasses.replace(range_view('hdl64e'), columns=256)
    network = PointNetwork(SMALL, len(POINT_CLASSES))
    save_checkpoint(tmp_path / 'student.safetensors', Checkpoint(
        'point', to_mapping(SMALL), to_mapping(view), POINT_CLASSES, {}, network.state_dict()))
    return tmp_path / 'student.safetensors'


def slow_settle(label, confidence, student, student_confidence):
    """Return one point's label by the rule, word for word."""
    if label == SKY.id:
        label = 0
    if label == 0:
        return student if student_confidence >= CONFIG.student_floor else 0
    differ = STREET_FROM_ID[label] != STREET_FROM_ID[student]
    return label if confidence >= (CONFIG.differing_floor if differ else CONFIG.floor) else 0


@given(st.lists(st.tuples(
    st.integers(0, 16), st.floats(0, 1, width=32), st.integers(1, 15),
    st.floats(0, 1, width=32)), min_size=1, max_size=40))
def test_who_is_believed_is_as_the_rule_says(points):
    columns = [np.array(column) for column in zip(*points, strict=True)]
    label, confidence, said, sure = columns
    got = settle(
        label.astype(np.uint16), confidence, PointLabels(said.astype(np.uint16), sure), CONFIG)
    assert got.tolist() == [slow_settle(*point) for point in points]


def test_without_a_student_silence_stays_silence():
    label = np.array([0, 1, 4, SKY.id], np.uint16)
    got = settle(label, np.array([0, 0.9, 0.2, 0.9]), None, CONFIG)
    assert got.tolist() == [0, 1, 0, 0]


class TurningDrive(MadeDrive):
    """One place, where every second sweep looks the other way."""

    def frame(self, index):
        cloud = super().frame(0).cloud
        pose = np.diag([1.0, 1.0, 1.0, 1.0] if index % 2 == 0 else [-1.0, -1.0, 1.0, 1.0])
        points = cloud.points * np.diag(pose)[:3].astype(np.float32)
        cloud = dataclasses.replace(cloud, points=points)
        views = made_views(cloud, np.random.default_rng(index))
        return DistillationFrame(cloud, views, pose, None)


def test_carrying_adds_labels_and_a_student_adds_more(student):
    own = GuessConfig(voxels=())
    bold = dataclasses.replace(own, student_floor=0.0)

    def known(drive, teacher, config):
        return sum((label > 0).sum() for label in guess_labels(drive, teacher, config))

    drive = TurningDrive(3)
    assert 0 < known(drive, None, own) < known(drive, None, CONFIG)
    drive = MadeDrive(3)
    assert known(drive, None, own) < known(drive, PointSegmenter(student), bold)
    first = next(guess_labels(drive, None, own))
    label, confidence = own_labels(drive.frame(0))
    np.testing.assert_array_equal(first, np.where(confidence >= own.floor, label, 0))


def test_of_a_point_that_is_seen_the_own_instant_is_believed():
    class Later(MadeDrive):
        def frame(self, index):
            frame = super().frame(index)
            names = ('front', 'front+3')
            return dataclasses.replace(frame, views=dataclasses.replace(frame.views, names=names))

    drive = Later(5)
    config = GuessConfig(voxels=(), floor=0.0)
    frame = drive.frame(0)
    (label, *_) = guess_labels(drive, None, config)
    own = frame.views.view == 0
    expected = np.zeros(len(label), np.uint16)
    expected[frame.views.point[own]] = frame.views.probability[own].argmax(1) + 1
    np.testing.assert_array_equal(label, np.where(expected == SKY.id, 0, expected))


def test_a_head_learns_what_it_is_told_and_the_body_stays(student, tmp_path):
    drive = MadeDrive(7)
    told = []
    path = train_head(
        student, [drive], tmp_path / 'out.safetensors',
        HeadConfig(steps=60, points=1500, rate=0.02), 'cpu',
        lambda done, total: told.append((done, total)))
    assert told[-1] == (60, 60)
    cloud = drive.frame(0).cloud
    before, after = (
        (PointSegmenter(p)(cloud.points, cloud.intensity).label == cloud.label).mean()
        for p in (student, path))
    assert after > 0.9 > before
    old, new = load_checkpoint(student, 'point').state, load_checkpoint(path, 'point').state
    changed = {name.split('.')[0] for name in old if not torch.equal(old[name].half(), new[name])
               and old[name].is_floating_point()}
    assert changed == {'unfold', 'look', 'own', 'classify'}


def test_a_head_without_labels_is_refused(student, tmp_path):
    class Unlabelled(MadeDrive):
        def frame(self, index):
            frame = super().frame(index)
            cloud = dataclasses.replace(frame.cloud, label=None)
            return dataclasses.replace(frame, cloud=cloud)

    with pytest.raises(ConfigurationError, match='sweeps with labels'):
        train_head(student, [Unlabelled(1)], tmp_path / 'out.safetensors')
    assert not (tmp_path / 'out.safetensors').exists()


def test_adapted_norms_are_a_mixture_of_old_and_new():
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(3).eval()
    norm.running_mean.fill_(5.0)
    batches = [torch.randn(4, 3, 6, 6) * 2 + 1 for _ in range(3)]
    adapt_norms(batch_norms(norm), lambda: [norm(x) for x in batches], 0.25)
    mean = torch.stack([x.mean((0, 2, 3)) for x in batches]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in batches]).mean(0)
    torch.testing.assert_close(norm.running_mean, 0.75 * 5 + 0.25 * mean)
    torch.testing.assert_close(norm.running_var, 0.75 + 0.25 * variance)
    assert not norm.training and norm.momentum == 0.1


def test_an_adapted_student_differs_in_its_statistics_alone(student, tmp_path):
    clouds = [made_cloud(np.random.default_rng(seed), 2000) for seed in range(3)]
    path = adapt_student(student, clouds, 1.0, tmp_path / 'adapted.safetensors', 'cpu')
    old, new = load_checkpoint(student, 'point'), load_checkpoint(path, 'point')
    changed = {name.split('.')[-1] for name, tensor in old.state.items()
               if not torch.equal(tensor.half(), new.state[name].half())}
    assert changed == {'running_mean', 'running_var'}
    assert new.training['adapted'] == {'sweeps': 3, 'share': 1.0}
    with pytest.raises(ConfigurationError, match='some sweeps'):
        adapt_student(student, [], 1.0, tmp_path / 'none.safetensors', 'cpu')


def test_an_average_lies_between_two_students(student, tmp_path):
    clouds = [made_cloud(np.random.default_rng(seed), 2000) for seed in range(2)]
    adapted = adapt_student(student, clouds, 1.0, tmp_path / 'adapted.safetensors', 'cpu')
    path = average_students(student, adapted, 0.25, tmp_path / 'average.safetensors')
    old, new, mean = (load_checkpoint(p, 'point').state for p in (student, adapted, path))
    for name in (n for n in old if 'running' in n):
        expected = 0.75 * old[name].float() + 0.25 * new[name].float()
        torch.testing.assert_close(mean[name].float(), expected, atol=2e-3, rtol=2e-3)
    assert len(PointSegmenter(path)(clouds[0].points).label) == 2000


def test_students_of_other_sizes_have_no_average(student, tmp_path):
    other = dataclasses.replace(SMALL, head=16)
    save_checkpoint(tmp_path / 'other.safetensors', Checkpoint(
        'point', to_mapping(other), load_checkpoint(student, 'point').preprocessing,
        POINT_CLASSES, {}, PointNetwork(other, len(POINT_CLASSES)).state_dict()))
    with pytest.raises(CheckpointError, match=r'other\.safetensors: its network is not that of'):
        average_students(student, tmp_path / 'other.safetensors', 0.5, tmp_path / 'x.safetensors')
