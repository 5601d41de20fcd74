"""Base of all actions."""

from __future__ import annotations

from .condition import Condition
from .launch_description_entity import LaunchDescriptionEntity


class Action(LaunchDescriptionEntity):
    """An entity that does something, if its condition holds."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        self._condition = condition

    @property
    def condition(self) -> Condition | None:
        """Condition under which the action is executed."""
        return self._condition

    def describe(self) -> str:
        """Return a text for people."""
        return f'{self.__class__.__name__}()'

    def visit(self, context) -> list[LaunchDescriptionEntity] | None:
        """Execute, if the condition holds."""
        from .events import ExecutionComplete

        if self._condition is not None and not self._condition.evaluate(context):
            return None
        try:
            return self.execute(context)
        finally:
            event = ExecutionComplete(action=self)
            if context.would_handle_event(event):
                context.emit_event_sync(event)

    def execute(self, context) -> list[LaunchDescriptionEntity] | None:
        """Do the work and return what shall be visited next."""
        raise NotImplementedError(f'{self.__class__.__name__}.execute')
