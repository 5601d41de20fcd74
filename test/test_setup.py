"""The set-up, and the agreement of package.xml, setup.py, the requirements and the imports."""

from __future__ import annotations

import ast
import importlib.util
import os
from pathlib import Path
import re
import runpy
import subprocess
import sys
from unittest import mock
from xml.etree import ElementTree

from packaging.requirements import Requirement
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'pip_underlay' / 'setup_environment.py'
ROSDEP_KEYS = {
    'cv2': 'python3-opencv',
    'numpy': 'python3-numpy',
    'yaml': 'python3-yaml',
    'rosidl_runtime_py': 'rosidl_runtime_py',
}
PIP_NAMES = {
    'pytorch_lightning': 'pytorch-lightning',
    'cv2': 'opencv-python-headless',
    'yaml': 'PyYAML',
    'kiss_icp': 'kiss-icp',
}
# Installed by whoever wants that kind of teacher; where it is missing, an error says so.
OPTIONAL = {'timm', 'huggingface_hub'}
# Packages that a launch file or another package brings in, or that hold no Python.
NOT_IMPORTED = {
    'ros2launch', 'rviz2', 'vision_msgs_rviz_plugins',
    'ament_flake8', 'ament_pep257',
    'python3-hypothesis', 'python3-pytest', 'python3-pytest-timeout',
}


