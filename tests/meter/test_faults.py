"""Stores that fail: nothing is answered without durable entries, nothing is charged twice."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.committer import GroupCommitter
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, Outcome, Replayed
from tests.clock import StandingClock
from tests.meter.faults import LossyWire, disk_full, failing_commit, killed_backend
from tests.meter.world import claim, quota_used, refusal, stored, with_lines
from tests.receipts import RECEIPTS
from tests.stores import PostgresStores, SqliteStores, engines_of

_UNAVAILABLE = RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE
RECORDS = 5_000
CHARGED = Charged(7 * RECORDS)


@asynccontextmanager
async def committer_on(engine: Engine) -> AsyncGenerator[GroupCommitter]:
    """Open and close a committer over a ledger."""
    committer = GroupCommitter(
        UsageLedger(with_lines(engine), StandingClock(), RECEIPTS), lambda size: None
    )
    yield committer
    await asyncio.to_thread(committer.close)


async def ask(committer: GroupCommitter) -> list[Outcome | BaseException]:
    """Return what becomes of three claims, with a refusal among them."""
    asked = [committer.charge(claim(f"r-{number}", range(1, 1 + RECORDS))) for number in range(3)]
    await asyncio.gather(committer.log_refusal(refusal()), return_exceptions=True)
    return await asyncio.gather(*asked, return_exceptions=True)


def told_to_try_again(outcomes: Sequence[Outcome | BaseException]) -> bool:
    """Tell whether nothing was served, and each caller knows that it may be later."""
    return all(
        isinstance(each, Refused) and each.reason == _UNAVAILABLE and each.retry_after == 1
        for each in outcomes
    )


@pytest.fixture
def sqlite_engine(sqlite_stores: SqliteStores) -> Generator[Engine]:
    """An empty SQLite store."""
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        yield engines.records


@pytest.fixture
def postgres_engine(postgres_stores: PostgresStores) -> Generator[Engine]:
    """An empty PostgreSQL store."""
    with postgres_stores.database() as store, engines_of(*store) as engines:
        yield engines.records


async def test_full_disk_charges_nothing_until_there_is_room(
    sqlite_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with committer_on(sqlite_engine) as committer:
        assert await committer.charge(claim("before", [1])) == Charged(7)
    async with committer_on(sqlite_engine) as committer:
        # SQLite's limit is a connection's own; this committer's is taken from here on.
        with disk_full(sqlite_engine):
            assert told_to_try_again(await ask(committer))
            assert [row.request_id for row in stored(sqlite_engine)] == ["before"]
            assert sum(quota_used(sqlite_engine).values()) == 1
        failed = [each for each in caplog.messages if "usage ledger failed" in each]
        assert failed
        assert all(each.endswith("OperationalError (SQLITE_FULL)") for each in failed)
        assert await ask(committer) == [CHARGED] * 3
    assert sum(quota_used(sqlite_engine).values()) == 1 + 3 * RECORDS


async def test_commit_that_fails_charges_nothing(records_engine: Engine) -> None:
    async with committer_on(records_engine) as committer:
        with failing_commit(records_engine):
            assert told_to_try_again(await ask(committer))
            assert not stored(records_engine)
            assert not quota_used(records_engine)
        assert await ask(committer) == [CHARGED] * 3


@pytest.mark.parametrize("at_commit", [False, True])
async def test_killed_backend_charges_nothing_and_is_replaced(
    postgres_engine: Engine, at_commit: bool
) -> None:
    async with committer_on(postgres_engine) as committer:
        with killed_backend(postgres_engine, at_commit=at_commit):
            assert told_to_try_again(await ask(committer))
            assert not stored(postgres_engine)
        assert await ask(committer) == [CHARGED] * 3


async def test_backends_killed_between_calls_are_not_noticed(postgres_engine: Engine) -> None:
    async with committer_on(postgres_engine) as committer:
        assert await committer.charge(claim("before", [1])) == Charged(7)
        with postgres_engine.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert await ask(committer) == [CHARGED] * 3


async def test_commit_whose_answer_is_lost_is_found_by_the_retry(
    postgres_stores: PostgresStores,
) -> None:
    """What became of it is unknown, so nothing is served; the retry pays nothing more."""
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_stores.database() as (database, home),
        LossyWire(make_url(database), Path(folder)) as wire,
        engines_of(wire.url, home) as engines,
    ):
        async with committer_on(engines.records) as committer:
            assert await committer.charge(claim("before", [1])) == Charged(7)
            wire.swallow.set()
            lost = await asyncio.gather(
                committer.charge(claim("lost", [1, 2])), return_exceptions=True
            )
            assert told_to_try_again(lost)
            wire.swallow.clear()
            assert await committer.charge(claim("lost", [1, 2])) == Replayed("d-lost")
        assert [row.request_id for row in stored(engines.records)] == ["before", "lost"]
        assert sum(quota_used(engines.records).values()) == 3
