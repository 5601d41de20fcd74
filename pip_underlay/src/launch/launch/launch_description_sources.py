"""Launch files as sources of descriptions."""

from __future__ import annotations

from pathlib import Path

from .launch_description import LaunchDescription
from .launch_description_source import (
    InvalidLaunchFileError,
    InvalidPythonLaunchFileError,
    LaunchDescriptionSource,
    load_python_launch_file,
)
from .missing import refuse

__all__ = [
    'AnyLaunchDescriptionSource',
    'InvalidLaunchFileError',
    'InvalidPythonLaunchFileError',
    'PythonLaunchDescriptionSource',
    'get_launch_description_from_any_launch_file',
    'get_launch_description_from_python_launch_file',
]


class PythonLaunchDescriptionSource(LaunchDescriptionSource):
    """A Python launch file."""

    def __init__(self, launch_file_path) -> None:
        super().__init__(None, launch_file_path, 'interpreted python launch file')


class AnyLaunchDescriptionSource(LaunchDescriptionSource):
    """A launch file of any kind, of which only Python is read here."""

    def __init__(self, launch_file_path) -> None:
        super().__init__(None, launch_file_path, 'any launch file')

    def _load(self, path: Path) -> LaunchDescription:
        return get_launch_description_from_any_launch_file(str(path))


def get_launch_description_from_python_launch_file(launch_file_path: str) -> LaunchDescription:
    """Load a Python launch file."""
    return load_python_launch_file(Path(launch_file_path))


def get_launch_description_from_any_launch_file(launch_file_path: str) -> LaunchDescription:
    """Load a launch file; XML and YAML need ROS 2."""
    suffix = Path(launch_file_path).suffix
    if suffix in ('.xml', '.yaml', '.yml'):
        raise NotImplementedError(f'launch files in {suffix[1:].upper()}: {launch_file_path}')
    if suffix != '.py':
        raise InvalidLaunchFileError(
            f'The launch file has a syntax error or an unknown format: {launch_file_path}'
        )
    return load_python_launch_file(Path(launch_file_path))


__getattr__ = refuse(
    __name__,
    *('FrontendLaunchDescriptionSource', 'XMLLaunchDescriptionSource'),
    *('YAMLLaunchDescriptionSource',),
)
