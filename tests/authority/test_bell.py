"""PostgreSQL's bell: it rings long before the poll, and outlives its connection."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine, create_engine, text

from gateway.authority.bell import PostgresBell
from gateway.storage.engines import Engines
from tests.authority.following import (
    LONG_POLL,
    SUSPENDED,
    acted_on,
    append,
    following,
    state_of,
    until,
)
from tests.operators.things import operator


async def rung(bell: PostgresBell) -> float:
    """Return after how long the bell rang."""
    started = time.monotonic()
    await bell.wait(LONG_POLL)
    return time.monotonic() - started


@asynccontextmanager
async def listening(engine: Engine) -> AsyncGenerator[PostgresBell]:
    """Have a bell that listens: it rings once when it begins to."""
    bell = PostgresBell(engine)
    try:
        assert await rung(bell) < 5
        yield bell
    finally:
        await bell.close()


async def test_an_append_rings_the_bell_long_before_the_poll(postgres_engines: Engines) -> None:
    async with listening(postgres_engines.authority) as bell:
        for number in range(3):
            waiting = asyncio.create_task(rung(bell))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(
                append, postgres_engines.authority, operator(operator_id=f"op-{number}")
            )
            assert await waiting < 5


async def test_it_listens_by_the_options_that_the_database_is_set_with(
    postgres_engines: Engines,
) -> None:
    options = {"options": "-c statement_timeout=30000", "application_name": "a gateway"}
    url = postgres_engines.authority.url.update_query_dict(options)
    engine = create_engine(url)
    bell = PostgresBell(engine)
    assert await bell.wait(5)
    await bell.close()
    engine.dispose()


async def test_a_bell_rung_while_nobody_waited_is_heard(postgres_engines: Engines) -> None:
    async with listening(postgres_engines.authority) as bell:
        append(postgres_engines.authority, operator())
        await asyncio.sleep(0.2)
        assert await rung(bell) < 5


@pytest.mark.parametrize("steps", range(4))
async def test_a_wait_given_up_as_the_bell_rings_is_given_up(
    postgres_engines: Engines, steps: int
) -> None:
    async with listening(postgres_engines.authority) as bell:
        waiting = asyncio.create_task(bell.wait(LONG_POLL))
        await asyncio.sleep(0.01)
        bell._rung.set()  # pyright: ignore[reportPrivateUsage]
        for _ in range(steps):
            await asyncio.sleep(0)
        if waiting.done():
            return
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_a_bell_that_is_not_rung_returns_after_the_poll(postgres_engines: Engines) -> None:
    async with listening(postgres_engines.authority) as bell:
        started = time.monotonic()
        await bell.wait(0.2)
        assert 0.19 < time.monotonic() - started < 5


async def test_a_feed_with_a_long_poll_sees_a_change_by_its_bell(
    postgres_engines: Engines,
) -> None:
    append(postgres_engines.authority, operator())
    engine = postgres_engines.authority
    async with (
        listening(engine) as bell,
        following(engine, poll=LONG_POLL, lease=60, bell=bell) as feed,
    ):
        append(engine, operator(state=SUSPENDED), version=1)
        await until(lambda: state_of(feed) == SUSPENDED, 5.0)


LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


def terminate_listeners(engine: Engine) -> int:
    """Cut the bell's connections as an administrator would; return how many."""
    with engine.begin() as connection:
        return len(connection.execute(text(f"SELECT pg_terminate_backend(pid) {LISTENERS}")).all())


async def test_a_bell_outlives_its_connection_and_tells_what_it_missed(
    postgres_engines: Engines,
) -> None:
    engine = postgres_engines.authority
    async with listening(engine) as bell:
        assert terminate_listeners(engine) == 1
        # Nobody listens now: this is only heard because listening again rings.
        append(engine, operator())
        assert await rung(bell) < 5
        waiting = asyncio.create_task(rung(bell))
        await asyncio.to_thread(append, engine, operator(operator_id="beta"))
        assert await waiting < 5


async def test_a_feed_goes_on_by_polling_while_its_bell_is_silent(
    postgres_engines: Engines,
) -> None:
    engine = postgres_engines.authority
    append(engine, operator())
    async with listening(engine) as bell, following(engine, bell=bell) as feed:
        terminate_listeners(engine)
        append(engine, operator(state=SUSPENDED), version=1)
        await acted_on(feed, SUSPENDED, time.monotonic())


async def test_a_closed_bell_leaves_no_connection(postgres_engines: Engines) -> None:
    engine = postgres_engines.authority
    async with listening(engine):
        pass

    def listeners() -> int:
        with engine.connect() as connection:
            return connection.execute(text(f"SELECT count(*) {LISTENERS}")).scalar_one()

    await until(lambda: listeners() == 0)
