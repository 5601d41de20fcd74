"""Distillation: which sweeps a step sees, samples, whole small runs, resuming, two processes."""

import dataclasses
import json
import os
from pathlib import Path
import pickle
import signal
import subprocess
import sys
import time

from distillation_drives import FEATURES, MadeDrive, SMALL
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from student_scoring import score_student
import torch
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.distillation.student.batches import collate
from xmodelkd_ros.distillation.student.class_maps import read_class_map
from xmodelkd_ros.distillation.student.config import DistillConfig
from xmodelkd_ros.distillation.student.dataset import CheckedSweeps, DistillationDataset, Place
from xmodelkd_ros.distillation.student.labelled_drives import (
    AnnotatedDrive,
    LidarDrive,
    with_labels,
)
from xmodelkd_ros.distillation.student.labelled_sweeps import choose_sweeps, labelled_sweeps
from xmodelkd_ros.distillation.student.labelled_views import LabelledViews
from xmodelkd_ros.distillation.student.module import DistillationModule
from xmodelkd_ros.distillation.student.samples import SampleMaker
from xmodelkd_ros.distillation.student.training import distil
from xmodelkd_ros.errors import ConfigurationError, MessageError, MissingDependencyError
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.labels import ID_BY_NAME, POINT_CLASSES, RAW_FROM_ID
from xmodelkd_ros.networks.checkpoint import load_checkpoint
from xmodelkd_ros.records import Frame
from xmodelkd_ros.training.cache import write_drive
from xmodelkd_ros.training.point.augmentation import PointAugmentation
from xmodelkd_ros.training.point.training import range_view
from xmodelkd_ros.training.run_config import RunConfig
from xmodelkd_ros.training.steps import check_loader, StepSampler

DRIVES = (0, 1, 3, 4)
VIEW = dataclasses.replace(range_view('hdl64e'), columns=256)


def config(**values):
    return from_mapping(DistillConfig, {**SMALL, **values})


def places(count, labelled=False):
    drive = MadeDrive(1, count)
    return [Place(drive, i, labelled) for i in range(count)]


def dataset(labelled, others, batch=2, labelled_slots=1, ranks=1):
    make = SampleMaker(VIEW, POINT_CLASSES, 0.4, PointAugmentation(), 200)
    return DistillationDataset(labelled, others, make, batch, labelled_slots, 7, ranks)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_chosen_sweeps_are_spread_over_drives(lengths, seed):
    few, many = choose_sweeps(lengths, 0.2, seed), choose_sweeps(lengths, 0.7, seed)
    total = sum(lengths)
    assert len(few) == min(total, max(1, round(0.2 * total))) and set(few) <= set(many)
    counts = np.bincount([d for d, _ in few], minlength=len(lengths))
    assert all(0 <= i < lengths[d] for d, i in many)
    for drive, count in enumerate(counts):
        assert count == lengths[drive] or count >= counts.max() - 1
    assert len(choose_sweeps(lengths, 1.0, seed)) == total and not choose_sweeps(lengths, 0, seed)


def test_slots_keep_to_their_shares_whatever_the_number_of_processes():
    others = places(40)
    together, apart = dataset([], others, batch=4), dataset([], others, batch=2, ranks=2)
    seen = []
    for rank in range(2):
        numbers = np.ravel(list(StepSampler(30, 2, lambda: 0, rank, 2)))
        found = [together.place(*divmod(number, 4)).index for number in numbers]
        assert found == [apart.place(*divmod(number, 4)).index for number in numbers]
        seen.append(set(found))
    assert seen == [set(range(20)), set(range(20, 40))]


def test_labelled_slots_see_labelled_sweeps():
    data = dataset(places(3, True), places(30), batch=3, labelled_slots=1)
    for step in range(5):
        assert [data.place(step, s).labelled for s in range(3)] == [True, False, False]
    assert dataset(places(3, True), []).place(0, 1).labelled
    sample = collate([data[number] for number in range(3)])
    assert (sample.target[sample.sweep == 0] >= 0).all()
    assert (sample.target[sample.sweep > 0] < 0).all()


