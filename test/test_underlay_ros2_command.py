"""The commands ros2 run and ros2 pkg."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.ros


@pytest.fixture
def prefix(tmp_path):
    """Return the prefix of a package with one executable that prints its arguments."""
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'sample').touch()
    folder = tmp_path / 'lib' / 'sample'
    folder.mkdir(parents=True)
    program = folder / 'echoes'
    program.write_text(
        f'#!{sys.executable} -S\nimport sys\nprint(sys.argv[1:])\nsys.exit(len(sys.argv) - 1)\n'
    )
    program.chmod(0o755)
    sleeper = folder / 'sleeper'
    sleeper.write_text(
        f'#!{sys.executable} -S\nimport time\nprint("ready", flush=True)\n'
        'try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print("in order")\n'
    )
    sleeper.chmod(0o755)
    (folder / 'data.txt').touch()
    return tmp_path


def environment(prefix) -> dict[str, str]:
    """Environment in which the package is found."""
    return os.environ | {
        'AMENT_PREFIX_PATH': f'{prefix}{os.pathsep}{os.environ["AMENT_PREFIX_PATH"]}'
    }


def ros2(prefix, *arguments):
    """Run a ros2 command."""
    return subprocess.run(
        ['ros2', *arguments],
        env=environment(prefix),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_run_passes_arguments_and_exit_code(prefix):
    done = ros2(prefix, 'run', 'sample', 'echoes', '--ros-args', '-p', 'rate:=3')
    lines = ["['--ros-args', '-p', 'rate:=3']", '[ros2run]: Process exited with failure 3']
    assert sorted(done.stdout.splitlines()) == sorted(lines)
    assert done.returncode == 3


def test_run_forwards_sigint(prefix):
    process = subprocess.Popen(
        ['ros2', 'run', 'sample', 'sleeper'],
        env=environment(prefix),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == 'ready\n'
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert (output, process.returncode) == ('in order\n', 0)


def test_run_names_what_it_does_not_find(prefix):
    done = ros2(prefix, 'run', 'sample', 'data.txt')
    assert (done.returncode, done.stderr) == (1, 'No executable found\n')
    done = ros2(prefix, 'run', 'nowhere', 'echoes')
    assert done.returncode == 1
    assert done.stderr == "Package 'nowhere' not found\n"


def test_pkg(prefix):
    assert ros2(prefix, 'pkg', 'executables', 'sample').stdout == 'sample echoes\nsample sleeper\n'
    assert ros2(prefix, 'pkg', 'prefix', 'sample').stdout == f'{prefix}\n'
    done = ros2(prefix, 'pkg', 'prefix', 'nowhere')
    assert (done.returncode, done.stderr) == (1, 'Package not found\n')


def test_commands_of_the_package_are_executables(prefix):
    done = ros2(prefix, 'pkg', 'executables', 'xmodelkd_ros')
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert {'perception', 'bag_player', 'bag_recorder', 'kitti_to_bag', 'simulate'} <= listed
