"""ros2 launch."""

from __future__ import annotations

import logging as python_logging
import os
from pathlib import Path
import sys

from ament_index_python.packages import (
    get_package_prefix,
    get_package_share_directory,
    PackageNotFoundError,
)
import launch
from launch import logging
from launch.launch_description_sources import (
    AnyLaunchDescriptionSource,
    get_launch_description_from_any_launch_file,
)
from launch.utilities import describe


def add_command(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser('launch', help='Run a launch file')
    parser.add_argument('-n', '--noninteractive', action='store_true', help='Forward SIGINT')
    parser.add_argument('-d', '--debug', action='store_true', help='Verbose launch')
    parser.add_argument('-p', '--print', '--print-description', action='store_true')
    parser.add_argument(
        *('-s', '--show-args', '--show-arguments'),
        action='store_true',
        help='Show arguments that may be given to the launch file',
    )
    parser.add_argument(
        *('-a', '--show-all-subprocesses-output'),
        action='store_true',
        help='Show everything that processes write',
    )
    parser.add_argument('package_name', help='Package, or path of a launch file')
    parser.add_argument('launch_file_name', nargs='?', help='Name of the launch file')
    parser.add_argument('launch_arguments', nargs='*', help="'<name>:=<value>', the last one wins")
    parser.set_defaults(main=main)


def main(args) -> int | str:
    """Find the launch file and run or describe it."""
    if args.print:
        raise NotImplementedError('ros2 launch --print is not in the stand-in: it needs ROS 2')
    path, launch_arguments = _resolve(args)
    if args.show_all_subprocesses_output:
        os.environ['OVERRIDE_LAUNCH_PROCESS_OUTPUT'] = 'both'
    if args.show_args:
        print_arguments(get_launch_description_from_any_launch_file(path))
        return 0
    return launch_a_file(path, launch_arguments, args.noninteractive, args.debug)


def _resolve(args) -> tuple[str, list[str]]:
    """Tell a package and a file from a path."""
    name, file = args.package_name, args.launch_file_name
    try:
        if file is None:
            raise PackageNotFoundError(name)
        get_package_prefix(name)
    except (PackageNotFoundError, ValueError) as error:
        if Path(name).exists():
            return name, [*([file] if file else []), *args.launch_arguments]
        if file is None:
            raise RuntimeError('No launch file supplied') from None
        raise RuntimeError(f"Package '{name}' not found: {error}") from None
    return _file_in_share(name, file), args.launch_arguments


def _file_in_share(package: str, file: str) -> str:
    share = Path(get_package_share_directory(package))
    found = sorted(path for path in share.rglob(file) if path.is_file())
    if not found:
        raise RuntimeError(
            f"file '{file}' was not found in the share directory of package '{package}' which is "
            f"at '{share}'"
        )
    if len(found) > 1:
        listed = ', '.join(f"'{path}'" for path in found)
        raise RuntimeError(
            f"file '{file}' was found more than once in the share directory of package "
            f"'{package}': [{listed}]"
        )
    return str(found[0])


def parse_launch_arguments(arguments: list[str]) -> list[tuple[str, str]]:
    """Split name:=value; the last one of a name wins."""
    parsed: dict[str, str] = {}
    for argument in arguments:
        name, separator, value = argument.partition(':=')
        if not name or not separator or not value:
            raise RuntimeError(
                f"malformed launch argument '{argument}', expected format '<name>:=<value>'"
            )
        parsed[name] = value
    return list(parsed.items())


def launch_a_file(path: str, arguments: list[str], noninteractive: bool, debug: bool) -> int:
    """Run a launch file; without a terminal, SIGINT is forwarded to the processes."""
    parsed = parse_launch_arguments(arguments)
    logger = logging.get_logger('launch')
    logger.info(f'All log files can be found below {logging.launch_config.log_dir}')
    level = python_logging.getLevelName(logging.launch_config.level)
    logger.info(f'Default logging verbosity is set to {level}')
    service = launch.LaunchService(
        argv=arguments, noninteractive=noninteractive or not sys.stdin.isatty(), debug=debug
    )
    inclusion = launch.actions.IncludeLaunchDescription(
        AnyLaunchDescriptionSource(path), launch_arguments=parsed
    )
    service.include_launch_description(launch.LaunchDescription([inclusion]))
    return service.run()


def print_arguments(description: launch.LaunchDescription) -> None:
    """Print names, meanings and defaults of a launch file's arguments."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    arguments = description.get_launch_arguments()
    for argument in arguments:
        mark = '*' if argument._conditionally_included else ''
        print(f"\n    '{argument.name}':{mark}\n        {argument.description}")
        if argument.default_value is not None:
            print(f'        (default: {describe(argument.default_value)})')
    if not arguments:
        print('\n  No arguments.')
    elif any(argument._conditionally_included for argument in arguments):
        print('\n* argument(s) which are only used if specific conditions occur')
