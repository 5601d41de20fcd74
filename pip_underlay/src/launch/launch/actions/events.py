"""Actions on events, and timers."""

from __future__ import annotations

import asyncio

from .. import events
from ..action import Action
from ..event_handlers import OnShutdown
from ..utilities import list_of_entities, text_of


class EmitEvent(Action):
    """Emit an event."""

    def __init__(self, *, event, **kwargs) -> None:
        super().__init__(**kwargs)
        self.event = event

    def execute(self, context) -> None:
        """Emit it."""
        context.emit_event_sync(self.event)


class Shutdown(EmitEvent):
    """Stop everything that was launched."""

    def __init__(self, *, reason='reason not given', **kwargs) -> None:
        self._reason = reason
        super().__init__(event=events.Shutdown(reason=str(reason)), **kwargs)

    def execute(self, context) -> None:
        """Emit the event, with the name of the process that ended as the reason where it fits."""
        event = context.get_locals_as_dict().get('event')
        reason = text_of(context, self._reason)
        if reason == 'reason not given' and isinstance(event, events.process.ProcessExited):
            reason = f'One of the processes ended: {event.process_name}'
        self.event = events.Shutdown(reason=reason)
        super().execute(context)


class RegisterEventHandler(Action):
    """Register an event handler."""

    def __init__(self, event_handler, **kwargs) -> None:
        super().__init__(**kwargs)
        self.event_handler = event_handler

    def execute(self, context) -> None:
        """Register it."""
        context.register_event_handler(self.event_handler)

    def describe_conditional_sub_entities(self) -> list:
        """Return the entities that the handler yields."""
        entities = getattr(self.event_handler, 'entities', [])
        return [] if callable(entities) else [(f'On event: {self.event_handler}', entities)]


class UnregisterEventHandler(RegisterEventHandler):
    """Remove an event handler."""

    def execute(self, context) -> None:
        """Remove it."""
        context.unregister_event_handler(self.event_handler)


class TimerAction(Action):
    """Visit actions after a period in seconds, unless cancelled or shut down before."""

    def __init__(self, *, period, actions, cancel_on_shutdown=True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.period, self.actions = period, list_of_entities(actions)
        self._cancel_on_shutdown = cancel_on_shutdown
        self._task: asyncio.Task | None = None

    def execute(self, context) -> None:
        """Start the timer."""
        period = self.period
        plain = isinstance(period, (int, float))
        seconds = float(period) if plain else float(text_of(context, period))
        self._task = context.asyncio_loop.create_task(self._run(context, seconds))
        if self._cancel_on_shutdown:
            context.register_event_handler(
                OnShutdown(on_shutdown=lambda event, context: self.cancel())
            )

    async def _run(self, context, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await context.emit_event(events.IncludeLaunchDescription(self._due()))

    def _due(self):
        from ..launch_description import LaunchDescription

        return LaunchDescription(self.actions)

    def cancel(self) -> None:
        """Stop the timer."""
        if self._task is not None:
            self._task.cancel()

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return the future of the timer."""
        return self._task

    def describe_conditional_sub_entities(self) -> list:
        """Return the actions."""
        return [(f'{self.period} sec(s) after it is visited', self.actions)]
