"""The command label: files beside any kind of sweep, whole or not at all, kept when there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from small_world import cloud, write_models
from xmodelkd_ros.bags.sweeps import Sweeps
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.cli.label import main
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.labels import ID_FROM_RAW, PALETTE, RAW_FROM_ID
from xmodelkd_ros.messages.clouds import cloud_message
import yaml

pypcd4 = pytest.importorskip('pypcd4')

STAMP = 1_700_000_000_000_000_000
LZF = pypcd4.Encoding.BINARY_COMPRESSED
ENCODINGS = (pypcd4.Encoding.ASCII, pypcd4.Encoding.BINARY, LZF)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp('models'))[0]


@pytest.fixture(scope='module')
def segmenter(model):
    return PointSegmenter(model)


def write_bin(path: Path, sweep) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.column_stack([sweep.points, sweep.intensity]).astype('<f4').tofile(path)
    return path


def write_pcd(path: Path, sweep, encoding, gain=1.0) -> Path:
    columns = [*sweep.points.T, (sweep.intensity * gain).astype(np.float32)]
    found = pypcd4.PointCloud.from_points(
        columns, ('x', 'y', 'z', 'intensity'), (np.float32,) * 4)
    found.save(path, encoding)
    return path


def label(model, out, *arguments) -> int:
    return main([*map(str, arguments), '--model', str(model), '--out', str(out),
                 '--device', 'cpu'])


def labels_of(out: Path, name: str) -> np.ndarray:
    return np.fromfile(out / f'{name}.label', '<u4')


def test_a_folder_of_bins_gets_a_label_per_point_in_file_order(tmp_path, model, segmenter, capsys):
    sweeps = {f'{n:06}': cloud(0, 300 + n, seed=n) for n in range(3)}
    sweeps['000001'].points[[4, 7], 1] = np.nan, np.inf
    for name, sweep in sweeps.items():
        write_bin(tmp_path / 'velodyne' / f'{name}.bin', sweep)
    assert label(model, tmp_path / 'labels', tmp_path / 'velodyne') == 0
    for name, sweep in sweeps.items():
        expected = segmenter(sweep.points, sweep.intensity).label
        np.testing.assert_array_equal(labels_of(tmp_path / 'labels', name), expected)
    assert (labels_of(tmp_path / 'labels', '000001')[[4, 7]] == 0).all()
    said = capsys.readouterr().out
    assert '3 sweeps labelled' in said and '0 kept, 0 bad' in said


def test_raw_ids_are_those_of_semantickitti(tmp_path, model, segmenter):
    sweep = cloud(0)
    path = write_bin(tmp_path / '000007.bin', sweep)
    assert label(model, tmp_path / 'out', path, '--ids', 'semantickitti') == 0
    raw = labels_of(tmp_path / 'out', '000007')
    own = segmenter(sweep.points, sweep.intensity).label
    np.testing.assert_array_equal(raw, RAW_FROM_ID[own])
    np.testing.assert_array_equal(ID_FROM_RAW[raw], own)
    table = yaml.safe_load((tmp_path / 'out' / 'labels.yaml').read_text())
    assert table['labels'][10] == 'car' and table['labels'][40] == 'road'
    assert table['color_map'][40] == PALETTE[1][::-1].tolist()


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('gain', [1.0, 255.0])
def test_a_pcd_of_any_encoding_is_the_sweep(tmp_path, encoding, gain):
    sweep = cloud(0, 257)
    (found,) = Sweeps([write_pcd(tmp_path / 'a.pcd', sweep, encoding, gain)])
    read = found.read()
    np.testing.assert_allclose(read.points, sweep.points, rtol=1e-6)
    np.testing.assert_allclose(read.intensity, sweep.intensity, atol=1e-6)


def test_a_bag_is_labelled_by_stamp(tmp_path, model, segmenter):
    with BagWriter(tmp_path / 'bag') as bag:
        for number in range(2):
            stamp = STAMP + number
            bag.write('/lidar/top', cloud_message(cloud(stamp, seed=number)), stamp)
            bag.write('/ground_truth/points', cloud_message(cloud(stamp, 10)), stamp)
    assert label(model, tmp_path / 'out', tmp_path / 'bag') == 0
    for number in range(2):
        sweep = cloud(0, seed=number)
        expected = segmenter(sweep.points, sweep.intensity).label
        np.testing.assert_array_equal(labels_of(tmp_path / 'out', str(STAMP + number)), expected)


def test_several_topics_of_clouds_must_be_chosen_from(tmp_path, model, capsys):
    with BagWriter(tmp_path / 'bag') as bag:
        for topic in ('/left', '/right'):
            bag.write(topic, cloud_message(cloud(STAMP)), STAMP)
    assert label(model, tmp_path / 'out', tmp_path / 'bag') == 2
    assert 'several topics of clouds, name one: /left, /right' in capsys.readouterr().err
    assert label(model, tmp_path / 'out', tmp_path / 'bag', '--topic', '/left') == 0


def damage(folder: Path) -> dict[str, str]:
    """Write bad files; return what is to be said of each."""
    whole = write_pcd(folder / 'whole.pcd', cloud(0), LZF).read_bytes()
    (folder / 'cut.pcd').write_bytes(whole[:-40])
    (folder / 'header.pcd').write_bytes(b'# .PCD v0.7\nVERSION 0.7\nFIELDS x y\n')
    ascii_lines = write_pcd(
        folder / 'whole.pcd', cloud(0), ENCODINGS[0]).read_text().splitlines(True)
    (folder / 'short.pcd').write_text(''.join(ascii_lines[:-5]))
    pypcd4.PointCloud.from_points(
        [np.zeros(3, 'f4')] * 2, ('x', 'y'), (np.float32,) * 2).save(folder / 'flat.pcd')
    (folder / 'odd.bin').write_bytes(b'\0' * 18)
    (folder / 'empty.bin').write_bytes(b'')
    return {
        'cut.pcd': 'damaged, cut off', 'header.pcd': 'damaged, cut off', 'short.pcd': '1495 of',
        'flat.pcd': 'no field z', 'odd.bin': 'is cut off', 'empty.bin': 'no points',
    }


def test_bad_files_are_named_one_by_one_and_the_others_labelled(tmp_path, model, capsys):
    folder = tmp_path / 'sweeps'
    write_bin(folder / 'good.bin', cloud(0))
    expected = damage(folder)
    assert label(model, tmp_path / 'out', folder) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith('error: ')]
    assert len(lines) == len(expected)
    for name, reason in expected.items():
        assert any(str(folder / name) in line and reason in line for line in lines), (name, lines)
    assert '6 bad' in captured.out and 'Traceback' not in captured.err
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {
        'good.label', 'whole.label', 'labels.yaml'}


def test_what_is_there_and_complete_is_kept(tmp_path, model, capsys):
    for number in range(3):
        write_bin(tmp_path / 'in' / f'{number}.bin', cloud(0, seed=number))
    out = tmp_path / 'out'
    assert label(model, out, tmp_path / 'in') == 0
    complete, cut = out / '0.label', out / '1.label'
    kept = complete.stat().st_mtime_ns
    whole = cut.read_bytes()
    cut.write_bytes(whole[:400])
    assert label(model, out, tmp_path / 'in') == 0
    assert '1 sweeps labelled' in capsys.readouterr().out.splitlines()[-1]
    assert complete.stat().st_mtime_ns == kept and cut.read_bytes() == whole


def test_an_interrupt_leaves_whole_files_and_is_gone_on_from(tmp_path, model, monkeypatch, capsys):
    for number in range(4):
        write_bin(tmp_path / 'in' / f'{number}.bin', cloud(0, seed=number))
    replace, done = Path.replace, []

    def interrupted(self, target):
        if target.name == '2.label':
            raise KeyboardInterrupt
        done.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, 'replace', interrupted)
    assert label(model, tmp_path / 'out', tmp_path / 'in') == 130
    assert sorted(os.listdir(tmp_path / 'out')) == ['0.label', '1.label', 'labels.yaml']
    monkeypatch.undo()
    assert label(model, tmp_path / 'out', tmp_path / 'in') == 0
    assert '2 sweeps labelled' in capsys.readouterr().out.splitlines()[-1]


def test_a_full_disk_is_said_and_what_was_done_stays(tmp_path, model, monkeypatch, capsys):
    for number in range(2):
        write_bin(tmp_path / 'in' / f'{number}.bin', cloud(0, seed=number))
    write = Path.write_bytes

    def full(self, data):
        if self.name.endswith('.1.label'):
            write(self, data[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, 'write_bytes', full)
    assert label(model, tmp_path / 'out', tmp_path / 'in') == 2
    assert '1.label cannot be written: No space left on device' in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path / 'out')) == ['0.label', 'labels.yaml']


def test_labels_of_another_model_or_ids_do_not_mix(tmp_path, model, capsys):
    path = write_bin(tmp_path / '0.bin', cloud(0))
    assert label(model, tmp_path / 'out', path) == 0
    assert label(model, tmp_path / 'out', path, '--ids', 'semantickitti') == 2
    assert 'holds labels with ids own, not semantickitti' in capsys.readouterr().err


def test_two_sweeps_of_one_name_are_refused(tmp_path, model, capsys):
    paths = [write_bin(tmp_path / side / '0.bin', cloud(0, seed=n))
             for n, side in enumerate(('a', 'b'))]
    assert label(model, tmp_path / 'out', *paths) == 2
    assert f'{paths[1]} has the name of {paths[0]}' in capsys.readouterr().err


@pytest.mark.parametrize(('name', 'reason'), [
    ('nowhere', 'there is no'), ('empty', 'has no sweeps'), ('notes.txt', 'is no sweep')])
def test_a_source_that_is_none_is_named(tmp_path, model, capsys, name, reason):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.txt').touch()
    assert label(model, tmp_path / 'out', tmp_path / name) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / 'out').exists()
