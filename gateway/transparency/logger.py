"""The logger: keeps the disclosure log up to the disclosure, a little behind it.

Nothing that is published waits for it; what is to be proved waits for it to come so far.
"""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine

from gateway.clock import Clock
from gateway.storage.background import BackgroundWork, Pace
from gateway.storage.engines import reading
from gateway.storage.signs import Sign, any_of
from gateway.storage.turn import LOGGING
from gateway.transparency.entries import last_head
from gateway.transparency.map_rows import MapRows
from gateway.transparency.writer import DisclosureWriter

TICK_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 0.02


class DisclosureLogger:
    """Writes where it is this process's turn, and tells how far the log has come wherever it
    is; one event loop's own.

    ``sign`` shows news of the disclosure and of the catalogue; that time alone changes the
    map is seen here.
    """

    def __init__(
        self,
        writer: DisclosureWriter,
        evidence: Engine,
        clock: Clock,
        tick_seconds: float = TICK_SECONDS,
        sign: Sign | None = None,
    ) -> None:
        self._writer = writer
        self._evidence = evidence
        self._clock = clock
        self._rows = MapRows(evidence.dialect)
        self._holds_until = 0
        self._stepped = asyncio.Event()
        self._covered = 0
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._looks = ThreadPoolExecutor(1, thread_name_prefix="disclosure-logged")
        self._work = BackgroundWork(
            evidence,
            LOGGING,
            self._write,
            pace=Pace(tick_seconds, apart_seconds=tick_seconds),
            sign=any_of(sign, self._is_over),
            stepped=self._stepped.set,
        )

    async def start(self) -> None:
        """Begin to work."""
        await self._work.start()

    async def stop(self) -> None:
        """Finish what is under way and leave the turn to others."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        await self._work.stop()
        self._looks.shutdown(wait=False)

    def nudge(self) -> None:
        """Tell that there may be events to log; on the event loop."""
        self._work.nudge()

    async def covers(self, event_sequence: int, seconds: float) -> bool:
        """Tell whether a checkpoint covers an event, waiting for one up to ``seconds``.

        Whichever process writes it. Raises what the store raises.
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

    def _write(self) -> bool:
        more = self._writer.step(self._clock.now())
        with reading(self._evidence) as connection:
            self._holds_until = self._rows.head(connection).holds_until
        return more

    def _is_over(self) -> bool:
        """Tell whether the map holds no longer, by time."""
        return self._clock.now() >= self._holds_until

    def _newest(self) -> int:
        with reading(self._evidence) as connection:
            head = last_head(connection)
        return 0 if head is None else head.event_sequence