@pytest.fixture(scope='module')
def setup_environment():
    """Return the set-up script as a module."""
    spec = importlib.util.spec_from_file_location('setup_environment', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package_xml() -> ElementTree.Element:
    """Return the parsed package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def dependencies() -> set[str]:
    """Return the keys of package.xml."""
    return {element.text for element in package_xml() if element.tag.endswith('depend')}


def setup_arguments() -> dict:
    """Return what setup.py gives to setuptools."""
    with mock.patch('setuptools.setup') as setup:
        runpy.run_path(str(ROOT / 'setup.py'))
    return setup.call_args.kwargs


def imported() -> dict[str, set[str]]:
    """Return the foreign top-level packages that are imported, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in (*ROOT.glob('xmodelkd_ros/**/*.py'), *ROOT.glob('launch/*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in (name.split('.')[0] for name in names):
                found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    own = {*sys.stdlib_module_names, 'xmodelkd_ros'}
    return {name: files for name, files in found.items() if name not in own}


def requirements(python: str) -> dict[str, str]:
    """Return the pinned versions of all requirements that hold for a Python version."""
    pins: dict[str, str] = {}
    for path in sorted((ROOT / 'requirements').glob('*.txt')):
        for line in path.read_text().splitlines():
            if not line or line.startswith('#'):
                continue
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or marker.evaluate({'python_version': python}):
                assert requirement.name not in pins, f'{requirement.name} is pinned twice'
                pins[requirement.name] = str(requirement.specifier)
    return pins


def test_every_import_is_a_dependency():
    known = dependencies()
    pip = {name.lower() for name in requirements('3.11')}
    undeclared = {
        name: files
        for name, files in imported().items()
        if ROSDEP_KEYS.get(name, name) not in known
        and PIP_NAMES.get(name, name).lower() not in pip
        and name not in OPTIONAL
    }
    assert not undeclared


def test_every_dependency_is_used():
    used = {ROSDEP_KEYS.get(name, name) for name in imported()}
    assert dependencies() - NOT_IMPORTED <= used


def test_package_xml_and_setup_py_agree():
    root, arguments = package_xml(), setup_arguments()
    assert root.get('format') == '3'
    assert root.findtext('name') == arguments['name']
    assert root.findtext('version') == arguments['version']
    assert root.findtext('license') == arguments['license'] == 'Apache-2.0'
    assert root.find('maintainer').get('email') == arguments['maintainer_email']
    assert re.fullmatch(r'[\w.]+@[\w-]+\.\w+', arguments['maintainer_email'])
    assert root.findtext('export/build_type') == 'ament_python'
    assert f'{arguments["version"]} (' in (ROOT / 'CHANGELOG.rst').read_text()
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_console_scripts_have_modules_with_a_main():
    for script in setup_arguments()['entry_points']['console_scripts']:
        name, module, function = re.fullmatch(r'(\w+) = ([\w.]+):(\w+)', script).groups()
        path = ROOT / Path(*module.split('.')).with_suffix('.py')
        assert module.endswith(f'.{name}')
        tree = ast.parse(path.read_text())
        named = {getattr(node, 'name', None) for node in tree.body}
        imports = {
            a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names
        }
        assert function in named | imports, script


def test_all_packages_and_files_are_installed():
    arguments = setup_arguments()
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob('xmodelkd_ros/**/__init__.py')}
    assert set(arguments['packages']) == {'.'.join(folder.parts) for folder in folders}
    installed = {file for _, files in arguments['data_files'] for file in files}
    assert {'package.xml', 'LICENSE'} <= installed
    for folder in ('config', 'launch', 'models'):
        present = {
            str(path.relative_to(ROOT)) for path in (ROOT / folder).glob('*') if path.is_file()
        }
        assert present <= installed


@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12'])
def test_requirements_are_pinned_for_every_python(python):
    pins = requirements(python)
    assert {'numpy', 'torch', 'ros-jazzy-rclpy', 'rosbags', 'pytest'} <= set(pins)
    for name, specifier in pins.items():
        assert re.fullmatch(r'==[\d.]+(\.post\d+)?', specifier), f'{name}{specifier}'


def test_the_second_run_does_nothing(setup_environment, monkeypatch):
    if not (ROOT / '.venv' / 'setup.bash').exists():
        pytest.skip('the environment was not made by make setup')
    commands = []
    monkeypatch.setattr(
        setup_environment,
        'step',
        lambda name, key, action: commands.append(
            name if setup_environment.is_stale(name, key) else None
        ),
    )
    setup_environment.update()
    assert len(commands) > 10
    assert not any(commands), f'make setup would repeat {commands}'


def test_missing_programs_are_one_line_with_the_command(tmp_path):
    done = subprocess.run(
        [sys._base_executable, SCRIPT], env={'PATH': str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == 'error: install what is missing with: sudo apt install g++ cmake make\n'


def test_missing_headers_and_modules_are_named(setup_environment, monkeypatch):
    monkeypatch.setattr(setup_environment.sysconfig, 'get_paths', lambda: {'include': '/nowhere'})
    monkeypatch.setattr(setup_environment.importlib.util, 'find_spec', lambda name: None)
    minor = sys.version_info[1]
    message = setup_environment.missing_from_machine()
    assert message.endswith(f'sudo apt install python3.{minor}-venv python3.{minor}-dev')


@pytest.mark.parametrize('version', [(3, 9, 2), (3, 13, 0)])
def test_another_python_is_refused(setup_environment, monkeypatch, version):
    monkeypatch.setattr(setup_environment.sys, 'version_info', version)
    assert '3.10 to 3.12 are; choose one' in setup_environment.missing_from_machine()


def test_a_path_with_spaces_is_refused(setup_environment, monkeypatch):
    monkeypatch.setattr(setup_environment, 'ROOT', Path('/tmp/my checkout'))
    assert 'a path without spaces' in setup_environment.missing_from_machine()


def test_a_step_is_repeated_only_when_its_inputs_change(setup_environment, monkeypatch, tmp_path):
    monkeypatch.setattr(setup_environment, 'VENV', tmp_path)
    calls = []
    for key in ('a', 'a', 'b', 'b'):
        setup_environment.step('name', key, lambda key=key: calls.append(key))
    assert calls == ['a', 'b']
    with pytest.raises(ZeroDivisionError):
        setup_environment.step('name', 'c', lambda: 1 / 0)
    setup_environment.step('name', 'c', lambda: calls.append('c'))
    assert calls == ['a', 'b', 'c']


def test_interfaces_are_rebuilt_on_content_and_linked_python_on_names(
    setup_environment, monkeypatch, tmp_path
):
    monkeypatch.setattr(setup_environment, 'ROOT', tmp_path)
    interfaces, python = tmp_path / 'interfaces', tmp_path / 'python'
    for folder in (interfaces, python):
        folder.mkdir()
        (folder / 'package.xml').write_text('<package/>')
    (interfaces / 'CMakeLists.txt').touch()
    (interfaces / 'A.msg').write_text('int8 a')
    (python / 'module.py').write_text('a = 1')

    def keys():
        return setup_environment.build_key(interfaces), setup_environment.build_key(python)

    before = keys()
    (interfaces / 'A.msg').write_text('int8 b')
    (python / 'module.py').write_text('a = 2')
    assert keys()[0] != before[0]
    assert keys()[1] == before[1]
    (python / 'other.py').touch()
    assert keys()[1] != before[1]


def test_what_python_leaves_beside_sources_builds_nothing_anew(
    setup_environment, monkeypatch, tmp_path
):
    monkeypatch.setattr(setup_environment, 'ROOT', tmp_path)
    (tmp_path / 'package.xml').write_text('<package/>')
    for folder in ('launch', 'xmodelkd_ros'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'launch' / 'a.launch.py').touch()
    before = setup_environment.build_key(tmp_path)
    for folder in ('launch', 'xmodelkd_ros'):
        (tmp_path / folder / '__pycache__').mkdir()
    assert setup_environment.build_key(tmp_path) == before
    (tmp_path / 'launch' / 'b.launch.py').touch()
    assert setup_environment.build_key(tmp_path) != before


def test_cmake_files_of_the_wheels_are_pointed_here(setup_environment, monkeypatch, tmp_path):
    file = tmp_path / 'share' / 'package' / 'cmake' / 'export.cmake'
    file.parent.mkdir(parents=True)
    numpy_folder = '/opt/python/cp310-cp310/lib/python3.10/site-packages/numpy/_core/include'
    file.write_text(f'INCLUDES "/opt/python/cp310-cp310/include/python3.10;{numpy_folder}"')
    monkeypatch.setattr(setup_environment, 'VENV', tmp_path)
    setup_environment.point_cmake_files_at(Path(sys.executable))
    folders = re.fullmatch('INCLUDES "(.*);(.*)"', file.read_text()).groups()
    assert (Path(folders[0]) / 'Python.h').exists()
    assert (Path(folders[1]) / 'numpy' / 'arrayobject.h').exists()


def test_sourcing_the_setup_is_like_sourcing_a_workspace(tmp_path):
    script = ROOT / '.venv' / 'setup.bash'
    if not script.exists():
        pytest.skip('the environment was not made by make setup')
    names = 'AMENT_PREFIX_PATH PYTHONPATH LD_LIBRARY_PATH PATH'
    show = f'for name in {names}; do echo "${{!name}}"; done'
    commands = f'set -e; . "{script}"; {show}; . "{script}"; {show}; type -P ros2; echo $ROS_HOME'
    done = subprocess.run(
        ['bash', '-c', commands],
        env={'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, '')
    lines = done.stdout.splitlines()
    assert lines[:4] == lines[4:8], 'a second time changes nothing'
    assert lines[8].startswith(f'{ROOT}/.venv')
    assert lines[9].startswith(f'{ROOT}/'), 'ROS logs stay in the checkout'
    for path in lines[0].split(os.pathsep):
        assert Path(path).is_dir()


@pytest.mark.parametrize(('given', 'expected'), [
    ({}, ['HOME/.cache/pip', 'HOME/.cache/huggingface', 'ROOT/.cache', 'ROOT/.cache/matplotlib',
          'ROOT/.cache/ros']),
    ({'XDG_CACHE_HOME': '/c', 'MPLCONFIGDIR': '/m'},
     ['/c/pip', '/c/huggingface', '/c', '/m', 'ROOT/.cache/ros']),
    ({'PIP_CACHE_DIR': '/p', 'HF_HOME': '/h', 'ROS_HOME': '/r'},
     ['/p', '/h', 'ROOT/.cache', 'ROOT/.cache/matplotlib', '/r']),
])
def test_libraries_keep_their_files_in_the_checkout(
    setup_environment, monkeypatch, tmp_path, given, expected
):
    root = tmp_path / 'checkout'
    for name in ('bin/activate', 'underlay/install/local_setup.bash'):
        (root / '.venv' / name).parent.mkdir(parents=True)
        (root / '.venv' / name).touch()
    monkeypatch.setattr(setup_environment, 'ROOT', root)
    monkeypatch.setattr(setup_environment, 'VENV', root / '.venv')
    setup_environment.write_shell_setup(ROOT / 'pip_underlay' / 'setup.bash.in')
    source = f'. "{root}/.venv/setup.bash"'
    names = ('PIP_CACHE_DIR', 'HF_HOME', 'XDG_CACHE_HOME', 'MPLCONFIGDIR', 'ROS_HOME')
    show = '; '.join(f'echo "${name}"' for name in names)
    done = subprocess.run(
        ['bash', '-c', f'set -e; {source}; {source}; {show}'],
        env={'PATH': '/usr/bin:/bin', 'HOME': '/home/someone', **given},
        capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
    places = {'HOME': '/home/someone', 'ROOT': str(root)}
    assert done.stdout.splitlines() == [
        places.get(path.split('/')[0], '') + path[path.index('/'):] for path in expected]


def test_the_underlay_is_kept_off_vehicles():
    assert (ROOT / 'pip_underlay' / 'COLCON_IGNORE').exists()
    users = [
        path
        for path in (*ROOT.glob('xmodelkd_ros/**/*.py'), *ROOT.glob('launch/*.py'))
        if 'underlay' in path.read_text()
    ]
    assert not users, 'no code outside pip_underlay/ knows that it exists'


def test_colcon_tests_by_pytest():
    identification = pytest.importorskip(
        'colcon_python_setup_py.package_identification.python_setup_py')
    runner = pytest.importorskip('colcon_core.task.python.test')
    options = identification.get_setup_information(ROOT / 'setup.py')
    assert runner.has_test_dependency(options, 'pytest')  # else it runs unittest: no test at all
