"""Condition of an action."""

from __future__ import annotations

from collections.abc import Callable


class Condition:
    """Decides, in a context, whether an action is executed."""

    def __init__(self, *, predicate: Callable[..., bool] | None = None) -> None:
        self._predicate = predicate

    def describe(self) -> str:
        """Return a text for people."""
        return f"Condition('{self._predicate}')"

    def evaluate(self, context) -> bool:
        """Decide in this context."""
        if self._predicate is None:
            raise NotImplementedError(f'{self.__class__.__name__}.evaluate')
        return self._predicate(context)
