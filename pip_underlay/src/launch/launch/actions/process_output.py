"""Connect a process to pipes or terminals and print its lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import contextlib
import logging
import os
import subprocess

# A grandchild may keep the pipe open after the process has ended.
SECONDS_FOR_LAST_LINES = 0.5


class ProcessOutput:
    """Prints each line as `[name] line`."""

    def __init__(self, name: str, stdout: logging.Logger, stderr: logging.Logger) -> None:
        self._name, self._loggers = name, (stdout, stderr)
        self._readers: list[asyncio.StreamReader] = []
        self._transports: list[asyncio.ReadTransport] = []

    async def start(self, command, shell, tty, cwd, env) -> asyncio.subprocess.Process:
        """Start a command whose output is read here."""
        ends = [os.openpty() if tty else os.pipe() for _ in range(2)]
        try:
            process = await _start(command, shell, cwd, env, [write for _, write in ends])
        except OSError:
            for read, _ in ends:
                os.close(read)
            raise
        finally:
            for _, write in ends:
                os.close(write)
        connected = [await _connect(read) for read, _ in ends]
        self._readers = [reader for reader, _ in connected]
        self._transports = [transport for _, transport in connected]
        return process

    async def copy(
        self,
        on_stdout: Callable[[bytes], None],
        on_stderr: Callable[[bytes], None],
        process: asyncio.subprocess.Process,
    ) -> None:
        """Print until the process has ended and its lines are read."""
        streams = zip(self._readers, self._loggers, (on_stdout, on_stderr), strict=True)
        tasks = [asyncio.create_task(self._copy_stream(*stream)) for stream in streams]
        await process.wait()
        await asyncio.wait(tasks, timeout=SECONDS_FOR_LAST_LINES)
        for transport in self._transports:
            transport.close()
        for task in tasks:
            task.cancel()

    async def _copy_stream(self, reader, logger: logging.Logger, announce) -> None:
        rest = b''
        while text := await _read(reader):
            announce(text)
            *lines, rest = (rest + text).split(b'\n')
            for line in lines:
                self._print(logger, line)
        if rest:
            self._print(logger, rest)

    def _print(self, logger: logging.Logger, line: bytes) -> None:
        logger.info('[%s] %s', self._name, line.decode(errors='replace').rstrip('\r'))


async def _start(command, shell, cwd, env, outputs) -> asyncio.subprocess.Process:
    options = {'stdout': outputs[0], 'stderr': outputs[1], 'cwd': cwd, 'env': env}
    options['stdin'] = subprocess.DEVNULL
    if shell:
        return await asyncio.create_subprocess_shell(' '.join(command), **options)
    return await asyncio.create_subprocess_exec(*command, **options)


async def _connect(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, 'rb', 0)
    )
    return reader, transport


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read what is there; a terminal whose process has ended gives an error instead of the end."""
    with contextlib.suppress(OSError):
        return await reader.read(65536)
    return b''
