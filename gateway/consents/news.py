"""News of consents: one look at the log of changes for all who wait in a process."""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final

from consent.sql import SqlConsents
from gateway.authority.feed import ChangeBell
from gateway.storage.background import Pace, Rounds
from gateway.storage.signs import Sign

_CHANGES_AT_ONCE: Final = 1_000
# No operator's id.
_ALL: Final = ""


class ConsentNews:
    """Wakes those who wait for changes of an operator's consents; one event loop's own.

    The log is looked at every ``poll_seconds``, and sooner when ``bell`` rings; while
    ``sign`` shows no news of it, it is not read.
    """

    def __init__(
        self,
        consents: SqlConsents,
        bell: ChangeBell,
        poll_seconds: float,
        sign: Sign | None = None,
    ) -> None:
        self._consents = consents
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._seen = 0
        self.over = False
        """Whether no more news will come, since the process is about to end."""
        # While the log cannot be read, who waits looks for itself now and then.
        self._rounds = Rounds("consent-news", self._look, Pace(poll_seconds), sign=sign, bell=bell)
        # A thread of its own: news never waits for what else the process is asked for.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="consent-news")

    def of_all(self) -> AbstractContextManager[asyncio.Event]:
        """As `of_operator`, for changes of any operator's consents."""
        return self.of_operator(_ALL)

    def waiting_for(self, operator_id: str) -> int:
        """Return how many wait for news of this operator's consents."""
        return len(self._waiting.get(operator_id, ()))

    @contextmanager
    def of_operator(self, operator_id: str) -> Generator[asyncio.Event]:
        """Give an event that is set whenever one of the operator's consents has changed.

        Who then reads the log, from wherever it was, misses nothing that came after.
        """
        news = asyncio.Event()
        self._waiting[operator_id].add(news)
        try:
            yield news
        finally:
            self._waiting[operator_id].discard(news)
            if not self._waiting[operator_id]:
                del self._waiting[operator_id]

    async def start(self) -> None:
        """Begin at the end of the log and keep following it."""
        loop = asyncio.get_running_loop()
        self._seen = await loop.run_in_executor(self._thread, self._consents.head)
        self._rounds.start()

    def end(self) -> None:
        """Wake all who wait, to tell them that no more will come."""
        self.over = True
        for waiting in self._waiting.values():
            for news in waiting:
                news.set()

    async def stop(self) -> None:
        """Stop following."""
        await self._rounds.stop()
        self._thread.shutdown()

    async def _look(self) -> bool:
        """Read the next changes; tell whether there may be more."""
        read = partial(self._consents.changes, after=self._seen, limit=_CHANGES_AT_ONCE)
        changes = await asyncio.get_running_loop().run_in_executor(self._thread, read)
        changed = {change.operator_id for change in changes}
        for operator_id in (*changed, _ALL) if changed else ():
            for news in self._waiting.get(operator_id, ()):
                news.set()
        if changes:
            self._seen = changes[-1].sequence
        return len(changes) == _CHANGES_AT_ONCE
