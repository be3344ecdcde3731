"""News of other regions' events: wakes those who watch, in one process."""

import asyncio
from collections import Counter
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from gateway.federation.asking.region_events import SqlRegionEvents
from gateway.storage.background import Pace, Rounds
from gateway.storage.signs import Sign

_PACE: Final = Pace(0.25)


class RegionEventNews:
    """Wakes who watches as soon as an operator was told anything; one event loop's own.

    As long as nobody watches, and while ``sign`` shows no news of the store, nothing is read.
    """

    def __init__(self, events: SqlRegionEvents, sign: Sign | None) -> None:
        self._events = events
        self._watching: Counter[str] = Counter()
        self._waiting: set[asyncio.Event] = set()
        self._told: Mapping[str, int] = {}
        self.over = False
        """Whether no more news will come, since the process is about to end."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="region-event-news")
        self._rounds = Rounds("region-event-news", self._look, _PACE, sign=sign)

    def watching(self, operator_id: str) -> int:
        """Return how many streams of an operator wait for news."""
        return self._watching[operator_id]

    @contextmanager
    def of_operator(self, operator_id: str) -> Generator[asyncio.Event]:
        """Give an event that is set whenever there may be something to tell."""
        news = asyncio.Event()
        self._watching[operator_id] += 1
        self._waiting.add(news)
        try:
            yield news
        finally:
            self._waiting.discard(news)
            self._watching[operator_id] -= 1
            if not self._watching[operator_id]:
                del self._watching[operator_id]

    def start(self) -> None:
        """Begin to look."""
        self._rounds.start()

    def end(self) -> None:
        """Wake all who watch, to tell them that no more will come."""
        self.over = True
        self._wake()

    async def stop(self) -> None:
        """Look no more."""
        await self._rounds.stop()
        self._thread.shutdown()

    async def _look(self) -> bool:
        if not self._waiting:
            return False
        loop = asyncio.get_running_loop()
        heard = await loop.run_in_executor(self._thread, self._events.heard)
        told = {region: each.told for region, each in heard.items()}
        if told != self._told:
            self._told = told
            self._wake()
        return False

    def _wake(self) -> None:
        for news in self._waiting:
            news.set()
