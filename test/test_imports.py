"""Import rules: a folder imports only from folders before it, and the core needs no ROS."""

from __future__ import annotations

import ast
from pathlib import Path
import subprocess
import sys

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'xmodelkd_ros'
ORDER = (
    'errors', 'files', 'config', 'labels', 'geometry', 'records', 'networks', 'inference',
    'evaluation', 'simulation', 'drawing', 'messages', 'bags', 'training', 'distillation', 'nodes',
    'cli',
)
WITHOUT_ROS = ('geometry', 'networks', 'inference', 'evaluation', 'simulation', 'drawing')
ROS = ('rclpy', 'sensor_msgs', 'std_msgs', 'geometry_msgs', 'vision_msgs', 'cv_bridge',
       'message_filters', 'tf2_ros', 'sensor_msgs_py', 'tf_transformations')
EXTRAS = ('rosbags', 'pytorch_lightning', 'lightning', 'torchmetrics', 'trimesh', 'embreex',
          'scipy', 'tqdm', 'tensorboard')
ON_A_VEHICLE = ('geometry', 'networks', 'inference', 'messages', 'nodes.perception')


def _parts(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    return parts[:-1] if parts[-1] == '__init__' else parts


def _imported(path: Path) -> set[str]:
    """Return the top-level folders of the package that a module imports."""
    package = [*_parts(path)[:-1]] if path.name != '__init__.py' else [*_parts(path)]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            full = base + (node.module.split('.') if node.module else [])
            found |= {full[0]} if full else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or '').startswith('xmodelkd_ros'):
            found |= {*node.module.split('.')[1:2]}
    return found


@pytest.mark.parametrize('path', sorted(PACKAGE.rglob('*.py')), ids=lambda p: '.'.join(_parts(p)))
def test_a_folder_imports_only_from_folders_before_it(path):
    own = (_parts(path) or ('',))[0]
    if not own:
        return
    assert own in ORDER, f'{own} has no place in the order of folders'
    later = {name for name in _imported(path) if ORDER.index(name) > ORDER.index(own)}
    assert not later, f'{path.name} of {own} imports {later}, which come after it'


def _import_all(folders: tuple[str, ...], blocked: tuple[str, ...]) -> subprocess.CompletedProcess:
    """Import every module of `folders` in a fresh interpreter where `blocked` cannot be found."""
    names = [
        '.'.join(('xmodelkd_ros', *_parts(path)))
        for folder in folders
        for path in [*PACKAGE.glob(f'{folder.replace(".", "/")}/**/*.py'),
                     *PACKAGE.glob(f'{folder.replace(".", "/")}.py')]
    ]
    code = (
        'import importlib, sys\n'
        'class Block:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        f'        if name.split(".")[0] in {blocked!r}:\n'
        '            raise ImportError("blocked: " + name)\n'
        'sys.meta_path.insert(0, Block())\n'
        f'for name in {names!r}:\n'
        '    importlib.import_module(name)\n'
    )
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


def test_the_core_needs_no_ros():
    done = _import_all(WITHOUT_ROS, ROS)
    assert done.returncode == 0, done.stderr


def test_a_vehicle_needs_no_training_extras():
    done = _import_all(ON_A_VEHICLE, EXTRAS)
    assert done.returncode == 0, done.stderr


def test_the_block_really_blocks():
    assert 'blocked: numpy' in _import_all(('geometry',), ('numpy',)).stderr
