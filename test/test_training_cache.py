"""The array cache: what goes in comes out, bags are read once, nothing half-written stays."""

import json
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.records import Cloud, Frame, Picture, View
from xmodelkd_ros.training.cache import cached_drives, open_drive, write_drive


def make_frame(index, labelled=True, camera=True):
    rng = np.random.default_rng(index)
    count = int(rng.integers(1, 50))
    label = rng.integers(0, 16, count).astype(np.uint16) if labelled else None
    cloud = Cloud(
        10**18 + index, rng.normal(size=(count, 3)).astype(np.float32),
        rng.random(count).astype(np.float32) if index % 2 else None,
        label=label, instance=label,
    )
    rgb = rng.integers(0, 255, (4, 6, 3)).astype(np.uint8)
    picture = Picture(10**18 + index + 5, rgb, rgb[..., 0] // 16, rgb[..., 1].astype(np.uint16))
    view = View('front', picture, Camera.pinhole(6, 4, 3.0, 3.0, 3.0, 2.0), np.eye(4))
    return Frame(cloud, {'front': view} if camera else {})


def test_what_goes_in_comes_out(tmp_path):
    frames = [make_frame(0), make_frame(1, labelled=False), make_frame(2, camera=False)]
    drive = write_drive(iter(frames), tmp_path / 'a', 'made up')
    assert len(drive) == 3 and drive.cameras == ('front',) and drive == open_drive(tmp_path / 'a')
    for index, frame in enumerate(frames):
        cloud = drive.cloud(index)
        for name in ('points', 'intensity', 'label', 'instance'):
            expected, found = getattr(frame.cloud, name), getattr(cloud, name)
            assert (expected is None) == (found is None)
            if expected is not None:
                np.testing.assert_array_equal(found, expected)
                assert found.dtype == expected.dtype
        assert cloud.stamp == frame.cloud.stamp
    picture, expected = drive.picture(1, 'front'), frames[1].views['front'].picture
    for name in ('stamp', 'rgb', 'label', 'instance'):
        np.testing.assert_array_equal(getattr(picture, name), getattr(expected, name))
    assert drive.picture(2, 'front') is None


def test_a_failed_write_leaves_the_old_drive(tmp_path):
    write_drive([make_frame(0)], tmp_path / 'a', 'made up')

    def failing():
        yield make_frame(1)
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_drive(failing(), tmp_path / 'a', 'made up')
    assert [p.name for p in tmp_path.iterdir()] == ['a']
    assert len(open_drive(tmp_path / 'a')) == 1


def test_a_bag_is_read_once_for_its_content(tmp_path, monkeypatch):
    read = []

    def frames(path, label_topic):
        read.append(path)
        yield make_frame(len(read))

    monkeypatch.setattr('xmodelkd_ros.bags.frames.frames', frames)
    bag = tmp_path / 'drive.mcap'
    bag.write_bytes(b'one')
    first = cached_drives([bag], tmp_path / 'cache')
    assert cached_drives([bag], tmp_path / 'cache') == first and len(read) == 1
    bag.write_bytes(b'two')
    assert cached_drives([bag], tmp_path / 'cache') != first and len(read) == 2
    assert cached_drives([first[0].folder], tmp_path / 'elsewhere') == first and len(read) == 2
    killed = first[0].folder.with_name(f'.{first[0].folder.name}.1.partial')
    first[0].folder.rename(killed)
    bag.write_bytes(b'one')
    assert cached_drives([bag], tmp_path / 'cache') == first and not killed.exists()
    again = cached_drives([bag], tmp_path / 'cache')
    assert cached_drives([tmp_path], tmp_path / 'cache') == again and len(read) == 3


def test_processes_that_ask_for_a_bag_together_read_it_once(tmp_path):
    script = (
        'import sys, time\n'
        'from pathlib import Path\n'
        'import xmodelkd_ros.bags.frames as bags\n'
        'from test_training_cache import make_frame\n'
        'from xmodelkd_ros.training.cache import cached_drives\n'
        'bag, cache = map(Path, sys.argv[1:])\n'
        'def frames(path, label_topic):\n'
        '    yield make_frame(0)\n'
        '    time.sleep(1)\n'
        '    yield make_frame(1)\n'
        'bags.frames = frames\n'
        'input()\n'
        'print(len(cached_drives([bag], cache)[0]))\n'
    )
    bag = tmp_path / 'drive.mcap'
    bag.write_bytes(b'one')
    runs = [
        subprocess.Popen(
            [sys.executable, '-c', script, str(bag), str(tmp_path / 'cache')], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent)
        for _ in range(2)
    ]
    for run in runs:
        run.stdin.write('\n')
        run.stdin.flush()
    said = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert ''.join(said).count('reading') == 1 and all(text.endswith('2\n') for text in said)
    assert [path.name[:6] for path in (tmp_path / 'cache').iterdir()] == ['drive-']


def test_unusable_sources(tmp_path):
    with pytest.raises(BagError, match='there is no bag at'):
        cached_drives([tmp_path / 'absent'], tmp_path / 'cache')
    with pytest.raises(BagError, match='no frames'):
        cached_drives([write_drive([], tmp_path / 'empty', '').folder], tmp_path / 'cache')
    folder = write_drive([make_frame(0)], tmp_path / 'old', '').folder
    index = json.loads((folder / 'drive.json').read_text())
    (folder / 'drive.json').write_text(json.dumps({**index, 'format': 0}))
    with pytest.raises(BagError, match='format 0, 1 is needed'):
        open_drive(folder)
    (folder / 'drive.json').write_text('{')
    with pytest.raises(BagError, match='not a cached drive'):
        open_drive(folder)
