"""The feature cache as files: the same bytes always, nothing lost, nothing mixed up."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
from painted_drive import copy_bag, TruthTeacher, write_painted_bag
import pytest
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.distillation.cache import CachedDistillationDrive, open_caches
from xmodelkd_ros.distillation.extraction.config import ExtractionConfig
from xmodelkd_ros.distillation.extraction.extraction import extract
from xmodelkd_ros.distillation.extraction.quality import read_report
from xmodelkd_ros.errors import BagError, CacheError, CalibrationError, ConfigurationError

SETTINGS = {'distance': 0.1, 'instants': (-1, 1), 'shard': 2}
SMALL = {'frames': 6, 'columns': 64, 'width': 64, 'height': 32, 'cameras': ('front',)}


def config(**settings):
    return from_mapping(ExtractionConfig, {**SETTINGS, **settings})


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return write_painted_bag(tmp_path_factory.mktemp('drive') / 'small', patch, **SMALL)


def files(folder):
    """Return the content of all files of a cache but the report, which holds a time."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob('*'))
        if path.is_file() and path.name != 'report.json'
    }


@pytest.fixture(scope='module')
def reference(bag, tmp_path_factory):
    """Return the cache as a run without incidents makes it."""
    out = tmp_path_factory.mktemp('reference')
    extract([bag], out, TruthTeacher(), config())
    return out


@pytest.fixture
def copy(bag, tmp_path):
    """Return the folder of a drive in a cache of one's own."""
    return extract([bag], tmp_path / 'own', TruthTeacher(), config())[0]


def test_a_second_extraction_gives_the_same_bytes(bag, reference, tmp_path):
    extract([bag], tmp_path, TruthTeacher(), config())
    assert files(tmp_path) == files(reference)
    assert not list(tmp_path.rglob('.*'))


def test_several_processes_give_the_same_bytes(bag, reference, tmp_path):
    told = []
    extract([bag], tmp_path, TruthTeacher(), config(), processes=2,
            progress=lambda done, total: told.append((done, total)))
    assert files(tmp_path) == files(reference)
    assert told[0] == (0, 1) and told[-1] == (3, 3) and told == sorted(told)


def test_several_processes_plan_several_drives(bag, reference, tmp_path):
    again = copy_bag(bag, tmp_path / 'again', [])
    found = extract([bag, again], tmp_path / 'own', TruthTeacher(), config(), processes=2)
    assert [folder.name.split('-')[0] for folder in found] == ['small', 'again']
    kept = files(tmp_path / 'own')
    assert {name: kept[name] for name in files(reference)} == files(reference)
    with pytest.raises(BagError, match='nowhere'):
        extract([bag, tmp_path / 'nowhere'], tmp_path / 'own', TruthTeacher(), config(), 2)


def test_a_teacher_that_cannot_travel_works_alone(bag, tmp_path):
    class Local(TruthTeacher):
        pass

    with pytest.raises(ConfigurationError, match='processes = 2'):
        extract([bag], tmp_path, Local(), config(), processes=2)


def test_an_extraction_that_is_there_does_not_look_at_pictures(bag, reference):
    class Blind(TruthTeacher):
        def __call__(self, images):
            raise AssertionError('asked about pictures')

    before = files(reference)
    assert len(extract([bag], reference, Blind(), config())) == 1
    assert files(reference) == before


class SilentTeacher(TruthTeacher):
    """Never says what is on one picture."""

    def __init__(self, picture):
        super().__init__()
        self.picture = picture

    def __call__(self, images):
        while any(np.array_equal(image, self.picture) for image in images):
            time.sleep(0.1)
        return super().__call__(images)


_KILLED = """
import sys
sys.path.insert(0, sys.argv[3])
from test_extraction import config, SilentTeacher
from xmodelkd_ros.bags.frames import frames
from xmodelkd_ros.distillation.extraction.extraction import extract
*_, last = frames(sys.argv[1], ['front'])
teacher = SilentTeacher(last.views['front'].picture.rgb)  # for whom the last shard is never done
extract([sys.argv[1]], sys.argv[2], teacher, config(), processes=2)
"""


def test_what_was_killed_goes_on_to_the_same_bytes(bag, reference, tmp_path):
    here = str(Path(__file__).parent)
    child = subprocess.Popen([sys.executable, '-c', _KILLED, str(bag), str(tmp_path), here])
    deadline = time.monotonic() + 90
    while not list(tmp_path.rglob('shard-*')) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(1.5)  # its processes notice that they are alone
    done = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('shard-*')}
    assert 1 <= len(done) < 3
    folder = next(tmp_path.iterdir())
    with pytest.raises(CacheError, match='not complete'):
        CachedDistillationDrive(folder)
    (folder / '.partial.4194305.shard-00002.safetensors').write_bytes(b'half')
    extract([bag], tmp_path, TruthTeacher(), config())
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
    assert files(tmp_path) == files(reference)


class CancelledError(Exception):
    """Somebody wants no more."""


def test_odometry_can_be_stopped_at_each_sweep(bag, tmp_path):
    pytest.importorskip('kiss_icp')
    told = []

    def cancel(done, total):
        told.append((done, total))
        if len(told) == 3:  # in the second of six sweeps
            raise CancelledError

    lost = copy_bag(bag, tmp_path / 'lost', ['/tf'])
    with pytest.raises(CancelledError):
        extract([lost], tmp_path / 'own', TruthTeacher(), config(), progress=cancel)
    assert told == [(0, 1)] * 3 and not list((tmp_path / 'own').rglob('plan.json'))


