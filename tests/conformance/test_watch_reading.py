"""How events are read for those who watch: once for all, by pages, no further than is read."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, current_thread

import pytest
from sqlalchemy import Connection, event, text

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.conformance.event_pages import (
    EventPage,
    Keepers,
    WatchedEvent,
    read_changes,
    read_events,
)
from gateway.conformance.news import DisclosureNews
from gateway.conformance.owing import Deadlines
from gateway.conformance.policy_file import read_policy
from gateway.conformance.removals import RemovalDuties
from gateway.conformance.watch import SCOPE, DisclosureWatch
from gateway.disclose.tables import NO_END
from gateway.server.uptime import uptime_of
from gateway.shares import Shares
from gateway.storage.engines import Engines, reading
from gateway.usage.policy import AgreementPolicy
from operators.log import Draft
from operators.model import SCOPE_GRANT, ScopeGrant
from operators.sql import SqlAuthorityLog
from sdk.disclosures import SERVED
from tests.clock import NOW
from tests.conformance.disclosing import ByDays, Disclosing, LedgerHolders
from tests.meter.world import admitted
from tests.respond.world import operator
from tests.stores import engines_of

ALPHA = Caller(
    "alpha-client", ClientRole.CLIENT_ROLE_OPERATOR, "alpha", frozenset({SCOPE}), NOW + 300
)


@dataclass
class Process:
    """One process's watch over a disclosure."""

    disclosing: Disclosing
    news: DisclosureNews
    watch: DisclosureWatch

    def stream(
        self, after: int = 0, heartbeat: int = 1
    ) -> AsyncGenerator[pb.WatchDisclosuresResponse]:
        """Return a stream of what alpha was served."""
        request = pb.WatchDisclosuresRequest(coverage=SERVED, after_sequence=after)
        request.heartbeat_interval.seconds = heartbeat
        return self.watch.watch_disclosures(request, ALPHA)

    def change(self, number: int) -> list[int]:
        """Publish records, serve them to alpha and withdraw them; return the events."""
        names = [f"record-{next(self.disclosing.numbers)}" for _ in range(number)]
        sequences = self.disclosing.disclosure.publish(*map(admitted, names))
        self.disclosing.serve("alpha", *sequences)
        return [self.disclosing.end(name) for name in names]


@asynccontextmanager
async def process_of(
    engines: Engines,
    poll_seconds: float = 0.01,
    holders: Keepers | None = None,
    deadlines: Deadlines | None = None,
) -> AsyncGenerator[Process]:
    """Run a process's watch over a store where alpha may watch."""
    disclosing, log = Disclosing(engines), SqlAuthorityLog(engines.authority)
    grant = ScopeGrant(grant_id="watching", grantee="alpha", scope=SCOPE, valid_from=0)
    drafts = [*operator("alpha"), Draft(SCOPE_GRANT, "watching", 0, grant.as_document())]
    log.append(drafts, changed_by="office", changed_at=NOW, reason="test")
    view = AuthorityView().advanced(log.since(0))
    holders, deadlines = holders or LedgerHolders(engines), deadlines or ByDays()
    news = DisclosureNews(engines.records, holders, poll_seconds)
    duties = RemovalDuties(engines, holders, deadlines)
    reads = Shares("shares")
    awake = uptime_of(
        disclosing.engines,
        read_policy(),
        AgreementPolicy(remind=timedelta(days=7), refuse=timedelta(days=14)),
    )
    clock = disclosing.clock
    watch = DisclosureWatch(news, duties, deadlines, reads, lambda: view, clock, awake, 20)
    await news.start()
    yield Process(disclosing, news, watch)
    await news.stop()
    reads.close()


async def told(stream: AsyncGenerator[pb.WatchDisclosuresResponse], number: int) -> list[int]:
    """Return the positions of the next events, signs of life passed over."""
    found: list[int] = []
    async with asyncio.timeout(10):
        while len(found) < number:
            response = await anext(stream)
            if response.HasField("event"):
                found.append(response.event.event_sequence)
    return found


async def test_a_stream_goes_over_from_the_store_to_the_news_without_a_gap(
    engines: Engines,
) -> None:
    async with process_of(engines) as process:
        before = process.change(45)
        async with aclosing(process.stream()) as stream:
            assert await told(stream, 45) == before
            for _ in range(3):
                later = process.change(2)
                assert await told(stream, 2) == later
            # More than is kept of the news at once, and more than one page.
            burst = process.change(50)
            assert await told(stream, 50) == burst


class ByTheMinute:
    """Another policy than `ByDays`."""

    def removal_seconds(self, severity: int) -> int:
        """Return a minute for each grade."""
        del severity
        return 60


class AllKept:
    """A ledger by which alpha keeps every revision."""

    def keepers(
        self, sequences: Collection[int], operator_id: str = ""
    ) -> dict[int, dict[str, int]]:
        """Return alpha for each."""
        del operator_id
        return {sequence: {"alpha": NO_END} for sequence in sequences}


async def test_a_past_event_is_told_with_the_duty_as_it_was_written_down(engines: Engines) -> None:
    disclosing = Disclosing(engines)
    disclosing.serve("alpha", disclosing.publish("served"))
    disclosing.publish("unserved")
    events = [disclosing.end("served"), disclosing.end("unserved")]
    RemovalDuties(engines, LedgerHolders(engines), ByDays()).follow()
    # Who holds what, and the policy, are others by now.
    async with (
        process_of(engines, holders=AllKept(), deadlines=ByTheMinute()) as process,
        aclosing(process.stream()) as stream,
    ):
        owed, free = [await anext(stream) for _ in events]
    assert [owed.event.event_sequence, free.event.event_sequence] == events
    severity = Severity.SEVERITY_GENERAL
    assert owed.removal_deadline.seconds == NOW + ByDays().removal_seconds(severity)
    assert not free.HasField("removal_deadline")