def test_each_pass_takes_every_sweep_once():
    data = dataset([], places(40), batch=2)
    found = [data.place(step, 0).index for step in range(40)]
    assert sorted(found[:20]) == sorted(found[20:]) == list(range(20))
    assert found[:20] != found[20:]


@pytest.mark.parametrize('labelled', [True, False])
def test_views_go_along_with_their_points(labelled):
    frame = MadeDrive(3).frame(0)
    frame = dataclasses.replace(frame, views=dataclasses.replace(
        frame.views, feature=frame.cloud.points[frame.views.point].astype(np.float16)))
    make = SampleMaker(VIEW, POINT_CLASSES, 0.0, PointAugmentation(scale=0, tilt_deg=0), 300)
    sample = make(frame, labelled, np.random.default_rng(0))
    views = sample.views
    assert len(sample.cell) == 300 and (views.point.diff() >= 0).all()
    near = sample.xyz[views.point, 0] - views.feature[:, 0].float()
    assert near.abs().max() < 0.1  # its own x: only height, noise and side were varied
    assert ((sample.guess >= 0).nonzero()[:, 0] == views.point.unique()).all()
    known = sample.target >= 0
    assert known.all() if labelled else not known.any()
    right = sample.guess[sample.guess >= 0] == (
        torch.from_numpy(frame.cloud.label.astype(np.int64)).unique()[:, None] - 1)
    assert right.any(0).float().mean() > 0.75


def test_without_labels_the_teacher_is_the_judge():
    class Unlabelled(MadeDrive):
        def frame(self, index):
            frame = super().frame(index)
            return dataclasses.replace(frame, cloud=dataclasses.replace(frame.cloud, label=None))

    make = SampleMaker(VIEW, POINT_CLASSES, 0.4)
    by_guess = CheckedSweeps([Unlabelled(1)], make)[0]
    by_truth = CheckedSweeps([MadeDrive(1)], make)[0]
    assert (by_truth.target >= 0).all()
    assert torch.equal(by_guess.target >= 0, by_guess.trust > 0)


def test_what_labels_leave_open_is_not_guessed():
    frame = MadeDrive(1).frame(0)
    frame.cloud.label[frame.views.point[::2]] = 0
    make = SampleMaker(VIEW, POINT_CLASSES, 0.4)
    sample = make(frame, True, np.random.default_rng(0))
    assert (sample.guess[sample.target < 0] >= 0).any()
    assert not sample.trust.any()
    assert make(frame, False, np.random.default_rng(0)).trust.any()


