"""Parse the command line of ros2."""

from __future__ import annotations

import argparse
import sys

from . import launching, packages, running

KNOWN_UPSTREAM = (
    *('action', 'bag', 'component', 'control', 'daemon', 'doctor', 'interface', 'lifecycle'),
    *('multicast', 'node', 'param', 'plugin', 'security', 'service', 'test', 'topic', 'wtf'),
)


def main(args: list[str] | None = None) -> int:
    """Run a command; errors are one line, as upstream, and exit code 1."""
    args = sys.argv[1:] if args is None else args
    if args and args[0] in KNOWN_UPSTREAM:
        print(f"'ros2 {args[0]}' is not in the stand-in: it needs ROS 2", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(prog='ros2', description='A stand-in for a part of ros2.')
    commands = parser.add_subparsers(metavar='Command', required=True)
    for module in (launching, running, packages):
        module.add_command(commands)
    parsed = parser.parse_args(args)
    try:
        result = parsed.main(parsed)
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, NotImplementedError) as error:
        result = str(error)
    if isinstance(result, str):
        print(result, file=sys.stderr)
        return 1
    return result or 0
