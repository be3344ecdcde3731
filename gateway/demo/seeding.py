"""Seeding beside a gateway that serves in this process, for ``serve --demo``."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from gateway.clock import SystemClock
from gateway.demo import cast
from gateway.demo.people import provider_of, register_people
from gateway.demo.seed import acting_as, seed
from gateway.demo.served import People, write_served
from gateway.installation.home import Home
from gateway.server.process import Running
from sdk.loading.load import Progress


class Seeding:
    """Seeds once the gateway answers; a failure stops it and is raised afterwards.

    ``with_people`` where the development provider runs: its accounts become administrators.
    """

    def __init__(
        self, home: Home, data: Path | None, done: Callable[[], None], *, with_people: bool
    ) -> None:
        self._home = home
        self._data = data
        self._with_people = with_people
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
        people = await self._people() if self._with_people else None
        await write_served(self._home, running, seeded, people)
        self._done()

    async def _people(self) -> People:
        provider = await provider_of(self._home)
        async with acting_as(self._home, cast.ADMINISTRATOR) as gateway:
            return People(provider, await register_people(gateway, provider))

    def _stop_if_failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            os.kill(os.getpid(), signal.SIGTERM)


def _nowhere(progress: Progress) -> None:
    del progress  # the gateway's own output is no place for a bar