async def test_streams_that_begin_while_events_come_miss_none(engines: Engines) -> None:
    async with process_of(engines, poll_seconds=0.001) as process:
        for _ in range(8):
            begun = process.disclosing.store.head()
            async with aclosing(process.stream(begun)) as stream:
                events, found = await asyncio.gather(
                    asyncio.to_thread(process.change, 3), told(stream, 3)
                )
            assert found == events


async def test_a_stream_that_begins_while_nobody_watched_is_woken_by_what_came_just_then(
    embedded_engines: Engines,
) -> None:
    async with process_of(embedded_engines, poll_seconds=1_000) as process:
        (known,) = process.change(1)
        looking, released = Event(), Event()

        def pause(*_: object) -> None:
            if current_thread().name.startswith("disclosure-news"):
                looking.set()
                assert released.wait(10)

        event.listen(embedded_engines.records, "before_cursor_execute", pause)
        process.news.nudge()
        await asyncio.to_thread(looking.wait, 10)
        # Nobody watched when the head was asked for; now one does, and has read what there is.
        async with aclosing(process.stream(known, heartbeat=60)) as stream:
            waiting = asyncio.create_task(told(stream, 1))
            await asyncio.sleep(0.2)
            events = await asyncio.to_thread(process.change, 1)
            released.set()
            assert await waiting == events
        event.remove(embedded_engines.records, "before_cursor_execute", pause)


async def test_a_reader_that_does_not_read_makes_nothing_be_read_for_it(
    engines: Engines,
) -> None:
    async with process_of(engines) as process:
        process.change(100)
        pages: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
            if "disclosure_events.kind" in statement:
                pages.append(statement)

        event.listen(engines.records, "before_cursor_execute", note)
        async with aclosing(process.stream()) as slow, aclosing(process.stream()) as quick:
            await told(slow, 1)
            await asyncio.sleep(0.2)
            assert len(pages) <= 2
            await told(quick, 100)
            # All the while the other one's next page waits for its reader.
            assert len(await told(slow, 99)) == 99
        event.remove(engines.records, "before_cursor_execute", note)


async def test_publications_neither_wake_nor_delay_who_watches_what_it_was_served(
    embedded_engines: Engines,
) -> None:
    async with process_of(embedded_engines) as process, aclosing(process.stream()) as stream:
        process.change(1)
        (begun,) = await told(stream, 1)
        for number in range(20):
            process.disclosing.publish(f"other-{number}")
        # What comes next is no news but a sign of life, behind all that was published.
        response = await asyncio.wait_for(anext(stream), 5)
        assert not response.HasField("event")
        assert response.disclosure_sequence == begun + 20


async def test_a_store_that_fails_is_read_on_once_it_is_back(
    embedded_engines: Engines,
) -> None:
    async with process_of(embedded_engines) as process, aclosing(process.stream()) as stream:
        process.change(1)
        await told(stream, 1)
        waiting = asyncio.create_task(told(stream, 2))
        await asyncio.sleep(0.05)
        with embedded_engines.records.begin() as connection:
            connection.execute(text("ALTER TABLE disclosure_events RENAME TO away"))
        await asyncio.sleep(0.05)
        with embedded_engines.records.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO disclosure_events"))
        events = process.change(2)
        assert await waiting == events


async def test_few_know_a_stream_that_ended(embedded_engines: Engines) -> None:
    async with process_of(embedded_engines) as process:
        stream = process.stream()
        await anext(stream)
        assert process.news.watching("alpha") == 1
        await stream.aclose()
        assert process.news.watching("alpha") == 0


@pytest.fixture
def embedded_engines(sqlite_store: tuple[str, Path]) -> Iterator[Engines]:
    """Engines of an empty SQLite store."""
    with engines_of(*sqlite_store) as engines:
        yield engines


def every(
    engines: Engines, read: Callable[[Connection, int, int], EventPage], end: int
) -> list[WatchedEvent]:
    """Return all events, read one by one up to the end."""
    found: list[WatchedEvent] = []
    at = 0
    with reading(engines.records) as connection:
        while (page := read(connection, at, 1)).read_to > at:
            assert len(page.events) <= 1
            found += page.events
            at = page.read_to
    assert at == end
    return found


def test_pages_hold_every_event_once_with_what_it_makes_void(engines: Engines) -> None:
    disclosing = Disclosing(engines)
    one, two = disclosing.publish("one"), disclosing.publish("two", disclosed_until=NOW + 9)
    corrected = disclosing.correct("one")
    disclosing.clock.at += 5
    ended = disclosing.end("one", 2)
    whole, changes = (every(engines, read, ended) for read in (read_events, read_changes))
    assert [each.sequence for each in whole] == [one, two, corrected, ended]
    assert changes == whole[2:]
    assert [(each.voided, each.earlier) for each in whole] == [
        (0, ()),
        (0, ()),
        (one, (one,)),
        (corrected, (one, corrected)),
    ]
    assert [each.disclosed_until for each in whole] == [NO_END, NOW + 9, NO_END, NOW + 5]
