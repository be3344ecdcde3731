"""Work in the background that one process of all on a store does at a time, step by step."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Final

from sqlalchemy import Engine

from gateway.storage.turn import Work, open_turn

_WARN_EVERY: Final = 100
_log = logging.getLogger(__name__)


def _nobody() -> None:
    """Tell nobody."""


class BackgroundWork:
    """Does ``step`` in a thread of its own from `start` to `stop`; one event loop's own.

    A step tells whether there is more to do at once; else the next one follows no earlier
    than ``tick_seconds`` after this began, and at once then where there was a nudge.
    ``stepped`` is called after each, on the event loop.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work,
        step: Callable[[], bool],
        tick_seconds: float,
        stepped: Callable[[], None] = _nobody,
    ) -> None:
        self._work = work
        self._turn = open_turn(engine, work)
        self._step = step
        self._tick_seconds = tick_seconds
        self._stepped = stepped
        self._failures = 0
        self._stopping = Event()
        self._nudged = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=work.name)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._run(), name=self._work.name)

    async def stop(self) -> None:
        """Finish what is under way and leave the turn to others."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        # Behind what the thread is at: no session is closed under it.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._turn.give_up)
        self._thread.shutdown(wait=False)

    def nudge(self) -> None:
        """Tell that there may be something to do; on the event loop."""
        self._nudged.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = monotonic()
            more = await loop.run_in_executor(self._thread, self._once)
            self._stepped()
            if more:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_seconds):
                    await self._nudged.wait()
            self._nudged.clear()
            await asyncio.sleep(began + self._tick_seconds - monotonic())

    def _once(self) -> bool:
        """Do a step, if it is this process's turn; tell whether there is more."""
        try:
            return not self._stopping.is_set() and self._turn.taken() and self._step()
        except Exception as error:
            # By type: a message could hold a row, and so subject data.
            if self._failures % _WARN_EVERY == 0:
                _log.error("work of %s failed: %s", self._work.name, type(error).__name__)
            self._failures += 1
            return False
