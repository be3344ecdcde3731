"""The follower of holdings: writes down, after the fact, what operators were served.

Nothing that is served waits for it: it has a store of its own and works for a share of the
time. Nobody waits for it either: who asks what an operator holds reads on in the ledger from
where the follower has come (`gateway.conformance.holdings`). Of all processes on a store one
follows at a time; each step takes up where the last one, of whatever process, left off.
"""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Final

from gateway.conformance.following import HoldingsSteps
from gateway.storage.engines import Engines
from gateway.storage.turn import HOLDINGS, open_turn

TICK_SECONDS: Final = 0.5
_SHARE: Final = 0.25
"""Share of the time that following may take."""
_WARN_EVERY: Final = 100
_log = logging.getLogger(__name__)


class HoldingsFollower:
    """Follows in a thread of its own from `start` to `stop`."""

    def __init__(self, engines: Engines, tick_seconds: float = TICK_SECONDS) -> None:
        self._steps = HoldingsSteps(engines)
        self._tick_seconds = tick_seconds
        self._turn = open_turn(engines.evidence, HOLDINGS)
        self._failures = 0
        self._stopping = Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="holdings")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._run(), name="holdings")

    async def stop(self) -> None:
        """Finish the step under way and leave the turn to others."""
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
            worked = await loop.run_in_executor(self._thread, self._work)
            await asyncio.sleep(max(self._tick_seconds, worked))

    def _work(self) -> float:
        """Follow for a while, and return how long to leave the time to others then, in
        seconds."""
        started = monotonic()
        try:
            if self._turn.taken():
                until = started + self._tick_seconds * _SHARE
                while self._steps.step() and monotonic() < until and not self._stopping.is_set():
                    pass
        except Exception as error:
            # What cannot be followed now is followed next time. By type: a message could
            # hold a row.
            if self._failures % _WARN_EVERY == 0:
                _log.error("holdings cannot be followed: %s", type(error).__name__)
            self._failures += 1
        return (monotonic() - started) * (1 / _SHARE - 1)
