"""How far the disclosure log has come: waited for by what is to be proved, whoever writes it."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine

from gateway.ending import end
from gateway.storage.engines import reading
from gateway.transparency.entries import last_head

_LOOK_SECONDS: Final = 0.02


class LogProgress:
    """Tells how far the log has come; one event loop's own.

    ``hurry`` lets whoever writes it begin sooner.
    """

    def __init__(self, evidence: Engine, hurry: Callable[[], object]) -> None:
        self._evidence = evidence
        self._hurry = hurry
        self._stepped = asyncio.Event()
        self._covered = 0
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._looks = ThreadPoolExecutor(1, thread_name_prefix="disclosure-logged")

    async def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            await end(self._looking)
        self._looks.shutdown(wait=False)

    def nudge(self) -> None:
        """Tell that there may be events to log; on the event loop."""
        self._hurry()

    def stepped(self) -> None:
        """Tell that the log may have come further; on the event loop."""
        self._stepped.set()

    async def covers(self, event_sequence: int, seconds: float) -> bool:
        """Tell whether a checkpoint covers an event, waiting for one up to ``seconds``.

        Raises what the store raises.
        """
        if event_sequence <= self._covered:
            return True
        self.nudge()
        covered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[covered] = event_sequence
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="disclosure-logged")
        try:
            async with asyncio.timeout(seconds):
                await covered
        except TimeoutError:
            return False
        finally:
            del self._waiting[covered]
        return True

    async def _look(self) -> None:
        """See how far the log has come until nobody waits for it."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            self._stepped.clear()
            try:
                self._covered = await loop.run_in_executor(self._looks, self._newest)
            except Exception as error:
                for covered in self._waiting:
                    if not covered.done():
                        covered.set_exception(error)
                return
            for covered, event_sequence in self._waiting.items():
                if event_sequence <= self._covered and not covered.done():
                    covered.set_result(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._stepped.wait()

    def _newest(self) -> int:
        with reading(self._evidence) as connection:
            head = last_head(connection)
        return 0 if head is None else head.event_sequence
