"""Start and watch a process."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
from pathlib import Path
import shlex
import signal

from .process_output import ProcessOutput, start_process
from .process_stopping import ProcessStopping
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
from ..utilities import list_of_entities, normalize_to_list_of_substitutions, text_of

SIGTERM_TIMEOUT = LaunchConfiguration('sigterm_timeout', default=5)
SIGKILL_TIMEOUT = LaunchConfiguration('sigkill_timeout', default=5)

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
        sigterm_timeout=SIGTERM_TIMEOUT,
        sigkill_timeout=SIGKILL_TIMEOUT,
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
            raise NotImplementedError('ExecuteProcess(cached_output=..., output_format=...)')
        self.cmd = [normalize_to_list_of_substitutions(part) for part in cmd]
        self.name, self.cwd, self.env, self.additional_env = name, cwd, env, additional_env
        default_prefix = LaunchConfiguration('launch-prefix', default='')
        self.prefix = default_prefix if prefix is None else prefix
        self.shell, self.emulate_tty = shell, emulate_tty
        self.output, self.log_cmd = output, log_cmd
        self.sigterm_timeout, self.sigkill_timeout = sigterm_timeout, sigkill_timeout
        self.on_exit, self.respawn, self.respawn_delay = on_exit, respawn, respawn_delay
        self.respawn_max_retries = respawn_max_retries
        self.process_details: dict | None = None
        self.return_code: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task | None = None
        self._stopping: ProcessStopping | None = None

    def describe_conditional_sub_entities(self) -> list:
        """Return what follows the end of the process."""
        known = self.on_exit is not None and not callable(self.on_exit)
        return [('On exit', list_of_entities(self.on_exit))] if known else []

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
        self._read_settings(context)
        context.register_event_handler(OnShutdown(on_shutdown=self._on_shutdown))
        context.register_event_handler(
            EventHandler(matcher=self._is_shutdown_of_this, entities=self._on_shutdown_of_this)
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
        env = None if self.env is None else _texts(context, self.env)
        if self.additional_env is not None:
            base = dict(context.environment) if env is None else env
            env = base | _texts(context, self.additional_env)
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
        timeouts = (
            float(text_of(context, _text(value)))
            for value in (self.sigterm_timeout, self.sigkill_timeout)
        )
        self._stopping = ProcessStopping(name, tuple(timeouts), self._logger)
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
            if not self._respawn or limited or context.is_shutdown or self._stopping.requested:
                return
            retries += 1
            if await self._stopping.requested_within(self.respawn_delay or 0.0):
                return

    async def _run_once(self, context) -> bool:
        """Run the process to its end; False if it could not start."""
        details = self.process_details
        if self.log_cmd:
            command = ' '.join(details['cmd'])
            self._logger.info(f"process details: cmd='{command}', cwd='{details['cwd']}'")
        start = functools.partial(
            start_process, details['cmd'], self.shell, details['cwd'], self._environment
        )
        announce = tuple(
            functools.partial(self._announce, context, kind)
            for kind in (ProcessStdout, ProcessStderr)
        )
        stopper = asyncio.create_task(self._stopping.insist())
        try:
            on_start = functools.partial(self._on_start, context)
            await self._output.run(start, self._tty, on_start, announce)
        except OSError as error:
            self._logger.error(f'exception occurred while executing process:\n{error}')
            return False
        finally:
            stopper.cancel()
        self.return_code = self._process.returncode
        self._say_end()
        await context.emit_event(ProcessExited(returncode=self.return_code, **details))
        return True

    async def _on_start(self, context, process) -> None:
        self._process = self._stopping.process = process
        self.process_details['pid'] = process.pid
        self._logger.info(f'process started with pid [{process.pid}]')
        await context.emit_event(ProcessStarted(**self.process_details))
        if self._stopping.requested:
            self._stopping.send(signal.SIGINT)

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
        self._stopping.request(send_sigint=not event.due_to_sigint or context.noninteractive)

    def _on_shutdown_of_this(self, event, context) -> None:
        self._stopping.request(send_sigint=True)

    def _is_shutdown_of_this(self, event) -> bool:
        return isinstance(event, ShutdownProcess) and event.process_matcher(self)

    def _is_signal_to_this(self, event) -> bool:
        return isinstance(event, SignalProcess) and event.process_matcher(self)

    def _on_signal(self, event, context) -> None:
        self._stopping.send(event.signal)


ExecuteLocal = ExecuteProcess


def _text(value):
    """Accept numbers and booleans beside substitutions."""
    return str(value) if isinstance(value, (bool, int, float)) else value


def _texts(context, mapping: dict) -> dict[str, str]:
    return {text_of(context, key): text_of(context, value) for key, value in mapping.items()}
