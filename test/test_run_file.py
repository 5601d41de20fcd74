"""Run files: what a run wrote is read back, compared, and refused in one line."""

from __future__ import annotations

import pytest
from xmodelkd_ros.errors import ConfigurationError
from xmodelkd_ros.evaluation.run_file import check_run, read_run, RUN_FILE, write_run
import yaml

SETTINGS = {'bags': ['a', 'b'], 'rate': 1e-5, 'view': {'columns': 512}, 'processes': 2}


@pytest.fixture
def path(tmp_path):
    write_run(tmp_path / RUN_FILE, SETTINGS)
    return tmp_path / RUN_FILE


def test_a_run_is_read_back_with_its_environment_beside_it(path):
    assert read_run(path) == SETTINGS
    assert 'packages' in yaml.safe_load(path.read_text())['environment']


@pytest.mark.parametrize(
    ('text', 'reason'), [
        (None, 'No such file'), ('', 'a mapping'), ('a: [', 'expected'), ('- 1', 'a mapping'),
        ('name: x', 'a mapping `conf'), ('configuration: 5', 'a mapping `conf'),
    ]
)
def test_what_is_no_run_is_refused_in_one_line(path, text, reason):
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ConfigurationError, match=f'^config = .*run.yaml.*{reason}') as caught:
        read_run(path, 'config')
    assert '\n' not in str(caught.value)


def test_only_what_may_differ_differs(path):
    check_run(path, SETTINGS)
    check_run(path, {**SETTINGS, 'processes': 4}, free=('processes',))
    for key, value, told in (
        ('processes', 4, 'processes = 4'), ('view', {'columns': 256}, 'view.columns = 256'),
        ('view', {}, 'view.columns = None'), ('new', 0, 'new = 0'),
    ):
        with pytest.raises(ConfigurationError, match=f'^{told} is .*, as in .*{RUN_FILE}'):
            check_run(path, {**SETTINGS, key: value})
