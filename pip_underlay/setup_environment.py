"""
Make .venv: ROS 2 wheels, pinned dependencies, the underlay workspace and the package itself.

Run it with the Python that the environment shall have. It needs nothing but the standard library,
touches nothing outside the checkout (and pip's cache), and a second run only compares hashes.
Afterwards `source .venv/setup.bash` gives a shell as sourcing a ROS workspace does.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
from pathlib import Path
import re
import shutil
import string
import subprocess
import sys
import sysconfig

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
WORKSPACE = VENV / 'underlay'
REQUIREMENTS = sorted((ROOT / 'requirements').glob('*.txt'))
# What it depends on is there already, but for an OpenCV that would overwrite the headless one.
WITHOUT_DEPENDENCIES = ROOT / 'requirements' / 'trackeval.txt'
UNDERLAY = ROOT / 'pip_underlay' / 'src'
LISTED_FOLDERS = ('config', 'launch', 'models')
# The pip of Python 3.10 to 3.12 takes minutes of processor time for as many wheels.
PIP = 'pip==26.3'
SUPPORTED = ((3, 10), (3, 12))
WHEEL_INCLUDE = r'/opt/python/cp[^;"]*/include/python3\.\d+'
WHEEL_NUMPY = r'/opt/python/cp[^;"]*/numpy/_?core/include'


def main() -> int:
    """Bring the environment up to date; one line and exit code 2 where that cannot be."""
    missing = missing_from_machine()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    VENV.mkdir(exist_ok=True)
    with only_one_setup():
        try:
            update()
        except subprocess.CalledProcessError as error:
            command = ' '.join(map(str, error.cmd[:6]))
            print(f'error: {command} ... failed (exit code {error.returncode})', file=sys.stderr)
            return 2
    return 0


def update() -> None:
    """Redo each step whose inputs changed since it last succeeded."""
    step('environment', interpreter() + PIP, create_environment)
    step('requirements', content(REQUIREMENTS) + interpreter(), install_requirements)
    wheels = content([ROOT / 'requirements' / 'ros.txt']) + interpreter()
    for source in (*sorted(path.parent for path in UNDERLAY.glob('*/package.xml')), ROOT):
        name = 'package' if source == ROOT else source.name
        step(name, build_key(source) + wheels, build(source))
    template = Path(__file__).with_name('setup.bash.in')
    step('shell', content([template]) + str(ROOT), lambda: write_shell_setup(template))


def step(name: str, key: str, action) -> None:
    """Run an action unless it succeeded before with the same key."""
    if not is_stale(name, key):
        return
    print(f'setup: {name}', flush=True)
    action()
    path = VENV / 'stamps' / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(digest(key))


def is_stale(name: str, key: str) -> bool:
    """Tell whether a step never succeeded with this key."""
    return stamp(name) != digest(key)


def digest(key: str) -> str:
    """Shorten a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def stamp(name: str) -> str:
    """Key with which a step last succeeded, empty if it never did."""
    path = VENV / 'stamps' / name
    return path.read_text() if path.exists() else ''


def build_key(source: Path) -> str:
    """
    Describe what a built package depends on.

    Python packages are linked, so for them only the package files and the set of names matter.
    """
    if source == ROOT:
        files = [path for folder in LISTED_FOLDERS for path in (ROOT / folder).glob('*')]
        files += ROOT.glob('xmodelkd_ros/*/')
    else:
        files = [path for path in source.rglob('*') if path.is_file()]
    files = list(filter(is_source, files))
    if (source / 'CMakeLists.txt').exists():
        return content(files)
    described = [source / name for name in ('package.xml', 'setup.py', 'setup.cfg')]
    return content([path for path in described if path.exists()]) + names(files)


def content(paths: list[Path]) -> str:
    """Names and hashes of files, in a fixed order."""
    return ''.join(
        f'{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n'
        for path in sorted(paths)
    )


def names(paths: list[Path]) -> str:
    """List file names in a fixed order: their content is linked, so only the set matters."""
    return '\n'.join(sorted(str(path.relative_to(ROOT)) for path in paths))


def is_source(path: Path) -> bool:
    """Tell sources from what Python and setuptools leave beside them."""
    return not any(part == '__pycache__' or part.endswith('.egg-info') for part in path.parts)


def interpreter() -> str:
    """Version and location of the running Python."""
    return f'{sys.version} {sys.base_prefix} {ROOT}'


