"""Events of processes."""

from __future__ import annotations

from collections.abc import Callable
import signal

from ..event import Event

__all__ = [
    'ProcessExited',
    'ProcessIO',
    'ProcessStarted',
    'ProcessStderr',
    'ProcessStdout',
    'RunningProcessEvent',
    'ShutdownProcess',
    'SignalProcess',
]


class RunningProcessEvent(Event):
    """Event of one process; pid, cmd, cwd and env are those it was started with."""

    name = 'launch.events.process.RunningProcessEvent'

    def __init__(self, *, action, name, cmd, cwd, env, pid) -> None:
        self.action, self.process_name, self.cmd = action, name, cmd
        self.cwd, self.env, self.pid = cwd, env, pid


class ProcessStarted(RunningProcessEvent):
    """A process started."""

    name = 'launch.events.process.ProcessStarted'


class ProcessExited(RunningProcessEvent):
    """A process ended with a return code, negative for a signal."""

    name = 'launch.events.process.ProcessExited'

    def __init__(self, *, returncode: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.returncode = returncode


class ProcessIO(RunningProcessEvent):
    """A process wrote; text is bytes."""

    name = 'launch.events.process.ProcessIO'
    from_stdout = False
    from_stderr = False
    from_stdin = False

    def __init__(self, *, text: bytes, **kwargs) -> None:
        super().__init__(**kwargs)
        self.text = text


class ProcessStdout(ProcessIO):
    """A process wrote to its standard output."""

    name = 'launch.events.process.ProcessStdout'
    from_stdout = True


class ProcessStderr(ProcessIO):
    """A process wrote to its standard error."""

    name = 'launch.events.process.ProcessStderr'
    from_stderr = True


class ShutdownProcess(Event):
    """A process shall be asked to end."""

    name = 'launch.events.process.ShutdownProcess'

    def __init__(self, *, process_matcher: Callable[..., bool]) -> None:
        self.process_matcher = process_matcher


class SignalProcess(Event):
    """A process shall get a signal."""

    name = 'launch.events.process.SignalProcess'

    def __init__(self, *, signal_number, process_matcher: Callable[..., bool]) -> None:
        named = isinstance(signal_number, str)
        self.signal = signal.Signals[signal_number] if named else signal.Signals(signal_number)
        self.process_matcher = process_matcher

    @property
    def signal_name(self) -> str:
        """Name of the signal."""
        return self.signal.name
