"""ros2 run."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys

from ament_index_python.packages import PackageNotFoundError

from .packages import find_executables


def add_command(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser('run', help='Run a package specific executable')
    parser.add_argument('--prefix', help='Command to put in front of the executable')
    parser.add_argument('package_name', help='Name of the package')
    parser.add_argument('executable_name', help='Name of the executable')
    parser.add_argument('argv', nargs=argparse.REMAINDER, help='Arguments of the executable')
    parser.set_defaults(main=main)


def main(args) -> int | str:
    """Find the executable and run it."""
    try:
        paths = find_executables(args.package_name)
    except (PackageNotFoundError, ValueError):
        return f"Package '{args.package_name}' not found"
    paths = [path for path in paths if path.name == args.executable_name]
    if not paths:
        return 'No executable found'
    if len(paths) > 1:
        listed = '\n'.join(f'- {path}' for path in paths)
        return f'Multiple executables found:\n{listed}'
    prefix = shlex.split(args.prefix) if args.prefix else []
    return run_executable([*prefix, str(paths[0]), *args.argv])


def run_executable(command: list[str]) -> int:
    """Run a command to its end and say how it failed; return its code, negative for a signal."""
    process = subprocess.Popen(command)
    # In a terminal ctrl-c reaches the process by itself; kill -INT reaches this one alone.
    in_terminal = sys.stdin.isatty()
    forward = signal.SIG_IGN if in_terminal else lambda *_: process.send_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, forward)
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    returncode = process.wait()
    if returncode < 0:
        print('[ros2run]:', signal.strsignal(-returncode))
    elif returncode > 0:
        print('[ros2run]:', f'Process exited with failure {returncode}')
    return returncode
