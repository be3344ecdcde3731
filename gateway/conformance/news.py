"""News of the disclosure: each event is read once for all who watch in a process."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Engine

from creditgate.v1.conformance_service_pb2 import WatchCoverage
from gateway.conformance.event_pages import (
    Keepers,
    WatchedEvent,
    head,
    kept_of,
    read_changes,
    read_events,
)
from gateway.conformance.recent import Recent, Told, ToldPage
from gateway.disclose.tables import NO_END
from gateway.storage.background import Pace, Rounds
from gateway.storage.engines import reading
from gateway.storage.signs import Sign

_SERVED: Final = WatchCoverage.WATCH_COVERAGE_SERVED
_EVENTS_AT_ONCE: Final = 500
_Read = TypeVar("_Read")


class DisclosureNews:
    """Wakes those who watch, and keeps for them what came last; one event loop's own.

    The log is looked at every ``poll_seconds``, and at once when nudged; while ``sign`` shows
    no news of it, it is not read. As long as nobody watches, only its head is.
    """

    def __init__(
        self, records: Engine, keepers: Keepers, poll_seconds: float, sign: Sign | None = None
    ) -> None:
        self._records = records
        self._keepers = keepers
        # A publication concerns nobody who watches what was served: such watchers neither
        # wake for it nor step over it, however many are published.
        self._all = Recent()
        self._changes = Recent()
        self._serving: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._licensed: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.over = False
        """Whether no more news will come, since the process is about to end."""
        # While it cannot be read watchers hear nothing, and then all of it.
        self._rounds = Rounds("disclosure-news", self._look, Pace(poll_seconds), sign=sign)
        # A thread of its own: news never waits for what else the process is asked for.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disclosure-news")

    def watching(self, operator_id: str) -> int:
        """Return how many streams of an operator wait for news."""
        return len(self._serving.get(operator_id, ())) + len(self._licensed.get(operator_id, ()))

    @contextmanager
    def of_operator(
        self, operator_id: str, coverage: WatchCoverage.ValueType
    ) -> Generator[asyncio.Event]:
        """Give an event that is set whenever there may be something to tell an operator.

        Who then reads on from wherever it was misses nothing that came after.
        """
        waiting = self._serving if coverage == _SERVED else self._licensed
        news = asyncio.Event()
        waiting[operator_id].add(news)
        try:
            yield news
        finally:
            waiting[operator_id].discard(news)
            if not waiting[operator_id]:
                del waiting[operator_id]

    def after(
        self, coverage: WatchCoverage.ValueType, position: int, limit: int
    ) -> ToldPage | None:
        """Return what came after a position, for coverage SERVED without publications; None
        where that is longer ago than what is kept."""
        return (self._changes if coverage == _SERVED else self._all).after(position, limit)

    def older(
        self, coverage: WatchCoverage.ValueType, position: int, limit: int, operator_id: str
    ) -> ToldPage:
        """Return the same from the store, as far as it concerns one operator. Blocks."""
        read = read_changes if coverage == _SERVED else read_events
        with reading(self._records) as connection:
            page = read(connection, position, limit)
        revisions = {sequence for event in page.events for sequence in event.earlier}
        keepers = self._keepers.keepers(revisions, operator_id)
        return ToldPage([_told(event, keepers) for event in page.events], page.read_to)

    def head(self) -> int:
        """Return the position of the newest event. Blocks."""
        with reading(self._records) as connection:
            return head(connection)

    async def start(self) -> None:
        """Begin at the end of the log and keep following it."""
        self._begin_anew(await self._in_thread(self.head))
        self._rounds.start()

    def nudge(self) -> None:
        """Tell that something was disclosed in this process."""
        self._rounds.nudge()

    def end(self) -> None:
        """Wake all who watch, to tell them that no more will come."""
        self.over = True
        self._wake_all()

    async def stop(self) -> None:
        """Stop following."""
        await self._rounds.stop()
        self._thread.shutdown()

    async def _look(self) -> bool:
        """Read the next events; tell whether there may be more."""
        if not self._serving and not self._licensed:
            self._begin_anew(await self._in_thread(self.head))
            # Somebody may have come meanwhile, and read the store a moment before.
            self._wake_all()
            return False
        at = self._all.read_to
        told, read_to = await self._in_thread(partial(self._next, at))
        if read_to == at:
            return False
        changes = [each for each in told if each.event.earlier]
        self._all.add(told, read_to)
        self._changes.add(changes, read_to)
        for operator_id in frozenset[str]().union(*(each.served for each in changes)):
            _wake(self._serving.get(operator_id, ()))
        for news in self._licensed.values():
            _wake(news)
        return len(told) == _EVENTS_AT_ONCE

    def _next(self, at: int) -> ToldPage:
        with reading(self._records) as connection:
            page = read_events(connection, at, _EVENTS_AT_ONCE)
        revisions = {sequence for event in page.events for sequence in event.earlier}
        keepers = self._keepers.keepers(revisions)
        return ToldPage([_told(event, keepers) for event in page.events], page.read_to)

    def _begin_anew(self, at: int) -> None:
        self._all.begin_anew(at)
        self._changes.begin_anew(at)

    def _wake_all(self) -> None:
        for waiting in (self._serving, self._licensed):
            for news in waiting.values():
                _wake(news)

    async def _in_thread(self, read: Callable[[], _Read]) -> _Read:
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)


def _told(event: WatchedEvent, keepers: Mapping[int, Mapping[str, int]]) -> Told:
    """Return an event with whom it concerns, by who may keep a copy of which revision, until
    when."""
    if not event.earlier:
        return Told(event)
    until: dict[str, int] = {}
    for sequence in event.earlier:
        for operator_id, end in keepers.get(sequence, {}).items():
            until[operator_id] = max(end, until.get(operator_id, 0))
    served = frozenset(each for each, end in until.items() if event.at < end)
    of_void = kept_of(event.void_alike, keepers) if event.demands_removal else {}
    return Told(
        event,
        served,
        owing=frozenset(each for each, (end, _) in of_void.items() if event.at < end),
        consents=frozenset(each for each in served if until[each] != NO_END),
    )


def _wake(waiting: Iterable[asyncio.Event]) -> None:
    for news in waiting:
        news.set()
