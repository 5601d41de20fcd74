"""Base of event handlers."""

from __future__ import annotations

from collections.abc import Callable

from .utilities import list_of_entities


class BaseEventHandler:
    """Reacts to the events that its matcher accepts."""

    def __init__(self, *, matcher: Callable[..., bool], handle_once: bool = False) -> None:
        self._matcher, self.handle_once = matcher, handle_once

    def matches(self, event) -> bool:
        """Tell whether this event is handled."""
        return self._matcher(event)

    def handle(self, event, context):
        """React, and return the entities to visit."""
        context.extend_locals({'event': event})
        if self.handle_once:
            context.unregister_event_handler(self)


class EventHandler(BaseEventHandler):
    """Yields fixed entities, or what a function (event, context) returns."""

    def __init__(self, *, matcher, entities=None, handle_once: bool = False) -> None:
        super().__init__(matcher=matcher, handle_once=handle_once)
        self.entities = entities if callable(entities) else list_of_entities(entities)

    def handle(self, event, context):
        """React, and return the entities to visit."""
        super().handle(event, context)
        return self.entities(event, context) if callable(self.entities) else self.entities