def test_what_stops_an_extraction_leaves_whole_shards(bag, reference, tmp_path):
    def cancel(done, total):
        if done:
            raise CancelledError

    with pytest.raises(CancelledError):
        extract([bag], tmp_path, TruthTeacher(), config(), progress=cancel)
    assert len(list(tmp_path.rglob('shard-*'))) == 1
    extract([bag], tmp_path, TruthTeacher(), config())
    assert files(tmp_path) == files(reference)


def test_a_full_disk_is_named_and_nothing_is_lost(bag, reference, tmp_path, monkeypatch):
    written = []

    def fsync(handle):
        written.append(handle)
        if len(written) == 4:  # trajectory, plan, a shard, and no more
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', fsync)
    with pytest.raises(CacheError, match='No space left on device') as caught:
        extract([bag], tmp_path, TruthTeacher(), config())
    assert caught.value.exit_code == 2
    assert len(list(tmp_path.rglob('shard-*'))) == 1
    assert not list(tmp_path.rglob('.*'))
    monkeypatch.undo()
    extract([bag], tmp_path, TruthTeacher(), config())
    assert files(tmp_path) == files(reference)


@pytest.mark.parametrize(('settings', 'teacher', 'reason'), [
    ({}, TruthTeacher(sha256='1' * 64), 'another teacher'),
    ({'rectified': ('front',)}, TruthTeacher(), 'another calibration'),
    ({'instants': (-2, 2)}, TruthTeacher(), 'another configuration'),
])
def test_a_cache_of_something_else_is_refused(bag, copy, settings, teacher, reason):
    before = files(copy)
    with pytest.raises(CacheError, match=reason):
        extract([bag], copy.parent, teacher, config(**settings))
    assert files(copy) == before


def test_a_teacher_whose_files_have_moved_is_the_same(bag, copy):
    before = files(copy)
    teacher = TruthTeacher()
    teacher.name = 'elsewhere/truth'
    assert extract([bag], copy.parent, teacher, config()) == [copy]
    assert files(copy) == before


def test_a_teacher_with_other_class_names_is_refused(bag, copy):
    teacher = TruthTeacher()
    teacher.class_names = ('road', 'gargoyle')
    with pytest.raises(CacheError, match='other class names'):
        extract([bag], copy.parent, teacher, config())


def test_caches_of_two_teachers_are_not_used_together(bag, copy, tmp_path):
    other = extract([bag], tmp_path / 'other', TruthTeacher(sha256='2' * 64), config())[0]
    assert len(open_caches([copy, copy])) == 2
    with pytest.raises(CacheError, match='belongs to teacher'):
        open_caches([copy, other])


def test_damage_is_noticed(copy):
    shard = copy / 'shard-00001.safetensors'
    content = shard.read_bytes()
    shard.write_bytes(content[:-100] + bytes(100))
    drive = CachedDistillationDrive(copy)
    drive.frame(0)
    with pytest.raises(CacheError, match='damaged'):
        drive.frame(2)
    shard.write_bytes(content[:-1])
    with pytest.raises(CacheError, match='damaged'):
        CachedDistillationDrive(copy)
    shard.unlink()
    with pytest.raises(CacheError, match='missing'):
        CachedDistillationDrive(copy)
    (copy / 'manifest.json').write_text('{')
    with pytest.raises(CacheError, match='damaged'):
        CachedDistillationDrive(copy)
    with pytest.raises(CacheError, match='no feature cache'):
        CachedDistillationDrive(copy.parent)


def test_the_manifest_says_what_the_cache_belongs_to(copy):
    drive = CachedDistillationDrive(copy)
    manifest = json.loads((copy / 'manifest.json').read_text())
    assert drive.teacher == manifest['teacher'] == {'name': 'truth', 'sha256': '0' * 64}
    assert drive.feature_size == 2
    assert drive.class_names == TruthTeacher().class_names
    assert drive.view_names == ('front', 'front-1', 'front+1')
    assert [shard['frames'] for shard in manifest['shards']] == [2, 2, 2]
    assert manifest['source']['name'] == 'small' and len(manifest['source']['sha256']) == 64
    frame = drive.frame(5)
    assert frame.cloud.label is not None and frame.cloud.frame == 'lidar'
    assert frame.views.feature.dtype == np.float16
    with pytest.raises(IndexError):
        drive.frame(6)


@pytest.mark.parametrize(('without', 'error', 'reason'), [
    (('/front/image', '/front/camera_info'), BagError, 'no images'),
    (('/front/camera_info',), CalibrationError, 'camera_info'),
    (('/tf_static',), CalibrationError, 'TF never sees camera front'),
    (('/points',), BagError, 'no topic /points'),
])
def test_a_bag_that_cannot_be_used_is_named(bag, tmp_path, without, error, reason):
    bad = copy_bag(bag, tmp_path / 'bad', without)
    with pytest.raises(error, match=reason) as caught:
        extract([bad], tmp_path / 'cache', TruthTeacher(), config())
    assert 'bad' in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize('setting', [
    {'cameras': ('rear',)}, {'rectified': ('rear',)}, {'offsets': {'rear': 0.1}}])
def test_a_camera_that_is_not_there_is_named(bag, tmp_path, setting):
    with pytest.raises(BagError, match='no images of rear, only of front'):
        extract([bag], tmp_path, TruthTeacher(), config(**setting))


def test_a_report_that_was_not_written_any_more_is_written(bag, reference):
    before = files(reference)
    report, = reference.rglob('report.json')
    report.unlink()
    extract([bag], reference, TruthTeacher(), config())
    assert read_report(report.parent).frames == 6
    assert files(reference) == before
