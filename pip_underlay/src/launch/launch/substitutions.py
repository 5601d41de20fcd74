"""Substitutions that launch files use."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
import shutil

from .conditions import evaluate_condition_expression
from .missing import refuse
from .substitution import Substitution
from .utilities import describe, normalize_to_list_of_substitutions, text_of


class SubstitutionFailure(Exception):  # noqa: N818
    """A substitution has no text in this context."""


class TextSubstitution(Substitution):
    """A fixed text."""

    def __init__(self, *, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"TextSubstitution expected Text object got '{type(text)}' instead.")
        self.text = text

    def describe(self) -> str:
        """Return the quoted text."""
        return f"'{self.text}'"

    def perform(self, context) -> str:
        """Return the text."""
        return self.text


class LaunchConfiguration(Substitution):
    """Value of a launch configuration or argument."""

    def __init__(self, variable_name, *, default=None) -> None:
        self.variable_name = normalize_to_list_of_substitutions(variable_name)
        self.default = None if default is None else _texts(default)

    def describe(self) -> str:
        """Return the name of the configuration."""
        return f'LaunchConfig({describe(self.variable_name)})'

    def perform(self, context) -> str:
        """Return the value, or the default where it is not set."""
        name = text_of(context, self.variable_name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self.default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist")
        return text_of(context, self.default)


class EnvironmentVariable(Substitution):
    """Value of an environment variable."""

    def __init__(self, name, *, default_value=None) -> None:
        self.name = normalize_to_list_of_substitutions(name)
        self.default_value = None if default_value is None else _texts(default_value)

    def describe(self) -> str:
        """Return the name of the variable."""
        return f'EnvVar({describe(self.name)})'

    def perform(self, context) -> str:
        """Return the value, or the default where it is not set."""
        name = text_of(context, self.name)
        if name in context.environment:
            return context.environment[name]
        if self.default_value is None:
            raise SubstitutionFailure(f"environment variable '{name}' does not exist")
        return text_of(context, self.default_value)


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined; a part may itself be a list of texts to concatenate."""

    def __init__(self, substitutions) -> None:
        self.substitutions = [normalize_to_list_of_substitutions(part) for part in substitutions]

    def __truediv__(self, part) -> PathJoinSubstitution:
        """Append one part."""
        return PathJoinSubstitution([*self.substitutions, part])

    def describe(self) -> str:
        """Return the parts."""
        return f'PathJoin({", ".join(describe(part) for part in self.substitutions)})'

    def perform(self, context) -> str:
        """Return the joined path."""
        return os.path.join(*(text_of(context, part) for part in self.substitutions))


class PathSubstitution(PathJoinSubstitution):
    """A path that is extended with the operator /."""

    def __init__(self, path) -> None:
        super().__init__([path])


class PythonExpression(Substitution):
    """Value of a Python expression; the names of python_modules are at hand."""

    def __init__(self, expression, python_modules=('math',)) -> None:
        self.expression = normalize_to_list_of_substitutions(expression)
        single = isinstance(python_modules, (str, Substitution))
        modules = [python_modules] if single else python_modules
        self.python_modules = [normalize_to_list_of_substitutions(name) for name in modules]

    def describe(self) -> str:
        """Return the expression."""
        return f'PythonExpr({describe(self.expression)})'

    def perform(self, context) -> str:
        """Evaluate and return the result as text."""
        names: dict = {}
        for name in (text_of(context, part) for part in self.python_modules):
            module = importlib.import_module(name)
            names |= {**vars(module), name: module}
        return str(eval(text_of(context, self.expression), {}, names))


class LocalSubstitution(Substitution):
    """Value that an action or event handler left in the context's locals."""

    def __init__(self, expression: str, description: str | None = None) -> None:
        self.expression, self.description = expression, description

    def describe(self) -> str:
        """Return the expression."""
        return f"LocalVar('{self.description or self.expression}')"

    def perform(self, context) -> str:
        """Evaluate the expression on the locals."""
        return str(eval(f'locals.{self.expression}', {'locals': context.locals}))


