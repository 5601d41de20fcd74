"""Run launch descriptions."""

from __future__ import annotations

import asyncio
import contextlib
import logging as python_logging
import signal

from . import logging
from .event_handlers import OnIncludeLaunchDescription, OnShutdown
from .events import IncludeLaunchDescription, Shutdown
from .launch_context import LaunchContext
from .utilities import list_of_entities, visit_all_entities_and_collect_futures


class LaunchService:
    """Event loop of a launch: visits descriptions, dispatches events, stops on signals."""

    def __init__(self, *, argv=None, noninteractive: bool = False, debug: bool = False) -> None:
        if debug:
            logging.launch_config.level = python_logging.DEBUG
        self._debug = debug
        self._logger = logging.get_logger('launch')
        self._context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self._context.register_event_handler(OnIncludeLaunchDescription())
        self._context.register_event_handler(OnShutdown(on_shutdown=self._on_shutdown))
        self._futures: list[asyncio.Future] = []
        self._returncode = 0

    @property
    def context(self) -> LaunchContext:
        """State of the launch."""
        return self._context

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """Loop of the running launch."""
        return self._context.asyncio_loop

    def include_launch_description(self, launch_description) -> None:
        """Visit a description as soon as the launch runs."""
        self.emit_event(IncludeLaunchDescription(launch_description))

    def emit_event(self, event) -> None:
        """Queue an event, from any thread."""
        if self.event_loop is None:
            self._context.emit_event_sync(event)
        else:
            self.event_loop.call_soon_threadsafe(self._context.emit_event_sync, event)

    def shutdown(self, force_sync: bool = False) -> None:
        """Stop all processes and end run(), from any thread."""
        self.emit_event(Shutdown(reason='LaunchService.shutdown() called'))

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until all is done or stopped; return 0, or 1 after an error of the launch itself."""
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """Run in the current event loop."""
        self._context.asyncio_loop = asyncio.get_running_loop()
        with self._signal_handlers():
            while not (self._is_idle() and (shutdown_when_idle or self._context.is_shutdown)):
                await self._process_one_event()
            self._request_shutdown('idle')
            while not self._is_idle():
                await self._process_one_event()
        self._context.asyncio_loop = None
        return self._returncode

    def _is_idle(self) -> bool:
        pending = [future for future in self._futures if not future.done()]
        ended = [future for future in self._futures if future.done()]
        self._futures = pending
        for future in ended:
            if not future.cancelled() and future.exception() is not None:
                self._fail(future.exception())
        awaited = [f for f in self._context.completion_futures if not f.done()]
        self._context.completion_futures = awaited
        return not pending and not awaited and self._context.event_queue.empty()

    async def _process_one_event(self) -> None:
        """Wait for an event or for the end of something; handle the event."""
        next_event = asyncio.ensure_future(self._context.event_queue.get())
        waited = [next_event, *self._futures, *self._context.completion_futures]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not next_event.done():
            next_event.cancel()
            return
        try:
            self._dispatch(next_event.result())
        except Exception as error:
            self._fail(error)

    def _dispatch(self, event) -> None:
        for handler in tuple(self._context.event_handlers):
            if not handler.matches(event):
                continue
            self._context.push_locals()
            try:
                for entity in list_of_entities(handler.handle(event, self._context)):
                    self._futures += visit_all_entities_and_collect_futures(entity, self._context)
            finally:
                self._context.pop_locals()

    def _fail(self, error: Exception) -> None:
        """Say what went wrong in the launch and stop everything."""
        self._logger.error(f'Caught exception in launch (see debug for traceback): {error}')
        self._logger.debug('traceback', exc_info=error)
        self._returncode = 1
        self._request_shutdown(f'Caught exception in launch (see debug for traceback): {error}')

    def _request_shutdown(self, reason: str, due_to_sigint: bool = False) -> None:
        if not self._context.is_shutdown:
            self._context.is_shutdown = True
            self._context.emit_event_sync(Shutdown(reason=reason, due_to_sigint=due_to_sigint))

    def _on_shutdown(self, event, context) -> None:
        context.is_shutdown = True

    @contextlib.contextmanager
    def _signal_handlers(self):
        """Let signals stop the launch while it runs."""
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGINT: self._on_sigint,
            signal.SIGTERM: lambda: self._on_termination('SIGTERM'),
            signal.SIGQUIT: lambda: self._on_termination('SIGQUIT'),
        }
        # Signal handlers exist only in the main thread; elsewhere shutdown() stops the launch.
        with contextlib.suppress(ValueError, RuntimeError):
            for number, handler in handlers.items():
                loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError, RuntimeError):
                for number in handlers:
                    loop.remove_signal_handler(number)

    def _on_sigint(self) -> None:
        message = 'user interrupted with ctrl-c (SIGINT)'
        if self._context.is_shutdown:
            self._logger.warning(f'{message} again, ignoring...')
            return
        self._logger.warning(message)
        self._request_shutdown('ctrl-c (SIGINT)', due_to_sigint=True)

    def _on_termination(self, name: str) -> None:
        """Stop the processes too, where upstream would leave them behind."""
        self._logger.error(f'terminated with {name}, stopping the processes')
        self._request_shutdown(name)
