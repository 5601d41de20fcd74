"""Events that launch files meet."""

from __future__ import annotations

from collections.abc import Callable

from . import process
from ..event import Event
from ..missing import refuse

__all__ = [
    'ExecutionComplete',
    'IncludeLaunchDescription',
    'Shutdown',
    'TimerEvent',
    'matches_action',
    'process',
]


class ExecutionComplete(Event):
    """An action was executed."""

    name = 'launch.events.ExecutionComplete'

    def __init__(self, *, action) -> None:
        self.action = action


class IncludeLaunchDescription(Event):
    """A launch description shall be visited."""

    name = 'launch.events.IncludeLaunchDescription'

    def __init__(self, launch_description) -> None:
        self.launch_description = launch_description


class Shutdown(Event):
    """Everything shall stop."""

    name = 'launch.events.Shutdown'

    def __init__(self, *, reason: str = 'reason not given', due_to_sigint: bool = False) -> None:
        self.reason, self.due_to_sigint = reason, due_to_sigint


class TimerEvent(Event):
    """A timer ran out."""

    name = 'launch.events.TimerEvent'

    def __init__(self, *, timer_action) -> None:
        self.timer_action = timer_action


def matches_action(target_action) -> Callable[..., bool]:
    """Return a matcher of the events of one process action."""
    return lambda action: action is target_action


__getattr__ = refuse(__name__, 'matchers')
