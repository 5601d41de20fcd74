"""Files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess

import pytest
from xmodelkd_ros.files import remove_partial, whole_file


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'scores.json'
    with whole_file(path) as partial:
        partial.write_text('{}')
        assert not path.exists() and partial.parent == path.parent
        assert partial.suffix == '.json'
    assert path.read_text() == '{}' and os.listdir(path.parent) == ['scores.json']


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / 'scores.json'
    path.write_text('old')
    with pytest.raises(error), whole_file(path) as partial:
        partial.write_text('half')
        raise error
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['scores.json']


def test_what_a_killed_process_left_can_be_removed(tmp_path):
    (tmp_path / 'scores.json').write_text('old')
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / 'scores.json') as partial:
        partial.write_text('half')
        remove_partial(tmp_path)
    assert os.listdir(tmp_path) == ['scores.json']


def test_what_a_living_process_writes_stays(tmp_path):
    with subprocess.Popen(['sleep', '60']) as other:
        partial = tmp_path / f'.partial.{other.pid}.scores.json'
        partial.write_text('half')
        remove_partial(tmp_path)
        assert partial.is_file()
        other.kill()
    remove_partial(tmp_path)
    assert not partial.exists()
