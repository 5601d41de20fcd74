"""Configuration dataclasses as command-line options: the same keys as in YAML files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..config import default_of, describe_range, from_mapping, leaves, put, read_mapping
from ..evaluation.run_file import read_run

T = TypeVar('T')


def add_options(parser: argparse.ArgumentParser, cls: type[Any]) -> None:
    """
    Add `--config FILE` and one option for each plain field of a configuration class.

    A field `a.b_c` of a nested class becomes `--a.b-c`; help, unit, range and default are those
    of its `setting`.
    """
    parser.add_argument(
        '--config', type=Path,
        help='YAML file with the keys below, or run.yaml of an earlier run')
    for key, field in leaves(cls):
        unit = f' [{field.metadata["unit"]}]' if field.metadata['unit'] else ''
        text = f'{field.metadata["help"].rstrip(".")}{unit}; {describe_range(field)}'
        parser.add_argument(
            '--' + key.replace('_', '-'), dest=key, default=argparse.SUPPRESS, metavar='VALUE',
            nargs='*' if _is_sequence(field.type) else None,
            help=f'{text} (default: {default_of(field)})'.replace('%', '%%'),
        )


def config_from_options(arguments: argparse.Namespace, cls: type[T]) -> T:
    """
    Build a configuration from parsed options; the command line wins over the file.

    Raises
    ------
    ConfigurationError
        With the key, the value and the range.

    """
    values: dict[str, Any] = {}
    if arguments.config is not None:
        values = _read_config(arguments.config)
    given = vars(arguments)
    for key, field in leaves(cls):
        if key in given:
            is_text = 'str' in str(field.type)
            put(values, key, given[key] if is_text else _parsed(given[key]))
    return from_mapping(cls, values)


def _read_config(path: Path) -> dict[str, Any]:
    content = read_mapping(path, 'config')
    return read_run(path, 'config') if 'configuration' in content else content


def _is_sequence(annotation: Any) -> bool:
    return str(annotation).startswith(('list', 'tuple'))


def _parsed(text: str | Sequence[str]) -> Any:
    """Read an option's text as YAML does: numbers, true and false, else as it stands."""
    if isinstance(text, str):
        try:
            return yaml.safe_load(text) if text else text
        except yaml.YAMLError:
            return text
    return [_parsed(item) for item in text]
