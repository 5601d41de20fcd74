"""Start and watch a process."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
import shlex
import signal

from .. import logging
from ..action import Action
from ..conditions import evaluate_condition_expression
from ..event_handler import EventHandler
from ..event_handlers import OnProcessExit, OnShutdown
from ..events.process import (
    ProcessExited,
    ProcessStarted,
    ProcessStderr,
    ProcessStdout,
    ShutdownProcess,
    SignalProcess,
)
from ..substitutions import LaunchConfiguration
from ..utilities import normalize_to_list_of_substitutions, text_of
from .process_output import ProcessOutput

_counter = itertools.count(1)


class ExecuteProcess(Action):
    """
    Run a command, print its lines with its name, and stop it when the launch stops.

    Stopping means SIGINT, then SIGTERM after `sigterm_timeout`, then SIGKILL after
    `sigkill_timeout` more (seconds). A restarted process (`respawn`) keeps its name.
    """

    def __init__(
        self,
        *,
        cmd,
        name=None,
        cwd=None,
        env=None,
        additional_env=None,
        prefix=None,
        shell: bool = False,
        sigterm_timeout=LaunchConfiguration('sigterm_timeout', default=5),
        sigkill_timeout=LaunchConfiguration('sigkill_timeout', default=5),
        emulate_tty: bool = False,
        output='log',
        output_format: str = '[{name}] {line}',
        log_cmd: bool = False,
        on_exit=None,
        respawn=False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        cached_output: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if cached_output or output_format != '[{name}] {line}':
            raise NotImplementedError('launch.actions.ExecuteProcess(cached_output, output_format)')
        self.cmd = [normalize_to_list_of_substitutions(part) for part in cmd]
        self.name, self.cwd, self.env, self.additional_env = name, cwd, env, additional_env
        self.prefix = LaunchConfiguration('launch-prefix', default='') if prefix is None else prefix
        self.shell, self.emulate_tty, self.output, self.log_cmd = shell, emulate_tty, output, log_cmd
        self.sigterm_timeout, self.sigkill_timeout = sigterm_timeout, sigkill_timeout
        self.on_exit, self.respawn, self.respawn_delay = on_exit, respawn, respawn_delay
        self.respawn_max_retries = respawn_max_retries
        self.process_details: dict | None = None
        self.return_code: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task | None = None
        self._stopping: asyncio.Event | None = None

    def describe_conditional_sub_entities(self) -> list:
        """Return what follows the end of the process."""
        known = self.on_exit is not None and not callable(self.on_exit)
        return [('On exit', EventHandler(matcher=bool, entities=self.on_exit).entities)] if known else []

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return the future that is done when the process has ended for good."""
        return self._task

    def execute(self, context) -> None:
        """Start the process, unless the launch is stopping already."""
        if self.process_details is not None:
            raise RuntimeError(
                f"ExecuteLocal action '{self.process_details['name']}': executed more than once: "
                f'{self.describe()}'
            )
        self.process_details = self._details(context)
        if context.is_shutdown:
            return
        self._stopping = asyncio.Event()
        self._read_settings(context)
        context.register_event_handler(OnShutdown(on_shutdown=self._on_shutdown))
        context.register_event_handler(
            EventHandler(matcher=self._is_shutdown_of_this, entities=lambda *_: self._stop(True))
        )
        context.register_event_handler(
            EventHandler(matcher=self._is_signal_to_this, entities=self._on_signal)
        )
        if self.on_exit is not None:
            context.register_event_handler(
                OnProcessExit(target_action=self, on_exit=self.on_exit), append=True
            )
        self._task = context.asyncio_loop.create_task(self._run(context))

    def _details(self, context) -> dict:
        """Expand all substitutions."""
        command = [text_of(context, part) for part in self.cmd]
        command = [*shlex.split(text_of(context, self.prefix)), *command]
        name = Path(command[0]).name if self.name is None else text_of(context, self.name)
        env = _texts(context, self.env) if self.env is not None else None
        if self.additional_env is not None:
            env = (dict(context.environment) if env is None else env) | _texts(context, self.additional_env)
        return {
            'action': self,
            'name': f'{name}-{next(_counter)}',
            'cmd': command,
            'cwd': None if self.cwd is None else text_of(context, self.cwd),
            'env': env,
        }

    def _read_settings(self, context) -> None:
        """Expand what is needed later, while the configurations are in scope."""
        name = self.process_details['name']
        output = os.environ.get('OVERRIDE_LAUNCH_PROCESS_OUTPUT', self.output)
        self._logger = logging.get_logger(name)
        chosen = output if isinstance(output, dict) else text_of(context, output)
        self._output = ProcessOutput(name, *logging.get_output_loggers(name, chosen))
        self._timeouts = [
            float(text_of(context, _text(value)))
            for value in (self.sigterm_timeout, self.sigkill_timeout)
        ]
        tty = context.launch_configurations.get('emulate_tty', self.emulate_tty)
        self._tty = evaluate_condition_expression(context, _text(tty))
        self._respawn = evaluate_condition_expression(context, _text(self.respawn))
        self._environment = self.process_details['env']
        if self._environment is None:
            self._environment = dict(context.environment)

    async def _run(self, context) -> None:
        """Run the process, again and again where it shall respawn."""
        retries = 0
        while await self._run_once(context):
            limited = self.respawn_max_retries >= 0 and retries >= self.respawn_max_retries
            if not self._respawn or limited or context.is_shutdown or self._stopping.is_set():
                return
            retries += 1
            if await self._stopped_within(self.respawn_delay or 0.0):
                return

    async def _run_once(self, context) -> bool:
        """Run the process to its end; False if it could not start."""
        details = self.process_details
        if self.log_cmd:
            self._logger.info(f"process details: cmd='{' '.join(details['cmd'])}', cwd='{details['cwd']}'")
        try:
            self._process = await self._output.start(
                details['cmd'], self.shell, self._tty, details['cwd'], self._environment
            )
        except OSError as error:
            self._logger.error(f'exception occurred while executing process:\n{error}')
            return False
        details['pid'] = self._process.pid
        self._logger.info(f'process started with pid [{self._process.pid}]')
        await context.emit_event(ProcessStarted(**details))
        stopper = asyncio.create_task(self._escalate())
        await self._output.copy(
            lambda text: self._announce(context, ProcessStdout, text),
            lambda text: self._announce(context, ProcessStderr, text),
            self._process,
        )
        stopper.cancel()
        self.return_code = self._process.returncode
        self._say_end()
        await context.emit_event(ProcessExited(returncode=self.return_code, **details))
        return True

    def _announce(self, context, event_type, text: bytes) -> None:
        """Emit what the process wrote, if anybody listens."""
        event = event_type(text=text, **self.process_details)
        if context.would_handle_event(event):
            context.emit_event_sync(event)

    def _say_end(self) -> None:
        if self.return_code == 0:
            self._logger.info(f'process has finished cleanly [pid {self._process.pid}]')
            return
        command = ' '.join(part for part in self.process_details['cmd'] if part.strip())
        self._logger.error(
            f'process has died [pid {self._process.pid}, exit code {self.return_code}, '
            f"cmd '{command}']."
        )

    def _on_shutdown(self, event, context) -> None:
        """On ctrl-c in a terminal the process got its SIGINT from the terminal already."""
        self._stop(send_sigint=not event.due_to_sigint or context.noninteractive)

    def _stop(self, send_sigint: bool) -> None:
        if self._stopping.is_set():
            return
        self._stopping.set()
        if send_sigint:
            self._send(signal.SIGINT)

    async def _escalate(self) -> None:
        """Wait for the request to stop, then insist."""
        await self._stopping.wait()
        steps = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        name, waited = self.process_details['name'], 0.0
        for seconds, sent, following in zip(self._timeouts, steps, steps[1:], strict=False):
            await asyncio.sleep(seconds)
            waited += seconds
            self._logger.error(
                f"process[{name}] failed to terminate '{waited:g}' seconds after receiving "
                f"'{sent.name}', escalating to '{following.name}'"
            )
            self._send(following)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    def _is_shutdown_of_this(self, event) -> bool:
        return isinstance(event, ShutdownProcess) and event.process_matcher(self)

    def _is_signal_to_this(self, event) -> bool:
        return isinstance(event, SignalProcess) and event.process_matcher(self)

    def _on_signal(self, event, context) -> None:
        self._send(event.signal)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            name = self.process_details['name']
            self._logger.info(f"sending signal '{number.name}' to process[{name}]")
            self._process.send_signal(number)


ExecuteLocal = ExecuteProcess


def _text(value):
    """Accept numbers and booleans beside substitutions."""
    return str(value) if isinstance(value, (bool, int, float)) else value


def _texts(context, mapping: dict) -> dict[str, str]:
    return {text_of(context, key): text_of(context, value) for key, value in mapping.items()}
