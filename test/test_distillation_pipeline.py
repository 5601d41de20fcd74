"""The way from bags to a student: stages, resuming, cancelling, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from small_distillation import (
    FINE_TUNING,
    settings,
    strange_classes,
    STUDENT,
    write_drive,
    write_start,
    write_teacher,
)
from small_world import cloud
from xmodelkd_ros.bags.folders import find_bags
from xmodelkd_ros.bags.label_files import LabelFolder
from xmodelkd_ros.cli.distil import main
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.distillation import pipeline as pipeline_module
from xmodelkd_ros.distillation.cache import CachedDistillationDrive
from xmodelkd_ros.distillation.pipeline import Pipeline, STAGES
from xmodelkd_ros.distillation.pipeline_config import PipelineConfig
from xmodelkd_ros.distillation.progress import Cancelled, TerminalBar
from xmodelkd_ros.distillation.student.guessing import guess_labels, GuessConfig
from xmodelkd_ros.distillation.student.sensor import measure_fit
from xmodelkd_ros.errors import BagError, CacheError, ConfigurationError, XModelKDError
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.labels import POINT_CLASSES
from xmodelkd_ros.networks.checkpoint import load_checkpoint
from xmodelkd_ros.training.point.training import range_view
import yaml


@pytest.fixture
def teacher(tmp_path):
    return write_teacher(tmp_path / 'teacher.safetensors')


@pytest.fixture
def folder(tmp_path):
    write_drive(tmp_path / 'drive')
    return tmp_path


def make(folder, teacher, **others):
    return Pipeline(from_mapping(PipelineConfig, settings(folder, teacher, **others)))


def test_bags_and_a_teacher_become_a_student_that_labels(folder, teacher):
    told = []
    scores = make(folder, teacher).run(watch=lambda *step: told.append(step))
    assert 'points seen [%]' in scores and 'Agreement with the teacher' in scores
    assert 'learnt from this drive' in scores
    out = folder / 'out'
    label = PointSegmenter(out / 'student.safetensors')(cloud(0).points).label
    assert len(label) == len(cloud(0).points) and label.max() <= len(POINT_CLASSES)
    assert list((out / 'pictures').glob('*.png')) and (out / 'fused.safetensors').is_file()
    assert [stage for stage in STAGES if stage in {step[0] for step in told}] == list(STAGES)
    total = STUDENT['steps'] * STUDENT['run']['epochs']
    assert [step for step in told if step[0] == 'train'][-1] == ('train', total, total)
    looks = 2 * 3  # to gather votes and to guess, at each sweep
    assert [step for step in told if step[0] == 'guess'] == [
        ('guess', number + 1, looks) for number in range(looks)]
    kept = yaml.safe_load((out / 'run.yaml').read_text())
    assert kept['configuration']['bags'] == [str(folder / 'drive')]
    assert 'packages' in kept['environment']


def test_a_fused_model_without_its_image_networks_is_not_given_away(
    folder, teacher, monkeypatch, caplog
):
    monkeypatch.setattr(pipeline_module, 'runs_alone', lambda path: False)
    make(folder, teacher).run()
    out = folder / 'out'
    assert (out / 'train' / 'fused.safetensors').is_file()
    assert not (out / 'fused.safetensors').exists()
    assert [m for m in caplog.messages if m.startswith('no fused.safetensors: only teachers')]


def test_a_second_start_does_nothing_again(folder, teacher):
    make(folder, teacher).run()
    student = (folder / 'out' / 'student.safetensors').stat().st_mtime_ns
    told = []
    assert make(folder, teacher).run(watch=lambda *step: told.append(step))
    assert not told
    assert (folder / 'out' / 'student.safetensors').stat().st_mtime_ns == student


@pytest.mark.parametrize('stage', ['extract', 'guess', 'train', 'evaluate'])
def test_what_was_cancelled_is_gone_on_from(folder, teacher, stage):
    def cancel(now, done, total):
        if now == stage and done:
            raise Cancelled

    with pytest.raises(Cancelled):
        make(folder, teacher).run(watch=cancel)
    told = []
    make(folder, teacher).run(watch=lambda *step: told.append(step))
    before = STAGES[:STAGES.index('train' if stage == 'guess' else stage)]
    assert not {step[0] for step in told} & set(before)
    assert ('guess' in {step[0] for step in told}) == (stage in ('extract', 'guess'))
    if stage == 'train':  # the step that was done is not done again
        assert min(done for now, done, _ in told if now == 'train' and done) == 2
    assert (folder / 'out' / 'student.safetensors').is_file()


def test_stages_run_one_by_one_and_in_order(folder, teacher):
    with pytest.raises(ConfigurationError, match='extract must be done before'):
        make(folder, teacher).run(['train'])
    for stage in STAGES:
        make(folder, teacher).run([stage])
    assert (folder / 'out' / 'student.safetensors').is_file()


def test_labels_beside_a_bag_fine_tune_the_student(folder, teacher, monkeypatch):
    write_drive(folder / 'labelled', images=False, seed=50)
    labels = labels_beside(folder, 'labelled', range(3))
    make(
        folder, teacher, labelled=[str(folder / 'labelled')], labels=[labels],
        finetuning=FINE_TUNING).run(STAGES[:4])
    assert (folder / 'out' / 'finetune' / 'student.safetensors').is_file()


@pytest.mark.parametrize('key', ['simulated', 'sweeps'])
def test_bags_without_images_are_learned_from_beside_those_with(folder, teacher, key):
    more = folder / 'more'
    more.mkdir()
    write_drive(more / 'drive', images=False, seed=50, labelled=key == 'simulated')
    make(folder, teacher, **{key: [str(more)]}).run()
    kept = load_checkpoint(folder / 'out' / 'student.safetensors', 'point').training
    assert kept['labelled_sweeps'] == (3 if key == 'simulated' else 0)
    assert kept['labelled_sweeps'] + kept['guessed_sweeps'] == 6


@pytest.mark.parametrize('mode', ['none', 'xmodelkd'])
def test_what_is_learned_are_labels_guessed_with_the_start(folder, teacher, mode):
    start = write_start(folder / 'start.safetensors')
    found = make(
        folder, teacher, start=str(start), student={**STUDENT, 'mode': mode},
        guessing={'student_floor': 0.0, 'voxels': [0.3]})
    found.run(STAGES[:2])
    out = folder / 'out'
    (manifest,) = (out / 'cache').glob('drive*/manifest.json')
    expected = list(guess_labels(
        CachedDistillationDrive(manifest.parent), PointSegmenter(out / 'start.safetensors', 'cpu'),
        GuessConfig(student_floor=0.0, voxels=(0.3,))))
    files = sorted((out / 'guesses' / '000').glob('*.label'))
    for file, label in zip(files, expected, strict=True):
        np.testing.assert_array_equal(np.fromfile(file, '<u4'), label)
        assert len(set(label.tolist()) - {0}) > 1
    kept = load_checkpoint(out / 'train' / 'student.safetensors', 'point').training
    assert [kept[f'{kind}_sweeps'] for kind in ('guessed', 'labelled', 'unlabelled')] == [3, 0, 0]


def test_true_labels_of_some_sweeps_are_learned_beside_the_views_of_the_others(folder, teacher):
    write_drive(folder / 'drive_true', labelled=True)
    make(
        folder, teacher, bags=[str(folder / 'drive_true')],
        student={**STUDENT, 'fraction': 0.34}).run(STAGES[:2])
    out = folder / 'out'
    assert not (out / 'guesses').exists()
    kept = load_checkpoint(out / 'train' / 'student.safetensors', 'point').training
    assert [kept[f'{kind}_sweeps'] for kind in ('guessed', 'labelled', 'unlabelled')] == [0, 1, 2]


@pytest.mark.parametrize(('mode', 'fraction', 'expected'), [
    ('l2', 0.0, [0, 3, 3]), ('l2', 0.34, [0, 4, 2]), ('xmodelkd', 0.34, [0, 4, 2])])
def test_simulated_labels_leave_the_drives_own_alone(folder, teacher, mode, fraction, expected):
    write_drive(folder / 'drive_true', labelled=True)
    write_drive(folder / 'simulated', images=False, seed=50, labelled=True)
    make(
        folder, teacher, bags=[str(folder / 'drive_true')], simulated=[str(folder / 'simulated')],
        student={**STUDENT, 'mode': mode, 'fraction': fraction}).run(STAGES[:2])
    kept = load_checkpoint(folder / 'out' / 'train' / 'student.safetensors', 'point').training
    assert expected == [kept[f'{kind}_sweeps'] for kind in ('guessed', 'labelled', 'unlabelled')]


def labels_beside(folder, bag, sweeps):
    """Write label files of some sweeps, named by their numbers."""
    files = LabelFolder(folder / f'{bag}_labels', POINT_CLASSES, 'semantickitti', 'by hand')
    for index in sweeps:
        files.write(f'{index:06d}', np.full(800, 1 + index, np.uint16))
    return str(folder / f'{bag}_labels')


def test_labels_beside_a_bag_with_images_are_learned_beside_the_views(folder, teacher):
    write_drive(folder / 'other', images=False, seed=50)
    bags = [str(folder / 'other'), str(folder / '.' / 'drive')]
    made = make(
        folder, teacher, labelled=bags,
        labels=[labels_beside(folder, 'other', [0]), labels_beside(folder, 'drive', [0, 2])],
        extraction={'distance': 3.0, 'instants': [-1, 1]},  # sweep 1 is no keyframe
        student={**STUDENT, 'fraction': 1.0}, finetuning=FINE_TUNING)
    made.run(STAGES[:3])
    (drive,) = made.drives.to_train()
    assert [drive.frame(index).cloud.label[0] for index in drive.labelled] == [1, 3]
    for kind, expected in (('train', [0, 2, 0]), ('finetune', [0, 1, 0])):
        path = folder / 'out' / kind / 'student.safetensors'
        kept = load_checkpoint(path, 'point').training
        assert expected == [
            kept[f'{name}_sweeps'] for name in ('guessed', 'labelled', 'unlabelled')], kind


def test_another_sensor_is_noticed(folder, teacher, caplog):
    elevations = np.radians(np.linspace(-15, 15, 16))
    turns = np.linspace(0, 6, 50)[:, None]
    points = 10 * np.stack([
        np.cos(elevations) * np.cos(turns), np.cos(elevations) * np.sin(turns),
        np.sin(elevations) * np.ones_like(turns)], -1).reshape(-1, 3).astype(np.float32)
    points[0] = np.nan
    (folder / 'own.yaml').write_text('high_deg: 15\nlow_deg: -15\nbeams: 16\n')
    fits = {name: measure_fit([points], range_view(name))
            for name in ('hdl64e', 'os1_128', str(folder / 'own.yaml'))}
    assert [share > 0.99 for share, _, _ in fits.values()] == [False, True, True]
    assert fits['hdl64e'][1:] == pytest.approx((-15, 15), abs=0.1)
    assert measure_fit([], range_view('hdl64e'))[0] == 1
    (folder / 'up.yaml').write_text('high_deg: 80\nlow_deg: 60\nbeams: 16\n')
    student = {**STUDENT, 'lidar': str(folder / 'up.yaml')}
    make(folder, teacher, adaptation=0.0, student=student).run(['extract'])
    assert 'the beams of up, 60.0 to 80.0 degrees, reach only' in caplog.text
    refused(folder, teacher, ConfigurationError, "lidar = 'own' is not allowed: a YAML file, or",
            student={**STUDENT, 'lidar': 'own'}, out=str(folder / 'other'))


def test_the_last_of_several_bags_is_left_out_to_judge_by(folder, teacher):
    write_drive(folder / 'bags' / 'b', seed=10)
    write_drive(folder / 'bags' / 'a', seed=20)
    found = make(folder, teacher, bags=[str(folder / 'bags')])
    assert [path.name for path in found.drives.bags] == ['a']
    assert [path.name for path in found.drives.validation] == ['b']
    assert not found.drives.judges_by_learned
    found = make(
        folder, teacher, bags=[str(folder / 'bags')], labelled=[str(folder / 'bags')],
        out=str(folder / 'labelled'))
    assert not found.drives.judges_by_learned and found.drives.fine_tunes
    found = make(
        folder, teacher, bags=[str(folder / 'bags' / 'a')], sweeps=[str(folder / 'bags' / 'b')],
        validation=[str(folder / 'bags')], out=str(folder / 'swept'))
    assert found.drives.judges_by_learned


def test_labels_of_a_bag_to_judge_by_are_learned_by_nobody(folder, teacher):
    write_drive(folder / 'held', seed=10)
    made = make(
        folder, teacher, validation=[str(folder / 'held')], labelled=[str(folder / 'held')],
        labels=[labels_beside(folder, 'held', [1])], student={**STUDENT, 'fraction': 0.5},
        simulated=[str(write_drive(folder / 'simulated', seed=20, labelled=True))])
    scores = made.run(STAGES[:4])
    assert not made.drives.fine_tunes and not (folder / 'out' / 'finetune').exists()
    true = sum(int(line.split()[1]) for line in scores.split('Against the labels')[1].splitlines()
               if line.startswith('sidewalk'))
    assert true == 800
    kept = load_checkpoint(folder / 'out' / 'train' / 'student.safetensors', 'point').training
    assert [kept[f'{kind}_sweeps'] for kind in ('labelled', 'unlabelled')] == [3, 3]


def test_a_folder_that_has_gained_or_lost_a_bag_is_refused_by_its_name(folder, teacher):
    for name in 'abd':
        write_drive(folder / 'bags' / name, frames=1)
    bags = [str(folder / 'bags')]
    make(folder, teacher, bags=bags)
    make(folder, teacher, bags=bags)
    (folder / 'bags' / 'b').rename(folder / 'bags' / 'c')
    refused(folder, teacher, ConfigurationError, 'bags/c was added, .*bags/b is gone', bags=bags)


@pytest.mark.parametrize(('late', 'told'), [(10, '9.800 s after'), (-10, '9.800 s before')])
def test_pictures_of_another_clock_are_refused(folder, teacher, late, told):
    bag = write_drive(folder / 'late', late=late * 10**9)
    for _ in range(2):
        refused(folder, teacher, BagError, f'late: no image .* {told}', bags=[str(bag)])
    assert (folder / 'out' / 'quality.txt').is_file()
    assert not (folder / 'out' / 'state.json').exists()


def refused(folder, model, error, match, **others):
    with pytest.raises(error, match=match) as caught:
        make(folder, model, **others).run()
    assert isinstance(caught.value, XModelKDError) and caught.value.exit_code == 2


def test_bad_bags_are_named(folder, teacher):
    write_drive(folder / 'blind', images=False)
    write_drive(folder / 'loose', mounted=False)
    (folder / 'empty').mkdir()
    out = str(folder / 'other')
    for name, match in (
        ('blind', 'blind has no images'), ('loose', 'front'), ('empty', 'neither a bag'),
        ('nowhere', 'no bag at'),
    ):
        refused(folder, teacher, XModelKDError, match, bags=[str(folder / name)], out=out + name)


def test_a_teacher_with_other_class_names_is_refused_and_can_be_mapped(folder):
    teacher = write_teacher(folder / 'strange.safetensors', strange_classes())
    refused(folder, teacher, ConfigurationError, 'dragon')
    (folder / 'map.yaml').write_text('dragon: building\n')
    class_map = str(folder / 'map.yaml')
    make(folder, teacher, class_map=class_map, out=str(folder / 'mapped')).run(['extract'])


def test_a_cache_of_another_teacher_is_refused_and_stays(folder, teacher):
    make(folder, teacher, adaptation=0.0).run(['extract'])
    before = sorted(p.name for p in (folder / 'out' / 'cache').rglob('*'))
    write_teacher(folder / 'teacher.safetensors', seed=4)
    (folder / 'out' / 'state.json').unlink()
    refused(folder, teacher, CacheError, 'another teacher', adaptation=0.0)
    assert sorted(p.name for p in (folder / 'out' / 'cache').rglob('*')) == before


@pytest.mark.parametrize(('key', 'match'), [
    ('start', 'not a safetensors file'), ('label_map', 'a YAML file'),
    ('network', 'fit'), ('labels', 'a folder with .label files')])
def test_what_is_needed_late_is_refused_before_the_work_begins(folder, teacher, key, match):
    (folder / 'junk').write_text('junk')
    others = {key: str(folder / 'junk')}
    if key == 'labels':
        others = {'labelled': [str(folder / 'drive')], 'labels': [str(folder)]}
    if key == 'network':
        others = {'start': str(write_start(folder / 'start.safetensors')), 'student': {
            **STUDENT, 'network': {**STUDENT['network'], 'head': 16}}}
    with pytest.raises(XModelKDError, match=match):
        make(folder, teacher, **others)
    assert not (folder / 'out').exists()


def test_labels_of_another_length_are_named(folder, teacher):
    write_drive(folder / 'labelled', images=False)
    (folder / 'labels').mkdir()
    np.zeros(7, '<u4').tofile(folder / 'labels' / '000000.label')
    refused(
        folder, teacher, XModelKDError, '7 labels for 800 points',
        labelled=[str(folder / 'labelled')], labels=[str(folder / 'labels')],
        finetuning=FINE_TUNING)
    assert (folder / 'out' / 'train' / 'student.safetensors').is_file()


def test_a_full_disk_is_said_and_what_was_done_stays(folder, teacher, monkeypatch):
    make(folder, teacher).run(STAGES[:3])

    def full(path, data):
        raise CacheError(f'{path} cannot be written: No space left on device')

    monkeypatch.setattr(pipeline_module, 'write_whole', full)
    with pytest.raises(CacheError, match=r'scores\.txt cannot be written: No space left'):
        make(folder, teacher).run()
    monkeypatch.undo()
    make(folder, teacher).run()
    assert (folder / 'out' / 'student.safetensors').is_file()


def test_other_settings_do_not_mix_with_what_is_there(folder, teacher):
    make(folder, teacher).run(['extract'])
    refused(folder, teacher, ConfigurationError, 'adaptation = 0.25', adaptation=0.25)
    make(folder, teacher, processes=2)


def test_a_start_that_failed_binds_nobody_to_its_settings(folder, teacher):
    refused(folder, 'odd:city.pth', ConfigurationError, 'odd')
    refused(folder, teacher, BagError, 'no images of rear, only of front',
            extraction={'cameras': ['rear']})
    make(folder, teacher).run(['extract'])


def test_a_bar_is_there_for_each_stage_that_has_none_of_its_own(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    bar = TerminalBar()
    for step in ('train', 0, 1), ('guess', 2, 2), ('train', 1, 2):
        bar(*step)
    said = capsys.readouterr().err
    assert 'guess: 100%' in said and '2/2' in said and 'train' not in said
    assert said.endswith('\n')  # it has ended before the bar of the training comes


@pytest.mark.parametrize('key', ['bags', 'out', 'teacher'])
def test_what_is_needed_must_be_given(folder, teacher, key):
    values = {**settings(folder, teacher), key: [] if key == 'bags' else ''}
    with pytest.raises(ConfigurationError, match=f'{key} = .* must be given'):
        Pipeline(from_mapping(PipelineConfig, values))


def test_bags_are_found_in_folders(tmp_path):
    write_drive(tmp_path / 'one', frames=1)
    (tmp_path / 'notes').mkdir()
    file = next((tmp_path / 'one').glob('*.mcap'))
    assert find_bags([tmp_path]) == [tmp_path / 'one']
    assert find_bags([file]) == [file]
    (tmp_path / 'notes.txt').touch()
    for other in 'notes', 'notes.txt':
        with pytest.raises(BagError, match='neither a bag nor a folder of bags'):
            find_bags([tmp_path / other])


def test_the_command_takes_the_same_settings(folder, teacher, capsys):
    values = settings(folder, teacher)
    (folder / 'config.yaml').write_text(yaml.safe_dump(values))
    config = str(folder / 'config.yaml')
    assert main(['extract', '--config', config]) == 0
    assert main(['evaluate', '--config', config]) == 2
    assert "stage = 'evaluate' is not allowed: train must be done before" in (
        capsys.readouterr().err)
    assert (Path(values['out']) / 'state.json').is_file()


@pytest.mark.timeout(300)
def test_processes_of_torchrun_share_the_training_and_nothing_else(folder, teacher):
    more = write_drive(folder / 'more', images=False, seed=50, labelled=True)
    values = settings(
        folder, teacher, labelled=[str(more)], finetuning=FINE_TUNING)
    (folder / 'config.yaml').write_text(yaml.safe_dump(values))
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
        '-m', 'xmodelkd_ros.cli.distil', 'run', '--config', str(folder / 'config.yaml')]
    ended = subprocess.run(
        command, env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''},
        capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count('Agreement with the teacher') == 1
    assert ended.stdout.count('reading ') == 1
    assert ended.stderr.count('Starting with 2 processes') == 1
    assert list(json.loads((folder / 'out' / 'state.json').read_text())) == sorted(STAGES)
