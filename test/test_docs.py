"""The README and config/*.yaml say what the configuration classes say."""

from __future__ import annotations

import importlib
from pathlib import Path
import re

import pytest
from xmodelkd_ros.config import default_of, describe_range, leaves
import yaml

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
TABLES = README + (ROOT / 'docs' / 'parameters.md').read_text(encoding='utf-8')
MARKER = re.compile(r'<!-- settings of ([\w.]+):(\w+)(?: as (\S+))? -->\n((?:\|.*\n)+)')
COMMANDS = re.findall(r"'(\w+)'", re.search(
    r'COMMANDS = \((.*?)\)', (ROOT / 'setup.py').read_text(), re.DOTALL)[1])


def table(cls: type, prefix: str) -> str:
    """Return the table of a configuration class as documents show it."""
    rows = ['| key | default | allowed | meaning |', '|---|---|---|---|']
    for key, field in leaves(cls, prefix):
        value = default_of(field)
        shown = f'`{value!r}`' if isinstance(value, str) else f'`{value}`'
        meaning = field.metadata['help'].rstrip('.')
        rows.append(f'| `{key}` | {shown} | {describe_range(field)} | {meaning} |')
    return '\n'.join(rows) + '\n'


@pytest.mark.parametrize('match', list(MARKER.finditer(TABLES)), ids=lambda m: m[2])
def test_table_is_that_of_the_class(match):
    cls = getattr(importlib.import_module(match[1]), match[2])
    expected = table(cls, match[3] or '')
    assert match[4] == expected, f'the table should be\n{expected}'


def test_there_are_tables_of_the_nodes():
    shown = {match[2] for match in MARKER.finditer(TABLES)}
    needed = {
        'PerceptionConfig', 'CameraConfig', 'PlayerConfig', 'RecorderConfig', 'SimulationConfig'}
    assert needed <= shown


def test_parameter_file_holds_the_defaults():
    from xmodelkd_ros.nodes.perception_config import CameraConfig, PerceptionConfig

    content = yaml.safe_load((ROOT / 'config' / 'perception.yaml').read_text())
    ((_, node),) = content.items()
    values = _flat(node['ros__parameters'])
    cameras = values.pop('cameras')
    defaults = {key: default_of(field) for key, field in leaves(PerceptionConfig)}
    for camera in cameras:
        defaults |= {
            key: default_of(field) for key, field in leaves(CameraConfig, f'camera.{camera}.')
        }
    wrong = {k: (v, defaults.get(k)) for k, v in values.items() if v != defaults.get(k)}
    assert not wrong, f'config/perception.yaml differs from the defaults: {wrong}'


def _flat(values: dict, prefix: str = '') -> dict:
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f'{prefix}{key}.')
        else:
            flat[prefix + key] = value
    return flat


@pytest.mark.parametrize('command', COMMANDS)
def test_readme_names_every_command(command):
    assert re.search(rf'\b{command}\b', README)


def test_files_that_the_readme_links_exist():
    links = re.findall(r'\]\((?!http)([^)#]+)', README)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert links and not missing


def test_sections_that_the_readme_links_exist():
    titles = re.findall(r'^#+ (.*)$', README, re.MULTILINE)
    anchors = {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in titles}
    links = set(re.findall(r'\]\(#([^)]+)\)', README))
    assert links and links <= anchors, links - anchors


def test_readme_make_targets_exist():
    targets = set(re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    assert set(re.findall(r'`make (\w+)', README)) <= targets


def test_documents_name_no_private_paths():
    patterns = '*.md', 'docs/*.md', 'models/*.md', 'config/*.yaml'
    for path in [path for pattern in patterns for path in ROOT.glob(pattern)]:
        assert not re.search(r'/(work|tmp|root|home)/', path.read_text()), path
