"""News of the ledger: one look at the heads of usage logs for all who wait in a process."""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Engine, select

from gateway.meter.tables import USAGE_HEADS
from gateway.storage.background import Pace, Rounds
from gateway.storage.engines import reading
from gateway.storage.signs import Sign


class UsageNews:
    """Wakes those who watch the use of an operator; one event loop's own.

    The heads are looked at every ``poll_seconds`` while somebody watches and ``sign`` shows
    news of the store.
    """

    def __init__(self, records: Engine, poll_seconds: float, sign: Sign | None) -> None:
        self._records = records
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._heads: dict[str, int] = {}
        self.over = False
        """Whether no more news will come, since the process is about to end."""
        self._rounds = Rounds("usage-news", self._look, Pace(poll_seconds), sign=sign)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="usage-news")

    def watching(self, operator_id: str) -> int:
        """Return how many wait for news of an operator."""
        return len(self._waiting.get(operator_id, ()))

    @contextmanager
    def of_operator(self, operator_id: str) -> Generator[asyncio.Event]:
        """Give an event that is set whenever an operator may have used something.

        Who then reads on from wherever it was misses nothing that came after.
        """
        news = asyncio.Event()
        self._waiting[operator_id].add(news)
        try:
            yield news
        finally:
            self._waiting[operator_id].discard(news)
            if not self._waiting[operator_id]:
                del self._waiting[operator_id]

    def start(self) -> None:
        """Begin to look."""
        self._rounds.start()

    def end(self) -> None:
        """Wake all who watch, to tell them that no more will come."""
        self.over = True
        for operator_id in self._waiting:
            self._wake(operator_id)

    async def stop(self) -> None:
        """Look no more."""
        await self._rounds.stop()
        self._thread.shutdown()

    async def _look(self) -> bool:
        if not self._waiting:
            return False
        before = self._heads
        loop = asyncio.get_running_loop()
        self._heads = await loop.run_in_executor(self._thread, self._read)
        for operator_id, head in self._heads.items():
            if before.get(operator_id) != head:
                self._wake(operator_id)
        return False

    def _wake(self, operator_id: str) -> None:
        for news in self._waiting.get(operator_id, ()):
            news.set()

    def _read(self) -> dict[str, int]:
        with reading(self._records) as connection:
            rows = connection.execute(select(USAGE_HEADS.c.operator_id, USAGE_HEADS.c.next_index))
            return {row.operator_id: row.next_index for row in rows}
