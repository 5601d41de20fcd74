"""Parameters of nodes, given as values or files that may hold substitutions."""

from __future__ import annotations

import atexit
import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
import tempfile
import typing

from launch.substitution import Substitution
from launch.utilities import text_of
import yaml

SCALARS = (bool, int, float, str)


class ParameterValue:
    """A value, and the type it shall have where it is a substitution (None: as YAML reads it)."""

    def __init__(self, value, *, value_type=None) -> None:
        self.value, self.value_type = value, value_type

    def evaluate(self, context):
        """Return the value in this context."""
        if not _holds_substitution(self.value):
            return _checked(_plain(self.value), self.value_type)
        text = text_of(context, self.value)
        if self.value_type is str:
            return text
        return _checked(yaml.safe_load(text), self.value_type)


class Parameter:
    """A named value."""

    def __init__(self, name, value, *, value_type=None) -> None:
        self.name, self._value = name, ParameterValue(value, value_type=value_type)

    def evaluate(self, context) -> tuple[str, object]:
        """Return name and value in this context."""
        return text_of(context, self.name), self._value.evaluate(context)


class ParameterFile:
    """A YAML file of parameters."""

    def __init__(self, param_file, *, allow_substs: bool = False) -> None:
        if allow_substs:
            raise NotImplementedError('launch_ros ParameterFile(allow_substs=True)')
        self.param_file = param_file

    def evaluate(self, context) -> Path:
        """Return its path in this context."""
        return Path(text_of(context, self.param_file))


def evaluate_parameter_dict(context, parameters: Mapping, prefix: str = '') -> dict[str, object]:
    """Expand substitutions in a dictionary and flatten nested ones to names with dots."""
    values: dict[str, object] = {}
    for key, value in parameters.items():
        name = prefix + text_of(context, key)
        if isinstance(value, Mapping):
            values |= evaluate_parameter_dict(context, value, f'{name}.')
        elif isinstance(value, ParameterValue):
            values[name] = value.evaluate(context)
        else:
            values[name] = _evaluate(context, value)
    return values


def write_parameter_file(values: dict[str, object], node: str = '/**') -> Path:
    """Write values as a parameter file that lives as long as this process."""
    with tempfile.NamedTemporaryFile('w', prefix='launch_params_', delete=False) as file:
        yaml.safe_dump({node: {'ros__parameters': values}}, file, default_flow_style=False)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return Path(file.name)


def _evaluate(context, value):
    """
    Expand one value.

    A substitution becomes what YAML reads in its text. A list of texts and substitutions becomes
    one text, a list of lists one text each, as upstream.
    """
    if isinstance(value, Substitution):
        return yaml.safe_load(text_of(context, value))
    if not _holds_substitution(value):
        return _plain(value)
    if any(isinstance(part, (list, tuple)) for part in value):
        return [yaml.safe_load(text_of(context, part)) for part in value]
    return yaml.safe_load(text_of(context, value))


def _holds_substitution(value) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_substitution(part) for part in value)
    return isinstance(value, Substitution)


def _plain(value):
    """Check a value without substitutions; integers among floats become floats."""
    if isinstance(value, (*SCALARS, bytes)):
        return value
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, Sequence):
        raise TypeError(f'Unexpected type for parameter value {value!r}')
    kinds = {type(part) for part in value}
    if kinds == {int, float}:
        return [float(part) for part in value]
    if len(kinds) > 1 or not kinds <= set(SCALARS):
        raise TypeError(f'Expected a non-empty sequence of one type, got {value!r}')
    return list(value)


def _checked(value, value_type):
    """Check a value against a type such as int or List[int]."""
    if value_type is None:
        return value
    container, inside = typing.get_origin(value_type), typing.get_args(value_type)
    if container is builtins.list:
        if not isinstance(value, list):
            raise ValueError(f'Cannot convert {value!r} to {value_type}')
        return [_checked(part, inside[0]) for part in value]
    if value_type is float and type(value) is int:
        return float(value)
    if type(value) is not value_type:
        raise ValueError(f"Cannot convert value '{value!r}' to '{value_type}'")
    return value
