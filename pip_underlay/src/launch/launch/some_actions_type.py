"""What may be given where actions are expected."""

from collections.abc import Iterable
from typing import Union

from .action import Action

SomeActionsType = Union[Action, Iterable[Action]]  # noqa: UP007