@pytest.fixture
def one_thread():
    """Make sums come out the same, bit for bit, in every process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def distilled(tmp_path_factory):
    out = tmp_path_factory.mktemp('distilled')
    return distil([MadeDrive(0), MadeDrive(1)], [MadeDrive(2, 2)], out, config(steps=12)), out


def test_a_run_leaves_a_student_and_a_fused_model(distilled):
    path, out = distilled
    checkpoint = load_checkpoint(path, 'point')
    assert checkpoint.training['steps'] in (12, 24)  # the better of two epochs
    assert checkpoint.training['unlabelled_sweeps'] == 8
    cloud = MadeDrive(2).frame(0).cloud
    said = PointSegmenter(path)(cloud.points, cloud.intensity)
    assert said.label.shape == cloud.label.shape
    assert (out / 'run.yaml').is_file() and list(out.glob('log/events*'))
    scores = score_student(out / 'fused.safetensors', [MadeDrive(2, 2)], 'cpu')
    assert set(scores) == {'student', 'fused'}
    counts = scores['student'].counts
    assert np.trace(counts) > 0.5 * counts.sum()
    alone = score_student(path, [MadeDrive(2, 2)], 'cpu')['student']
    np.testing.assert_array_equal(alone.counts, scores['student'].counts)


def test_what_the_fusion_encoder_teaches_grows_from_nothing(monkeypatch):
    settings = config(losses={**SMALL['losses'], 'ramp': 0.5})
    weight = torch.ones(len(POINT_CLASSES))
    module = DistillationModule(settings, POINT_CLASSES, weight, FEATURES)
    monkeypatch.setattr(DistillationModule, 'trainer', None)
    samples, network = dataset([], places(8)), module.student.network
    batch = collate([samples[0], samples[1]])

    def terms(done):
        name = 'xmodelkd_ros.distillation.student.module.progress'
        monkeypatch.setattr(name, lambda trainer: done)
        torch.manual_seed(0)
        hidden = network.hidden(network.cells(batch.image), batch.cell, batch.features)
        return module._fused_terms(hidden, network.score(hidden), batch)

    first, half, full, last = map(terms, (0.0, 0.25, 0.5, 1.0))
    for name, term in full.items():
        share = 0.0 if name in ('logits', 'features') else 1.0
        assert first[name] == share * term and last[name] == term
        torch.testing.assert_close(half[name], (share + 1) / 2 * term)
    assert full['logits'] > 0 and full['features'] > 0


@pytest.mark.parametrize('mode', ['none', 'l2', 'xmodelkd'])
def test_fine_tuning_starts_from_what_was_distilled(distilled, tmp_path, mode):
    start = distilled[1] / ('student.safetensors' if mode == 'none' else 'fused.safetensors')
    settings = from_mapping(DistillConfig, {
        **SMALL, 'mode': mode, 'fraction': 0.5, 'rate': 0.0, 'start': str(start),
        'run': {**SMALL['run'], 'epochs': 1}})
    path = distil([MadeDrive(0)], [MadeDrive(2, 1)], tmp_path, settings)
    before, after = (load_checkpoint(p, 'point').state for p in (distilled[0], path))
    norms = ('running_', 'num_batches')
    moved = [n for n in before if not any(k in n for k in norms)
             and not torch.equal(before[n], after[n])]
    assert not moved  # at a rate of 0 only running statistics change
    assert load_checkpoint(path, 'point').training['labelled_sweeps'] == 2


def test_lidar_drives_and_labels_beside_a_drive(tmp_path):
    frames = [Frame(dataclasses.replace(MadeDrive(0).frame(i).cloud, stamp=10**18 + i), {})
              for i in range(3)]
    drive = LidarDrive(write_drive(frames, tmp_path / 'drive', 'test'))
    labels = tmp_path / 'labels'
    labels.mkdir()
    truth = [frame.cloud.label for frame in frames]
    for name, label in (('000000', truth[0]), (str(10**18 + 2), truth[2])):
        RAW_FROM_ID[label].astype('<u4').tofile(labels / f'{name}.label')
    annotated = AnnotatedDrive(drive, labels)
    assert list(annotated.labelled) == [0, 2]
    assert annotated.frame(1).cloud.label is None and not len(annotated.frame(0).views)
    np.testing.assert_array_equal(annotated.frame(2).cloud.label, truth[2])
    np.full(3000, 300, '<u4').tofile(labels / '000001.label')
    with pytest.raises(MessageError, match=r'000001\.label: class ids 300 are not known'):
        annotated.frame(1)
    np.zeros(5, '<u4').tofile(labels / '000001.label')
    with pytest.raises(MessageError, match='5 labels for 3000 points'):
        annotated.frame(1)
    with pytest.raises(MessageError, match='5 labels for 3000 points'):
        AnnotatedDrive(drive, labels)
    with pytest.raises(ConfigurationError, match='label'):
        AnnotatedDrive(drive, tmp_path)


def test_labels_and_views_of_a_drive_are_matched_by_stamp(tmp_path):
    """The teacher looked at sweeps 1 and 3 of 4, of which 2 and 3 have labels."""
    frames = [dataclasses.replace(MadeDrive(0).frame(i).cloud, stamp=i) for i in range(4)]
    alone = LidarDrive(write_drive(
        [Frame(dataclasses.replace(f, label=None if i < 2 else f.label, instance=None), {})
         for i, f in enumerate(frames)], tmp_path / 'drive', 'test'), FEATURES)

    class Seen(MadeDrive):
        def frame(self, index):
            frame = super().frame(2 * index + 1)
            return dataclasses.replace(frame, cloud=frames[2 * index + 1])

    drive = LabelledViews(Seen(0, 2), with_labels([alone], [], '', '/labelled')[0])
    assert [drive.frame(i).cloud.stamp for i in range(len(drive))] == [1, 3, 2]
    assert labelled_sweeps(drive) == [1, 2] and drive.feature_size == FEATURES
    assert [len(drive.frame(i).views) > 0 for i in range(3)] == [True, True, False]
    assert drive.frame(0).cloud.label is None
    for place, sweep in ((1, 3), (2, 2)):
        np.testing.assert_array_equal(drive.frame(place).cloud.label, frames[sweep].label)


def test_labels_of_a_bag_are_mapped_and_strange_ones_refused(tmp_path):
    frames = [Frame(dataclasses.replace(
        MadeDrive(0).frame(i).cloud, label=None if i == 0 else np.full(3000, 259, np.uint16),
        instance=None), {}) for i in range(2)]
    drive = LidarDrive(write_drive(frames, tmp_path / 'drive', 'test'))
    (tmp_path / 'map.yaml').write_text('259: car\n')
    mapped, = with_labels([drive], [], str(tmp_path / 'map.yaml'), '/labelled')
    assert labelled_sweeps(mapped) == [1]
    assert mapped.frame(0).cloud.label is None
    label = mapped.frame(1).cloud.label
    assert label.dtype == np.uint16 and set(label) == {ID_BY_NAME['car']}
    with pytest.raises(MessageError, match=r'/labelled at .* s: class ids 259 are not known'):
        with_labels([drive], [], '', '/labelled')
    bare = LidarDrive(write_drive(frames[:1], tmp_path / 'bare', 'test'))
    with pytest.raises(ConfigurationError, match='/labelled'):
        with_labels([bare], [], '', '/labelled')


def test_class_maps(tmp_path):
    path = tmp_path / 'map.yaml'
    path.write_text('3: car\n65535: road\n9: unlabelled\n')
    ids = read_class_map(path)
    assert ids[3] == ID_BY_NAME['car'] and ids[65535] == 1 and ids[4] == -1
    assert ids[0] == ids[9] == 0
    for text, message in (('3: lorry', '.*lorry'), ('a: car', " = 'a'"), ('- 1', '.*mapping')):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=f'label_map{message}'):
            read_class_map(path)


class BadDrive(MadeDrive):
    """The last of its sweeps is refused."""

    def __init__(self, error):
        super().__init__(1, 2)
        self.error = error

    def frame(self, index):
        if index == len(self) - 1:
            raise self.error
        return super().frame(index)


@pytest.mark.parametrize('error', [
    MessageError('000001.bin is cut off'), ConfigurationError('label_map.3', 'lorry', 'a class'),
    MissingDependencyError('lz4', 'read a bag'),
])
def test_errors_of_workers_are_one_line(error):
    loader = check_loader(
        CheckedSweeps([BadDrive(error)], SampleMaker(range_view('hdl64e'), POINT_CLASSES, 0.0)),
        RunConfig(workers=1), collate)
    with pytest.raises(type(error)) as caught:
        list(loader)
    assert str(caught.value) == str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


class BlindDrive(MadeDrive):
    """Sweeps without a point that was measured."""

    def frame(self, index):
        frame = super().frame(index)
        points = np.full_like(frame.cloud.points, np.nan)
        return dataclasses.replace(
            frame, cloud=dataclasses.replace(frame.cloud, points=points))


@pytest.mark.parametrize(('mode', 'fraction'), [('none', 1.0), ('l2', 0.0), ('xmodelkd', 0.0)])
def test_a_batch_without_a_point_is_no_step_astray(tmp_path, mode, fraction):
    values = config(mode=mode, fraction=fraction, batch=1, run={**SMALL['run'], 'epochs': 1})
    drives = [MadeDrive(0, 1), BlindDrive(1, 2)]
    student = load_checkpoint(distil(drives, [BlindDrive(2, 1)], tmp_path, values), 'point')
    assert all(tensor.isfinite().all() for tensor in student.state.values())


def test_a_run_needs_something_to_learn_from(tmp_path):
    with pytest.raises(ConfigurationError, match=r'fraction = 0\.0'):
        distil([MadeDrive(0)], [MadeDrive(1)], tmp_path, config(mode='none'))


@pytest.mark.parametrize('mode', ['l2', 'xmodelkd'])
def test_steps_without_room_for_unlabelled_sweeps_are_refused(tmp_path, mode):
    with pytest.raises(ConfigurationError, match=r'labelled = 1 .* less than batch = 1'):
        distil([MadeDrive(0)], [MadeDrive(1)], tmp_path, config(mode=mode, fraction=0.5, batch=1))
    assert not list(tmp_path.iterdir())


def run_script(out, processes=1, **values):
    """Distil in a process of its own, or in several by torchrun."""
    script = (
        'import json, sys; sys.path.insert(0, sys.argv[1])\n'
        'import torch; torch.set_num_threads(1)\n'
        'from pathlib import Path\n'
        'from distillation_drives import *\n'
        'from xmodelkd_ros.config import from_mapping\n'
        'from xmodelkd_ros.distillation.student.training import *\n'
        'config = from_mapping(DistillConfig, {**SMALL, **json.loads(sys.argv[3])})\n'
        'DistillationModule.on_train_end = lambda module: torch.save(\n'
        '    module.student.state_dict(), Path(sys.argv[2], f"rank{module.global_rank}.pt"))\n'
        'DistillationModule.on_train_start = lambda module: torch.save(\n'
        '    module.student.state_dict(), Path(sys.argv[2], f"start{module.global_rank}.pt"))\n'
        'log = DistillationModule.on_validation_epoch_end\n'
        'def check(module):\n'
        '    counts = module.confusion["student"].compute()\n'
        '    torch.save(counts, Path(sys.argv[2], "checked.pt"))\n'
        '    log(module)\n'
        'DistillationModule.on_validation_epoch_end = check\n'
        f'drives = [MadeDrive(seed, 8) for seed in {DRIVES}]\n'
        'distil(drives, [MadeDrive(2, 1)], Path(sys.argv[2]), config, True)\n'
    )
    command = [sys.executable, '-c', script, str(Path(__file__).parent), str(out),
               json.dumps(values)]
    if processes > 1:
        command = [sys.executable, '-m', 'torch.distributed.run', '--standalone',
                   '--nproc-per-node', str(processes), '--no-python', *command]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    return subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)


def finish(run, timeout=110):
    try:
        assert run.wait(timeout=timeout) == 0
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)


@pytest.mark.timeout(240)
def test_a_killed_run_ends_as_if_nothing_had_been(one_thread, tmp_path):
    values = {'steps': 4, 'fraction': 0.1, 'run': {**SMALL['run'], 'epochs': 10}}
    drives = [MadeDrive(seed, 8) for seed in DRIVES]
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    distil(drives, [MadeDrive(2, 1)], whole, config(**values))
    run, deadline = run_script(broken, **values), time.monotonic() + 200
    while not (broken / 'checkpoints' / 'last.ckpt').is_file():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    state = torch.load(broken / 'checkpoints' / 'last.ckpt', weights_only=False)
    assert state['global_step'] < 40
    distil(drives, [MadeDrive(2, 1)], broken, config(**values), resume=True)
    for name, kind in (('student', 'point'), ('fused', 'fused')):
        first, second = (
            load_checkpoint(out / f'{name}.safetensors', kind) for out in (whole, broken))
        assert first.training['steps'] == second.training['steps']
        assert all(torch.equal(first.state[n], second.state[n]) for n in first.state)


def test_a_stopped_run_goes_on_within_an_epoch(one_thread, tmp_path):
    class Stop(Exception):  # noqa: N818
        pass

    def watch(done, total):
        if done == 5:
            raise Stop

    drives, held = [MadeDrive(0), MadeDrive(1)], [MadeDrive(2, 1)]
    values = {'fraction': 0.25, 'run': {**SMALL['run'], 'workers': 1}}
    settings = config(steps=4, **values)
    distil(drives, held, tmp_path / 'whole', settings)
    with pytest.raises(Stop):
        distil(drives, held, tmp_path / 'broken', settings, watch=watch)
    with pytest.raises(ConfigurationError, match='steps = 5 is not allowed: 4, as in '):
        distil(drives, held, tmp_path / 'broken', config(steps=5, **values), resume=True)
    distil(drives, held, tmp_path / 'broken', settings, resume=True)
    first, second = (
        load_checkpoint(tmp_path / out / 'student.safetensors', 'point').state
        for out in ('whole', 'broken'))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_of_another_configuration_is_not_gone_on_with(distilled):
    with pytest.raises(ConfigurationError, match=r'rate = 0\.02'):
        distil([MadeDrive(0)], [MadeDrive(2, 1)], distilled[1], config(steps=12, rate=0.02), True)


@pytest.mark.timeout(240)
def test_two_processes_learn_what_one_learns_from_both_their_batches(
    one_thread, tmp_path, monkeypatch
):
    def halves(samples):
        both = len(samples) == 4  # those to validate by come one by one
        return [collate(samples[:2]), collate(samples[2:])] if both else collate(samples)

    def step(module, batches, index):
        total = torch.zeros(())
        for rank, batch in enumerate(batches):
            torch.manual_seed(1024 * module.global_step + rank)  # as each process does
            total = total + alone(module, batch, index) / 2
        return total

    values = {'run': {**SMALL['run'], 'epochs': 1}, 'steps': 6, 'rate': 0.002}
    finish(run_script(tmp_path / 'two', 2, batch=2, **values), 200)
    first, second = (torch.load(tmp_path / 'two' / f'rank{rank}.pt') for rank in range(2))
    start = torch.load(tmp_path / 'two' / 'start0.pt')
    checked = CheckedSweeps([MadeDrive(2, 1)], SampleMaker(VIEW, POINT_CLASSES, 0.4))
    assert torch.load(tmp_path / 'two' / 'checked.pt').sum() == len(checked[0].target)  # once
    alone = DistillationModule.training_step
    monkeypatch.setattr(DistillationModule, 'training_step', step)
    monkeypatch.setattr('xmodelkd_ros.distillation.student.training.collate', halves)
    drives, out = [MadeDrive(seed, 8) for seed in DRIVES], tmp_path / 'one'
    distil(drives, [MadeDrive(2, 1)], out, config(batch=4, **values))
    state = torch.load(out / 'checkpoints' / 'last.ckpt', weights_only=False)
    assert state['global_step'] == 6
    one = {name.removeprefix('student.'): value for name, value in state['state_dict'].items()}
    names = [name for name in first if not any(k in name for k in ('running_', 'num_batches'))]
    assert all(torch.equal(first[name], second[name]) for name in names)
    together, reference, other = (
        torch.cat([of[name].flatten() for name in names]) for of in (first, one, start))
    # rounding makes a little difference, as the size of a step depends little on the gradient's
    assert (together - reference).norm() < 0.01 * (reference - other).norm()