def missing_from_machine() -> str:
    """One line that says what to install, empty when all is there."""
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        return (
            f'error: Python {sys.version.split()[0]} is not supported, 3.10 to 3.12 are; '
            'choose one with: make setup PYTHON=python3.12'
        )
    if ' ' in str(ROOT):
        return f'error: colcon needs a path without spaces, this checkout is in {str(ROOT)!r}'
    packages = []
    if not (importlib.util.find_spec('venv') and importlib.util.find_spec('ensurepip')):
        packages.append(f'python3.{sys.version_info[1]}-venv')
    if not Path(sysconfig.get_paths()['include'], 'Python.h').exists():
        packages.append(f'python3.{sys.version_info[1]}-dev')
    programs = {'g++': 'g++', 'cmake': 'cmake', 'make': 'make'}
    packages += [package for program, package in programs.items() if not shutil.which(program)]
    if not packages:
        return ''
    return f'error: install what is missing with: sudo apt install {" ".join(packages)}'


@contextlib.contextmanager
def only_one_setup():
    """Let a second set-up of the same checkout wait for the first."""
    with (VENV / 'setup.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def create_environment() -> None:
    """Create the virtual environment, or bring it to the running Python."""
    run(sys.executable, '-m', 'venv', VENV)
    run(PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PIP)


def install_requirements() -> None:
    """Install the pinned packages and repair the wheels' CMake files."""
    install = (PYTHON, '-m', 'pip', 'install', '--quiet', '--no-compile')
    files = [path for path in REQUIREMENTS if path != WITHOUT_DEPENDENCIES]
    run(*install, *(argument for path in files for argument in ('-r', path)))
    run(*install, '--no-deps', '-r', WITHOUT_DEPENDENCIES)
    point_cmake_files_at(PYTHON)


def point_cmake_files_at(python: Path) -> None:
    """Replace the include folders of the machine that built the wheels by those of this Python."""
    paths = 'sysconfig.get_paths()["include"], numpy.get_include()'
    query = f'import numpy, sysconfig; print({paths}, sep=chr(10))'
    printed = run(python, '-c', query, capture_output=True, text=True)
    include, numpy_include = printed.stdout.splitlines()
    for path in (VENV / 'share').rglob('*.cmake'):
        text = path.read_text()
        fixed = re.sub(WHEEL_NUMPY, numpy_include, re.sub(WHEEL_INCLUDE, include, text))
        if fixed != text:
            path.write_text(fixed)


def build(source: Path):
    """Return the action that builds one package with colcon, linked where it is Python."""
    return lambda: colcon_build('--base-paths', source)


def colcon_build(*arguments) -> None:
    """Run colcon over the wheels, into .venv/underlay."""
    run(
        *(PYTHON, '-m', 'colcon', '--log-level', 'error', '--log-base', WORKSPACE / 'log'),
        *('build', '--merge-install', '--symlink-install', '--executor', 'sequential'),
        *('--build-base', WORKSPACE / 'build', '--install-base', WORKSPACE / 'install'),
        *('--event-handlers', 'console_direct-', *arguments),
        *('--cmake-args', f'-DPython3_EXECUTABLE={PYTHON}', '-DBUILD_TESTING=OFF'),
        *('-DCMAKE_BUILD_TYPE=Release', '-Wno-dev'),
        env=build_environment(),
        cwd=WORKSPACE.parent,
    )


def build_environment() -> dict[str, str]:
    """Environment in which CMake finds the wheels as a ROS installation."""
    install = WORKSPACE / 'install'
    prefixes = os.pathsep.join(str(path) for path in (install, VENV) if path.exists())
    libraries = [VENV / 'lib', *VENV.glob('lib/python3*/site-packages/ros_*.libs')]
    return clean_environment() | {
        'AMENT_PREFIX_PATH': prefixes,
        'CMAKE_PREFIX_PATH': prefixes,
        'LD_LIBRARY_PATH': os.pathsep.join(map(str, libraries)),
        'PATH': f'{VENV / "bin"}{os.pathsep}{os.environ["PATH"]}',
        '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1',
    }


def clean_environment() -> dict[str, str]:
    """Environment without another workspace's or Python's variables."""
    dropped = ('PYTHON', 'AMENT_', 'COLCON_', 'CMAKE_PREFIX', 'VIRTUAL_ENV', 'LD_LIBRARY_PATH')
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {k: v for k, v in kept.items() if k != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}


def write_shell_setup(template: Path) -> None:
    """Write .venv/setup.bash with the checkout's path filled in."""
    text = string.Template(template.read_text()).substitute(root=str(ROOT))
    temporary = VENV / 'setup.bash.part'
    temporary.write_text(text)
    temporary.replace(VENV / 'setup.bash')


def run(*command, **options) -> subprocess.CompletedProcess:
    """Run a command and raise if it fails."""
    options = {'env': clean_environment()} | options
    return subprocess.run([str(part) for part in command], check=True, **options)


if __name__ == '__main__':
    sys.exit(main())
