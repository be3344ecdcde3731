"""A child process that is kept up: started again whenever it ends by itself."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.server.child import ChildProcess
from gateway.server.told import Told

_READY_SECONDS: Final = 60.0
_LEAST_LIFE_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)


class WorkerFailed(Exception):
    """A process ended before it was ready, or soon after; its own log says why."""


class Role(NamedTuple):
    """What a process is for: its ``name`` in the log, its ``main`` function, and the ``module``
    that runs it by ``python -m``."""

    name: str
    main: Callable[[], object]
    module: str


class Supervised:
    """A child process in one role.

    It is told what it needs over its standard input, says one line once it is ready, and ends
    when its input does, so that it never outlives its parent.
    """

    def __init__(self, role: Role, told: Told) -> None:
        self._role = role
        self._told = told
        self._process: ChildProcess | None = None

    def fork(self) -> None:
        """Fork the process ahead of `start`, as long as this one may be forked."""
        self._process = ChildProcess.forked(self._role.main, self._told.written(), self._told.ends)

    async def start(self) -> bytes:
        """Start the process and return the line it says. Raises WorkerFailed."""
        if self._process is None:
            self._process = ChildProcess.spawned(
                self._role.module, self._told.written(), self._told.ends
            )
        try:
            async with asyncio.timeout(_READY_SECONDS):
                line = await self._process.heard()
        except TimeoutError:
            self._process.send(signal.SIGKILL)
            line = b""
        if not line:
            self._tell_end(await self._process.wait())
            raise WorkerFailed(f"A {self._role.name} did not come up; its log above says why.")
        return line

    async def keep_up(self) -> None:
        """Start the process again whenever it ends. Raises WorkerFailed in a crash loop."""
        while True:
            started = time.monotonic()
            assert self._process is not None
            self._tell_end(await self._process.wait())
            if time.monotonic() - started < _LEAST_LIFE_SECONDS:
                raise WorkerFailed(f"A {self._role.name} keeps ending; its log above says why.")
            self._process = None
            await self.start()

    def _tell_end(self, status: int) -> None:
        assert self._process is not None
        _log.error("%s %d ended with status %d", self._role.name, self._process.pid, status)

    async def stop(self, seconds: float) -> None:
        """Let the process end in order; kill it when it takes much longer than ``seconds``."""
        process = self._process
        if process is None or process.has_ended:
            return
        process.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds + _LEAST_LIFE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.send(signal.SIGKILL)
            await process.wait()