class ThisLaunchFile(Substitution):
    """Path of the launch file that is being visited."""

    def perform(self, context) -> str:
        """Return the path."""
        return _launch_file(context)


class ThisLaunchFileDir(Substitution):
    """Folder of the launch file that is being visited."""

    def perform(self, context) -> str:
        """Return the folder."""
        return str(Path(_launch_file(context)).parent)


class FindExecutable(Substitution):
    """Path of a program on PATH."""

    def __init__(self, *, name) -> None:
        self.name = normalize_to_list_of_substitutions(name)

    def perform(self, context) -> str:
        """Return the path."""
        name = text_of(context, self.name)
        path = shutil.which(name)
        if path is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return path


class EqualsSubstitution(Substitution):
    """Read 'true' where both texts are equal; numbers and booleans compare by value."""

    def __init__(self, left, right) -> None:
        self.left, self.right = _texts(left), _texts(right)

    def perform(self, context) -> str:
        """Compare."""
        left, right = (_comparable(text_of(context, side)) for side in (self.left, self.right))
        return str(left == right).lower()


class NotEqualsSubstitution(EqualsSubstitution):
    """Read 'true' where the texts differ."""

    def perform(self, context) -> str:
        """Compare."""
        return 'false' if super().perform(context) == 'true' else 'true'


class NotSubstitution(Substitution):
    """The opposite of a boolean text."""

    def __init__(self, value) -> None:
        self.value = normalize_to_list_of_substitutions(value)

    def perform(self, context) -> str:
        """Negate."""
        return str(not evaluate_condition_expression(context, self.value)).lower()


class AllSubstitution(Substitution):
    """Read 'true' where all boolean texts are true."""

    def __init__(self, *args) -> None:
        self.values = [normalize_to_list_of_substitutions(value) for value in args]

    def perform(self, context) -> str:
        """Combine."""
        return str(all(self._booleans(context))).lower()

    def _booleans(self, context) -> list[bool]:
        return [evaluate_condition_expression(context, value) for value in self.values]


class AnySubstitution(AllSubstitution):
    """Read 'true' where any boolean text is true."""

    def perform(self, context) -> str:
        """Combine."""
        return str(any(self._booleans(context))).lower()


class AndSubstitution(AllSubstitution):
    """Both boolean texts are true."""

    def __init__(self, left, right) -> None:
        super().__init__(left, right)


class OrSubstitution(AnySubstitution):
    """One of the boolean texts is true."""

    def __init__(self, left, right) -> None:
        super().__init__(left, right)


class IfElseSubstitution(Substitution):
    """One text or another, by a boolean text."""

    def __init__(self, condition, if_value='', else_value='') -> None:
        self.condition = normalize_to_list_of_substitutions(condition)
        self.if_value, self.else_value = _texts(if_value), _texts(else_value)

    def perform(self, context) -> str:
        """Choose."""
        chosen = evaluate_condition_expression(context, self.condition)
        return text_of(context, self.if_value if chosen else self.else_value)


def _texts(value) -> list[Substitution]:
    """Accept plain numbers and booleans where upstream does."""
    plain = isinstance(value, (bool, int, float))
    return normalize_to_list_of_substitutions(str(value) if plain else value)


def _comparable(text: str):
    """Read a number or boolean where the text is one."""
    lowered = text.strip().lower()
    if lowered in ('true', 'false'):
        return lowered == 'true'
    try:
        return float(lowered)
    except ValueError:
        return text


def _launch_file(context) -> str:
    if 'current_launch_file_path' not in context.get_locals_as_dict():
        raise SubstitutionFailure('ThisLaunchFile used outside of a launch file (in a script)')
    return context.locals.current_launch_file_path


__getattr__ = refuse(
    __name__,
    *('AnonName', 'BooleanSubstitution', 'Command', 'FileContent', 'ForEachVar', 'ForLoopIndex'),
    *('LaunchLogDir', 'StringJoinSubstitution'),
)
