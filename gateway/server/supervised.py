"""A child process that is kept up: started again whenever it ends by itself, or hangs."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from gateway.server.child import ChildProcess
from gateway.server.patience import Patience, WorkerFailed
from gateway.server.told import Told

_READY_SECONDS: Final = 60.0
_END_SECONDS: Final = 10.0
"""How much longer than it was given it may take to end before it is killed."""
_log = logging.getLogger(__name__)


class Role(NamedTuple):
    """What a process is for: its ``name`` in the log, its ``main`` function, and the ``module``
    that runs it by ``python -m``."""

    name: str
    main: Callable[[], object]
    module: str


class Supervised:
    """A child process in one role; ``patience`` is of all processes in it.

    It is told what it needs over its standard input, says one line once it is ready, and ends
    when its input does, so that it never outlives its parent.
    """

    def __init__(self, role: Role, told: Told, patience: Patience) -> None:
        self._role = role
        self._told = told
        self._patience = patience
        self._process: ChildProcess | None = None

    def fork(self) -> None:
        """Fork the process ahead of `start`, as long as this one may be forked."""
        self._process = ChildProcess.forked(
            self._role.main, self._told.written(), self._told.inherited
        )

    async def start(self) -> bytes:
        """Start the process and return the line it says; one that was killed is started again.

        Raises WorkerFailed for one that ends by itself: what it was told will not be better the
        next time.
        """
        if self._process is None:
            self._spawn()
        if line := await self._heard():
            return line
        assert self._process is not None
        if await self._process.wait() >= 0:
            raise WorkerFailed(f"A {self._role.name} did not come up; its log above says why.")
        return await self._again()

    async def keep_up(self, hung: Callable[[], Awaitable[object]] | None = None) -> None:
        """Start the process again whenever it ends, and kill it where ``hung`` returns, which is
        asked anew for each. Raises WorkerFailed."""
        while True:
            await self._ended(hung)
            await self._again()

    async def _again(self) -> bytes:
        """Start the process, in the place of one that ended, until it comes up; return the line
        it says. Raises WorkerFailed."""
        while True:
            await asyncio.sleep(self._patience.ended(self, time.monotonic()))
            try:
                self._spawn()
            except OSError as error:
                # No process or memory left: it may be there in a while.
                _log.error("%s cannot be started: %s", self._role.name, error.strerror)
                continue
            if line := await self._heard():
                return line

    def _spawn(self) -> None:
        self._process = ChildProcess.spawned(
            self._role.module, self._told.written(), self._told.inherited
        )

    async def _heard(self) -> bytes:
        """Return the line it says; b"" once it has ended without one, killed where it took too
        long."""
        process = self._process
        assert process is not None
        try:
            async with asyncio.timeout(_READY_SECONDS):
                line = await process.heard()
        except TimeoutError:
            _log.error("%s %d did not come up in time", self._role.name, process.pid)
            process.send(signal.SIGKILL)
            line = b""
        if line:
            self._patience.came_up(self, time.monotonic())
        else:
            self._tell_end(await process.wait())
        return line

    async def _ended(self, hung: Callable[[], Awaitable[object]] | None) -> None:
        """Return once it has ended, killed where it hung."""
        process = self._process
        assert process is not None
        ended = asyncio.ensure_future(process.wait())
        hanging = None if hung is None else asyncio.ensure_future(hung())
        try:
            if hanging is not None:
                await asyncio.wait((ended, hanging), return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    _log.error("%s %d hangs and is killed", self._role.name, process.pid)
                    process.send(signal.SIGKILL)
            self._tell_end(await ended)
        finally:
            for task in (ended, hanging):
                if task is not None:
                    task.cancel()

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
            async with asyncio.timeout(seconds + _END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.send(signal.SIGKILL)
            await process.wait()
