"""Run files: YAML with the configuration of a run and its environment, beside what it made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from .environment import describe_environment
from ..config import read_mapping
from ..errors import ConfigurationError
from ..files import whole_file

RUN_FILE = 'run.yaml'


def write_run(path: Path, configuration: Mapping[str, Any]) -> None:
    """
    Write the resolved configuration of a run and its environment.

    Parameters
    ----------
    path
        File to write, beside the run's output.
    configuration
        Nested plain values.

    """
    content = {'configuration': dict(configuration), 'environment': describe_environment()}
    with whole_file(path) as partial:
        partial.write_text(yaml.safe_dump(content, sort_keys=False))


def read_run(path: Path, key: str = 'configuration of a run') -> dict[str, Any]:
    """
    Return the configuration of a run.

    Parameters
    ----------
    path
        A file that `write_run` wrote.
    key
        Setting or option that names the file, for error messages.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or holds no configuration.

    """
    configuration = read_mapping(path, key).get('configuration')
    if not isinstance(configuration, dict):
        raise ConfigurationError(key, str(path), 'a YAML file with a mapping `configuration`')
    return configuration


def check_run(path: Path, wanted: Mapping[str, Any], free: Collection[str] = ()) -> None:
    """
    Check that a run was made with the settings that are wanted.

    Parameters
    ----------
    path
        A file that `write_run` wrote.
    wanted
        Nested plain values.
    free
        Settings that may differ.

    Raises
    ------
    ConfigurationError
        With the first setting that differs; or if there is no such file.

    """
    made = read_run(path)
    for key in wanted:
        if key in free:
            continue
        for name, value, before in _changes(key, wanted[key], made.get(key)):
            raise ConfigurationError(
                name, value, f'{before!r}, as in {path}; or choose another folder')


def _changes(key: str, wanted: Any, made: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted name of each setting that differs, what is wanted and what was before."""
    if isinstance(wanted, Mapping) and isinstance(made, Mapping):
        for name in {**made, **wanted}:
            yield from _changes(f'{key}.{name}', wanted.get(name), made.get(name))
    elif wanted != made:
        yield key, wanted, made
