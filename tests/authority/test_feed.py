"""The feed: news acts at once, and a feed that cannot know refuses and comes back (G4)."""

import asyncio
import statistics
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gateway.authority.feed import AuthorityFeed, PollBell
from gateway.clock import SystemClock
from gateway.oauth.revocation_log import SqlRevocationLog
from gateway.storage.engines import Engines
from operators.log import Draft
from operators.sql import SqlAuthorityLog
from tests.authority.faults import broken, frozen, hanging
from tests.authority.following import (
    ACTIVE,
    LEASE,
    LONG_POLL,
    POLL,
    SUSPENDED,
    acted_on,
    append,
    following,
    knows,
    refuses,
    state_of,
    until,
)
from tests.operators.things import operator
from tests.stores import engines_of


async def test_a_feed_knows_what_was_decided_before_it_started(authority_engine: Engine) -> None:
    append(authority_engine, operator())
    async with following(authority_engine) as feed:
        assert state_of(feed) == ACTIVE


async def test_a_suspension_through_another_engine_acts_within_a_second(
    store: tuple[str, Path], engines: Engines
) -> None:
    append(engines.authority, operator())
    delays: list[float] = []
    with engines_of(*store) as others:
        async with following(engines.authority) as feed:
            for version in range(1, 9):
                state = SUSPENDED if version % 2 else ACTIVE
                append(others.authority, operator(state=state), version=version)
                delays.append(await acted_on(feed, state, time.monotonic()))
    assert statistics.median(delays) < 0.5


async def test_refresh_brings_the_newest_state_without_waiting(authority_engine: Engine) -> None:
    async with following(authority_engine, poll=LONG_POLL, lease=60, bell=PollBell()) as feed:
        append(authority_engine, operator())
        assert not feed.current().authority.operators
        view = await feed.refresh()
        assert view is feed.current()
        assert state_of(feed) == ACTIVE


async def test_the_view_is_the_same_object_while_nothing_changes(authority_engine: Engine) -> None:
    append(authority_engine, operator())
    async with following(authority_engine, poll=0.01) as feed:
        view = feed.current()
        await asyncio.sleep(0.1)
        assert feed.current() is view


async def test_any_change_ends_what_was_decided_before_it(authority_engine: Engine) -> None:
    append(authority_engine, operator())
    log = SqlAuthorityLog(authority_engine)
    async with following(authority_engine, poll=LONG_POLL, lease=60, bell=PollBell()) as feed:
        view = feed.current()
        assert feed.holds(view)
        # Of a kind that no part of the view folds: it might yet matter to a decision.
        log.append(
            [Draft("notice", "n-1", 0, {})], changed_by="office", changed_at=5, reason="test"
        )
        assert feed.holds(view), "not known yet"
        assert not (await feed.refresh()).decides_as(view)
        assert not feed.holds(view)


async def test_several_readings_at_once_end_at_the_newest(authority_engine: Engine) -> None:
    async with following(authority_engine, poll=LONG_POLL, lease=60, bell=PollBell()) as feed:
        head = append(authority_engine, operator(), operator(operator_id="beta"))
        views = await asyncio.gather(*(feed.refresh() for _ in range(8)))
        assert {view.sequence for view in views} == {head}


def test_a_feed_that_never_read_refuses(authority_engine: Engine) -> None:
    feed = AuthorityFeed(
        SqlAuthorityLog(authority_engine),
        revocations=SqlRevocationLog(authority_engine),
        clock=SystemClock(),
        poll_seconds=POLL,
        lease_seconds=LEASE,
        monotonic=time.monotonic,
        bell=PollBell(),
    )
    assert not knows(feed)


@pytest.mark.parametrize("fault", ["fails", "hangs"])
async def test_a_store_that_cannot_be_read_makes_the_feed_refuse_until_it_can(
    engines: Engines, store: tuple[str, Path], fault: str
) -> None:
    append(engines.authority, operator())
    async with following(engines.authority, poll=0.05, lease=0.5) as feed:
        with engines_of(*store) as others:
            with broken(others.authority) if fault == "fails" else hanging(engines.authority):
                await refuses(feed, since=time.monotonic(), within=0.5)
                await asyncio.sleep(0.3)
                assert not knows(feed)
            await until(lambda: knows(feed))
            append(others.authority, operator(state=SUSPENDED), version=1)
            await acted_on(feed, SUSPENDED, time.monotonic(), within=0.5)


async def test_a_reading_that_hung_past_its_lease_grants_none(authority_engine: Engine) -> None:
    """A lease runs from the moment of asking, not from that of the answer."""
    append(authority_engine, operator())
    async with following(authority_engine, poll=LONG_POLL, lease=0.3, bell=PollBell()) as feed:
        with hanging(authority_engine):
            reading = asyncio.create_task(feed.refresh())
            await asyncio.sleep(0.4)
        await reading
        assert not knows(feed)
        await feed.refresh()
        assert knows(feed)


async def test_a_document_not_understood_makes_the_feed_refuse(authority_engine: Engine) -> None:
    async with following(authority_engine, poll=0.02, lease=0.3) as feed:
        document = {**operator().as_document(), "only_on": "weekdays"}
        SqlAuthorityLog(authority_engine).append(
            [Draft("operator", "alpha", 0, document)],
            changed_by="office",
            changed_at=5,
            reason="test",
        )
        await until(lambda: not knows(feed))


async def test_setting_the_time_of_day_breaks_no_lease(authority_engine: Engine) -> None:
    instants = iter([100.0, 100.0, 100.9, 101.0])
    feed = AuthorityFeed(
        SqlAuthorityLog(authority_engine),
        revocations=SqlRevocationLog(authority_engine),
        clock=SystemClock(),
        poll_seconds=POLL,
        lease_seconds=LEASE,
        monotonic=lambda: next(instants),
        bell=PollBell(),
    )
    await feed.refresh()
    assert [knows(feed) for _ in range(3)] == [True, True, False]
    await feed.stop()


async def test_a_stopped_feed_reads_no_more(authority_engine: Engine) -> None:
    async with following(authority_engine, poll=0.01) as feed:
        pass
    append(authority_engine, operator())
    await asyncio.sleep(0.1)
    assert not feed.current().authority.operators


async def test_a_server_that_stops_answering_makes_the_feed_refuse_until_it_goes_on(
    postgres_engines: Engines,
) -> None:
    """The process behind the feed's connection is frozen, as by a host out of memory."""
    engine = postgres_engines.authority
    append(engine, operator())
    async with following(engine, poll=0.05, lease=0.5, bell=PollBell()) as feed:
        with postgres_engines.records.connect() as connection:
            backends = connection.execute(
                text(
                    "SELECT pid FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ).scalars()
            pids = list(backends)
        assert pids
        with frozen(pids):
            await refuses(feed, since=time.monotonic(), within=0.5)
        await until(lambda: knows(feed))
