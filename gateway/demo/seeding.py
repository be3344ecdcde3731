"""Seeding beside a gateway that serves in this process, for ``serve --demo``."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from gateway.clock import SystemClock
from gateway.demo.seed import seed
from gateway.demo.served import write_served
from gateway.installation.home import Home
from gateway.server.process import Running
from sdk.loading.load import Progress


class Seeding:
    """Seeds once the gateway answers; a failure stops it and is raised afterwards."""

    def __init__(self, home: Home, data: Path | None, done: Callable[[], None]) -> None:
        self._home = home
        self._data = data
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    def begin(self, running: Running) -> None:
        """Start on the running event loop and return at once."""
        # What an earlier gateway wrote down is no longer so.
        self._home.served.unlink(missing_ok=True)
        self._task = asyncio.create_task(self._seed(running), name="seeding")
        self._task.add_done_callback(self._stop_if_failed)

    def raise_failure(self) -> None:
        """Raise what seeding failed of, if it did."""
        if self._failure is not None:
            raise self._failure

    async def _seed(self, running: Running) -> None:
        seeded = await seed(self._home, running, SystemClock(), data=self._data, progress=_nowhere)
        await write_served(self._home, running, seeded)
        self._done()

    def _stop_if_failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            os.kill(os.getpid(), signal.SIGTERM)


def _nowhere(progress: Progress) -> None:
    del progress  # the gateway's own output is no place for a bar
