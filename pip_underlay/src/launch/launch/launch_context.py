"""State of a running launch."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace


class LaunchContext:
    """Configurations, environment, locals, event handlers and the event queue."""

    def __init__(self, *, argv=None, noninteractive: bool = False) -> None:
        self.argv = list(argv or [])
        self.noninteractive = noninteractive
        self.launch_configurations: dict = {}
        self.is_shutdown = False
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None
        self.event_handlers: list = []
        self.completion_futures: list[asyncio.Future] = []
        self.event_queue: asyncio.Queue = asyncio.Queue()
        self._locals: list[dict] = [{}]
        self._globals: dict = {}
        self._configurations: list[dict] = []
        self._environments: list[dict] = []

    @property
    def environment(self):
        """Environment that processes start with."""
        return os.environ

    @property
    def locals(self) -> SimpleNamespace:  # noqa: A003
        """Values that the current action or event handler can read."""
        return SimpleNamespace(**self.get_locals_as_dict())

    def get_locals_as_dict(self) -> dict:
        """Return those values as a dictionary."""
        return {**self._globals, **self._locals[-1]}

    def extend_locals(self, values: dict) -> None:
        """Add values for the current action or event handler."""
        self._locals[-1].update(values)

    def extend_globals(self, values: dict) -> None:
        """Add values for the whole launch."""
        self._globals.update(values)

    def push_locals(self) -> None:
        """Start a scope of locals."""
        self._locals.append(dict(self._locals[-1]))

    def pop_locals(self) -> None:
        """End a scope of locals."""
        self._locals.pop()

    def push_scope(self, *, configurations: bool, environment: bool) -> None:
        """Remember configurations or environment until the matching pop."""
        if configurations:
            self._configurations.append(dict(self.launch_configurations))
        if environment:
            self._environments.append(dict(os.environ))

    def pop_scope(self, *, configurations: bool, environment: bool) -> None:
        """Bring back what the matching push remembered."""
        if configurations:
            self.launch_configurations = self._configurations.pop()
        if environment:
            remembered = self._environments.pop()
            os.environ.clear()
            os.environ.update(remembered)

    def perform_substitution(self, sub) -> str:
        """Return the text of a substitution."""
        return sub.perform(self)

    def register_event_handler(self, event_handler, append: bool = False) -> None:
        """Add a handler, in front unless told to append."""
        self.event_handlers.insert(len(self.event_handlers) if append else 0, event_handler)

    def unregister_event_handler(self, event_handler) -> None:
        """Remove a handler."""
        self.event_handlers.remove(event_handler)

    def would_handle_event(self, event) -> bool:
        """Tell whether any handler would react."""
        return any(handler.matches(event) for handler in self.event_handlers)

    def emit_event_sync(self, event) -> None:
        """Queue an event."""
        self.event_queue.put_nowait(event)

    async def emit_event(self, event) -> None:
        """Queue an event."""
        await self.event_queue.put(event)

    def add_completion_future(self, future: asyncio.Future) -> None:
        """Keep the launch running until this future is done."""
        self.completion_futures.append(future)
