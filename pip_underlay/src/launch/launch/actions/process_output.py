"""Connect a process to pipes or terminals and print its lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import logging
import os
import subprocess

# A grandchild may keep the pipe open after the process has ended.
SECONDS_FOR_LAST_LINES = 0.5


class ProcessOutput:
    """Prints what a process writes to stdout and stderr, each line as `[name] line`."""

    def __init__(self, name: str, stdout: logging.Logger, stderr: logging.Logger) -> None:
        self._name, self._loggers = name, (stdout, stderr)

    async def run(
        self, start: Callable, tty: bool, on_start: Callable, announce: tuple[Callable, Callable]
    ) -> None:
        """
        Run a process and print until it has ended and its lines are read.

        `start(stdout, stderr)` starts it, `on_start(process)` is awaited when it runs, and
        `announce` are called with all bytes from stdout and stderr.
        """
        ends = [os.openpty() if tty else os.pipe() for _ in range(2)]
        try:
            process = await start(*(write for _, write in ends))
        except OSError:
            for read, _ in ends:
                os.close(read)
            raise
        finally:
            for _, write in ends:
                os.close(write)
        await on_start(process)
        await self._print_until_end(process, [read for read, _ in ends], announce)

    async def _print_until_end(self, process, descriptors: list[int], announce) -> None:
        loop = asyncio.get_running_loop()
        streams = [
            _Stream(self._name, logger, function)
            for logger, function in zip(self._loggers, announce, strict=True)
        ]
        transports = []
        for stream, descriptor in zip(streams, descriptors, strict=True):
            file = os.fdopen(descriptor, 'rb', 0)
            transport, _ = await loop.connect_read_pipe(lambda stream=stream: stream, file)
            transports.append(transport)
        await process.wait()
        await asyncio.wait([stream.ended for stream in streams], timeout=SECONDS_FOR_LAST_LINES)
        for transport in transports:
            transport.close()


class _Stream(asyncio.Protocol):
    """Cuts bytes into lines and logs them; the end of a terminal is an error, which is fine."""

    def __init__(self, name: str, logger: logging.Logger, announce: Callable) -> None:
        self._name, self._logger, self._announce = name, logger, announce
        self._rest = b''
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Log the lines that are complete."""
        self._announce(data)
        *lines, self._rest = (self._rest + data).split(b'\n')
        for line in lines:
            self._log(line)

    def connection_lost(self, error: Exception | None) -> None:
        """Log what came without an end of line."""
        if self._rest:
            self._log(self._rest)
        self.ended.set_result(None)

    def _log(self, line: bytes) -> None:
        self._logger.info('[%s] %s', self._name, line.decode(errors='replace').rstrip('\r'))


async def start_process(command, shell, cwd, env, stdout, stderr) -> asyncio.subprocess.Process:
    """Start a command, or its text in a shell, with the given file descriptors as output."""
    options = {'stdin': subprocess.DEVNULL, 'stdout': stdout, 'stderr': stderr}
    options |= {'cwd': cwd, 'env': env}
    if shell:
        return await asyncio.create_subprocess_shell(' '.join(command), **options)
    return await asyncio.create_subprocess_exec(*command, **options)
