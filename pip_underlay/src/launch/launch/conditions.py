"""Conditions that launch files use."""

from __future__ import annotations

from .condition import Condition
from .missing import refuse
from .utilities import describe, normalize_to_list_of_substitutions, text_of

__all__ = [
    'IfCondition',
    'InvalidConditionExpressionError',
    'LaunchConfigurationEquals',
    'LaunchConfigurationNotEquals',
    'UnlessCondition',
    'evaluate_condition_expression',
]

TRUE_TEXTS = ('true', '1')
FALSE_TEXTS = ('false', '0')


class InvalidConditionExpressionError(Exception):
    """The text of a condition is neither true nor false."""


def evaluate_condition_expression(context, expression) -> bool:
    """Read true, 1, false or 0, in any case, from substitutions."""
    text = text_of(context, expression).strip().lower()
    if text in TRUE_TEXTS:
        return True
    if text in FALSE_TEXTS:
        return False
    allowed = [*TRUE_TEXTS, *FALSE_TEXTS]
    raise InvalidConditionExpressionError(
        f"invalid condition expression, expected '{text}' to be one of {allowed}"
    )


class IfCondition(Condition):
    """True where the expression reads true or 1."""

    def __init__(self, predicate_expression) -> None:
        self._expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=self._holds)

    def _holds(self, context) -> bool:
        return evaluate_condition_expression(context, self._expression)

    def describe(self) -> str:
        """Return a text for people."""
        return f'{self.__class__.__name__}({describe(self._expression)})'


class UnlessCondition(IfCondition):
    """True where the expression reads false or 0."""

    def _holds(self, context) -> bool:
        return not super()._holds(context)


class LaunchConfigurationEquals(Condition):
    """True where a launch configuration has the value; None: where it is not set."""

    def __init__(self, launch_configuration_name: str, expected_value) -> None:
        self._name, self._expected = launch_configuration_name, expected_value
        super().__init__(predicate=self._holds)

    def _holds(self, context) -> bool:
        expected = None if self._expected is None else text_of(context, self._expected)
        return context.launch_configurations.get(self._name) == expected


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """True where a launch configuration has another value."""

    def _holds(self, context) -> bool:
        return not super()._holds(context)


__getattr__ = refuse(__name__, 'evaluate_condition')
