"""Stop a process, and insist."""

from __future__ import annotations

import asyncio
import logging
import signal


class ProcessStopping:
    """SIGINT on request, then SIGTERM and SIGKILL after the timeouts (seconds)."""

    def __init__(self, name: str, timeouts: tuple[float, float], logger: logging.Logger) -> None:
        self._name, self._timeouts, self._logger = name, timeouts, logger
        self._requested = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def requested(self) -> bool:
        """Tell whether the process shall stop."""
        return self._requested.is_set()

    def request(self, send_sigint: bool) -> None:
        """Ask the process to stop; on ctrl-c its terminal has sent SIGINT already."""
        if not self.requested:
            self._requested.set()
            if send_sigint:
                self.send(signal.SIGINT)

    async def requested_within(self, seconds: float) -> bool:
        """Wait for the request."""
        try:
            await asyncio.wait_for(self._requested.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def insist(self) -> None:
        """Wait for the request, then escalate."""
        await self._requested.wait()
        steps = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        waited = 0.0
        for seconds, sent, following in zip(self._timeouts, steps, steps[1:], strict=False):
            await asyncio.sleep(seconds)
            waited += seconds
            self._logger.error(
                f"process[{self._name}] failed to terminate '{waited:g}' seconds after receiving "
                f"'{sent.name}', escalating to '{following.name}'"
            )
            self.send(following)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process runs."""
        if self.process is not None and self.process.returncode is None:
            self._logger.info(f"sending signal '{number.name}' to process[{self._name}]")
            self.process.send_signal(number)
