"""Event handlers that launch files use."""

from __future__ import annotations

from .event_handler import EventHandler
from .events import ExecutionComplete, IncludeLaunchDescription, Shutdown
from .events.process import ProcessExited, ProcessIO, ProcessStarted
from .missing import refuse


class _OnActionEvent(EventHandler):
    """Handles one kind of event, of one action (a target, or a function that chooses) or all."""

    def __init__(self, event_type, target, entities, **kwargs) -> None:
        self._event_type, self._target = event_type, target
        super().__init__(matcher=self._is_meant, entities=entities, **kwargs)

    def _is_meant(self, event) -> bool:
        if not isinstance(event, self._event_type) or self._target is None:
            return isinstance(event, self._event_type)
        if callable(self._target):
            return self._target(event.action)
        return event.action is self._target


class OnProcessStart(_OnActionEvent):
    """When a process started."""

    def __init__(self, *, target_action=None, on_start, **kwargs) -> None:
        super().__init__(ProcessStarted, target_action, on_start, **kwargs)


class OnProcessExit(_OnActionEvent):
    """When a process ended."""

    def __init__(self, *, target_action=None, on_exit, **kwargs) -> None:
        super().__init__(ProcessExited, target_action, on_exit, **kwargs)


class OnExecutionComplete(_OnActionEvent):
    """When an action was executed."""

    def __init__(self, *, target_action=None, on_completion, **kwargs) -> None:
        super().__init__(ExecutionComplete, target_action, on_completion, **kwargs)


class OnProcessIO(_OnActionEvent):
    """When a process wrote; each function takes the event."""

    def __init__(
        self, *, target_action=None, on_stdin=None, on_stdout=None, on_stderr=None, **kwargs
    ) -> None:
        if on_stdin is not None:
            raise NotImplementedError('launch.event_handlers.OnProcessIO(on_stdin=...)')

        def react(event, context):
            function = on_stdout if event.from_stdout else on_stderr
            return None if function is None else function(event)

        super().__init__(ProcessIO, target_action, react, **kwargs)


class OnShutdown(EventHandler):
    """When everything shall stop."""

    def __init__(self, *, on_shutdown, **kwargs) -> None:
        super().__init__(
            matcher=lambda event: isinstance(event, Shutdown), entities=on_shutdown, **kwargs
        )


class OnIncludeLaunchDescription(EventHandler):
    """When a launch description shall be visited."""

    def __init__(self, **kwargs) -> None:
        super().__init__(
            matcher=lambda event: isinstance(event, IncludeLaunchDescription),
            entities=lambda event, context: [event.launch_description],
            **kwargs,
        )


__getattr__ = refuse(__name__, 'OnActionEventBase')
