"""
Validated configuration dataclasses: the one place for defaults, ranges, units and help texts.

A component declares a frozen dataclass whose fields are made with `setting`. YAML files, command
lines and ROS parameters are three doors to the same class, all of which end in `from_mapping`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
import copy
import dataclasses
import difflib
from pathlib import Path
import types
import typing
from typing import Any, TypeVar

import yaml

from .errors import ConfigurationError

T = TypeVar('T')


def setting(
    default: Any,
    help: str,  # noqa: A002
    *,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """
    Declare a configuration field with its default, help text, unit and allowed values.

    Parameters
    ----------
    default
        Default value; a list, dict or configuration dataclass is copied for each instance.
    help
        One sentence for the README, `--help` and the ROS parameter descriptor.
    unit
        Unit of the value, empty where it has none.
    low, high
        Inclusive bounds of a number (of each number in a sequence).
    choices
        The allowed values, where they can be listed.

    """
    metadata = {'help': help, 'unit': unit, 'low': low, 'high': high, 'choices': choices}
    if isinstance(default, (list, dict)) or dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def from_mapping(cls: type[T], values: Mapping[str, Any], prefix: str = '') -> T:
    """
    Build and validate a configuration from nested plain values.

    Parameters
    ----------
    cls
        A dataclass whose fields were made with `setting`.
    values
        Values by field name; missing ones take the default.
    prefix
        Dotted prefix of `cls` in the user's view, for error messages.

    Raises
    ------
    ConfigurationError
        For an unknown key, a wrong type or a value out of range.

    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key, value in values.items():
        if key not in fields:
            raise ConfigurationError(f'{prefix}{key}', value, unknown_key(str(key), fields))
    converted = {
        key: _convert(value, hints[key], fields[key], prefix + key)
        for key, value in values.items()
    }
    return cls(**converted)


def unknown_key(key: str, known: Collection[str]) -> str:
    """Return what to say of an unknown key: the known ones that look like it, else all."""
    near = difflib.get_close_matches(key, known)
    if near:
        return f'unknown key, did you mean {" or ".join(near)}?'
    return 'unknown key, known are ' + ', '.join(sorted(known))


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as nested plain values, as YAML and JSON give them back."""
    return _plain(dataclasses.asdict(config))


def read_mapping(path: str | Path, key: str) -> dict[Any, Any]:
    """
    Return the mapping that a YAML file holds.

    Parameters
    ----------
    path
        The file.
    key
        Setting or option that names the file, for error messages.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or holds something else.

    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise ConfigurationError(key, str(path), f'a YAML file ({reason})') from error
    if not isinstance(content, dict):
        raise ConfigurationError(key, str(path), 'a YAML file with a mapping')
    return content


def leaves(cls: type[Any], prefix: str = '') -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Yield the dotted name and the field of each plain value in a tree of configurations."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if isinstance(hints[field.name], type) and dataclasses.is_dataclass(hints[field.name]):
            yield from leaves(hints[field.name], f'{prefix}{field.name}.')
        else:
            yield prefix + field.name, field


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return the default of a field as YAML and ROS parameters know it: tuples as lists."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return _plain(field.default)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a dotted key in nested plain values."""
    *groups, leaf = key.split('.')
    for group in groups:
        values = values.setdefault(group, {})
    values[leaf] = value


def _convert(value: Any, hint: Any, field: dataclasses.Field[Any], key: str) -> Any:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise ConfigurationError(key, value, 'a mapping')
        return from_mapping(hint, value, key + '.')
    try:
        converted = _coerce(value, hint, key)
    except ConfigurationError as error:
        limits = describe_range(field) if field.metadata else 'any'
        raise error if limits == 'any' else ConfigurationError(
            key, error.value, f'{error.allowed}, {limits}') from None
    _check_range(converted, field, key)
    return converted


def _coerce(value: Any, hint: Any, key: str) -> Any:
    """Return `value` as `hint`; only int -> float and list <-> tuple are converted."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _coerce(value, next(a for a in arguments if a is not type(None)), key)
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise ConfigurationError(key, value, f'a list of {arguments[0].__name__}')
        return origin(_coerce(item, arguments[0], key) for item in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigurationError(key, value, 'a mapping')
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigurationError(key, value, f'{"an" if hint is int else "a"} {hint.__name__}')
    return value


def _check_range(value: Any, field: dataclasses.Field[Any], key: str) -> None:
    if value is None or not field.metadata:
        return
    for item in value if isinstance(value, (list, tuple)) else (value,):
        low, high = field.metadata['low'], field.metadata['high']
        below = low is not None and not item >= low
        above = high is not None and not item <= high
        choices = field.metadata['choices']
        if below or above or (choices is not None and item not in choices):
            raise ConfigurationError(key, item, describe_range(field))


def describe_range(field: dataclasses.Field[Any]) -> str:
    """Return the allowed values of a field in words, with its unit."""
    low, high, choices, unit = (field.metadata[k] for k in ('low', 'high', 'choices', 'unit'))
    if choices is not None:
        return 'one of ' + ', '.join(map(str, choices))
    if low is None and high is None:
        return 'true or false' if isinstance(field.default, bool) else 'any'
    lower = '-inf' if low is None else f'{low:g}'
    upper = 'inf' if high is None else f'{high:g}'
    return f'{lower} to {upper} {unit}'.rstrip()
