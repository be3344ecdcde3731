"""The enforcer: what follows from findings and deadlines, in the background.

Of all processes on a store one works at a time; each step takes up where the last one, of
whatever process, left off.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

from sqlalchemy import Engine

from gateway.clock import Clock
from gateway.storage.turn import ENFORCEMENT, open_turn

TICK_SECONDS: Final = 0.5
_WARN_EVERY: Final = 100
_log = logging.getLogger(__name__)

Step = Callable[[int], object]
"""Does what there is to do at an instant (seconds, UTC). Blocks; what it raises is told, and
it is called again with the next tick."""


class Enforcer:
    """Takes ``steps`` one after the other in a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        engine: Engine,
        steps: Sequence[Step],
        clock: Clock,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._steps = steps
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._turn = open_turn(engine, ENFORCEMENT)
        self._failures = 0
        self._stopping = Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="enforcer")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._run(), name="enforcer")

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

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await loop.run_in_executor(self._thread, self._work)
            await asyncio.sleep(self._tick_seconds)

    def _work(self) -> None:
        """Do what there is to do, if it is this process's turn."""
        try:
            if not self._turn.taken():
                return
        except Exception as error:
            self._tell("turn", error)
            return
        for step in self._steps:
            if self._stopping.is_set():
                return
            try:
                step(self._clock.now())
            except Exception as error:
                # Each by itself: what cannot be done now is tried again next time.
                self._tell(getattr(step, "__qualname__", "step"), error)

    def _tell(self, what: str, error: Exception) -> None:
        if self._failures % _WARN_EVERY == 0:
            # By type: a message could hold a row.
            _log.error("enforcer: %s failed: %s", what, type(error).__name__)
        self._failures += 1
