"""Groups that the event loop writes itself: only where it waits for nobody, and as whole as others."""

import asyncio
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from sqlite3 import OperationalError, connect
from typing import Any

import pytest
from sqlalchemy import Engine

from creditgate.refusal import Refused
from gateway.meter import sqlite
from gateway.meter.committer import GroupCommitter
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, Unwritable
from gateway.meter.rates import Debit, RateKey
from tests.clock import StandingClock
from tests.meter.faults import failing_commit
from tests.meter.world import claim, refusal, stored, with_lines
from tests.receipts import RECEIPTS
from tests.stores import SqliteStores, engines_of


@pytest.fixture
def engine(sqlite_stores: SqliteStores) -> Generator[Engine]:
    """An empty SQLite store."""
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        yield with_lines(engines.records)


def ledger_on(engine: Engine) -> UsageLedger:
    """Return a ledger that has written before."""
    ledger = UsageLedger(engine, StandingClock(), RECEIPTS)
    ledger.commit([], [refusal()])
    return ledger


@contextmanager
def written_by_another(engine: Engine) -> Generator[None]:
    """Hold the store's write lock."""
    assert engine.url.database is not None
    with closing(connect(engine.url.database, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def names(engine: Engine) -> list[str]:
    """Return the requests that are charged."""
    return [row.request_id for row in stored(engine)]


def test_what_is_begun_is_charged_when_it_is_finished(engine: Engine) -> None:
    ledger = ledger_on(engine)
    assert ledger.begin_at_once([claim("r-1", [1]), claim("r-2", [1, 2])]) == [
        Charged(7),
        Charged(14),
    ]
    assert names(engine) == []
    with pytest.raises(OperationalError, match="locked"), written_by_another(engine):
        pass
    ledger.finish()
    assert names(engine) == ["r-1", "r-2"]
    with written_by_another(engine):
        pass


def test_what_is_begun_and_not_finished_is_not_charged(engine: Engine) -> None:
    ledger = ledger_on(engine)
    assert ledger.begin_at_once([claim("r-1", [1])]) == [Charged(7)]
    ledger.close()
    assert names(engine) == []
    assert ledger.commit([claim("r-1", [1])]) == [Charged(7)]


def test_nothing_is_begun_before_the_ledger_has_written(records_engine: Engine) -> None:
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    assert ledger.begin_at_once([claim("r-1", [1])]) is None
    assert ledger.commit([claim("r-1", [1])]) == [Charged(7)]
    begun = ledger.begin_at_once([claim("r-2", [1])])
    # A server is waited for at each statement.
    assert (begun is None) == (records_engine.dialect.name == "postgresql")
    if begun is not None:
        ledger.finish()


def test_nothing_is_begun_while_another_writes(engine: Engine) -> None:
    ledger, other = ledger_on(engine), ledger_on(engine)
    with written_by_another(engine):
        assert ledger.begin_at_once([claim("r-1", [1])]) is None
    assert other.begin_at_once([claim("r-2", [1])]) == [Charged(7)]
    assert ledger.begin_at_once([claim("r-1", [1])]) is None
    other.finish()
    # Nor was a turn kept that others wait for.
    assert other.commit([claim("r-3", [1])]) == [Charged(7)]
    assert ledger.begin_at_once([claim("r-1", [1])]) == [Charged(7)]
    ledger.finish()
    assert names(engine) == ["r-2", "r-3", "r-1"]


def test_what_cannot_be_written_is_left_to_be_committed(engine: Engine) -> None:
    ledger = ledger_on(engine)
    claims = [claim("r-1", [1]), claim("r-2", [1], licence="\ud800"), claim("r-3", [1])]
    assert ledger.begin_at_once(claims) is None
    assert names(engine) == []
    assert ledger.commit(claims) == [Charged(7), Unwritable(), Charged(7)]


def test_nothing_is_begun_that_takes_long(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a disk that is slow: it is broken off, and for a while nothing is tried."""
    ledger = ledger_on(engine)
    claims = [claim(f"r-{number}", [1, 2]) for number in range(50)]
    with monkeypatch.context() as slow:
        slow.setattr(sqlite, "_MOST_AT_ONCE", 0)
        slow.setattr(sqlite, "_REST", 300_000_000)
        assert ledger.begin_at_once(claims) is None
    assert names(engine) == []
    with written_by_another(engine):
        pass
    assert ledger.commit(claims[:1]) == [Charged(14)]
    assert ledger.begin_at_once(claims[1:]) is None
    time.sleep(0.3)
    assert ledger.begin_at_once(claims[1:]) == [Charged(14)] * 49
    ledger.finish()
    assert len(names(engine)) == 50


def test_who_may_wait_takes_as_long_as_it_takes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_MOST_AT_ONCE", 200_000_000)
    ledger = ledger_on(engine)
    assert ledger.begin_at_once([claim("r-1", [1])]) == [Charged(7)]
    ledger.finish()
    time.sleep(0.25)
    claims = [claim(f"late-{number}", [1]) for number in range(200)]
    assert ledger.commit(claims) == [Charged(7)] * 200


@pytest.mark.parametrize(("count", "entries"), [(129, 1), (1, 1_025), (64, 17)])
def test_nothing_is_begun_that_is_much(engine: Engine, count: int, entries: int) -> None:
    ledger = ledger_on(engine)
    claims = [claim(f"r-{number}", range(1, 1 + entries)) for number in range(count)]
    assert ledger.begin_at_once(claims) is None
    if count > 1:
        assert ledger.begin_at_once(claims[: count // 2]) == [Charged(7 * entries)] * (count // 2)
        ledger.finish()


@pytest.mark.parametrize("of_what", ["subjects", "debits"])
def test_nothing_is_begun_about_many_subjects_or_limits(engine: Engine, of_what: str) -> None:
    """Of which there may be none disclosed, so that the answers have no entries."""
    debits = [
        Debit(RateKey("alpha", "limit", f"subject-{n}"), 1_000_000, 10, 1, 1) for n in range(257)
    ]
    many: dict[str, Any] = {"asked_subjects": 513}
    few: dict[str, Any] = {"asked_subjects": 512}
    if of_what == "debits":
        many, few = {"debits": tuple(debits)}, {"debits": tuple(debits[:256])}
    ledger = ledger_on(engine)
    for changes, begins in ((many, False), (few, True)):
        claims = [claim(f"{begins}-{number}", **changes) for number in range(2)]
        begun = ledger.begin_at_once(claims)
        assert (begun == [Charged(0)] * 2) is begins
    ledger.finish()


async def test_the_loop_goes_on_while_another_writes(engine: Engine) -> None:
    committer = GroupCommitter(UsageLedger(engine, StandingClock(), RECEIPTS), lambda size: None)
    assert await committer.charge(claim("r-1", [1])) == Charged(7)
    with written_by_another(engine):
        asked = committer.charge(claim("r-2", [1]))
        # SQLite's lock is waited for up to ten seconds.
        async with asyncio.timeout(5):
            for _ in range(20):
                await asyncio.sleep(0.01)
        assert not asked.done()
    assert await asked == Charged(7)
    assert await committer.charge(claim("r-3", [1])) == Charged(7)
    await asyncio.to_thread(committer.close)
    assert names(engine) == ["r-1", "r-2", "r-3"]


async def test_what_was_begun_and_fails_at_its_commit_is_not_served(engine: Engine) -> None:
    with failing_commit(engine):
        ledger = UsageLedger(engine, StandingClock(), RECEIPTS)
        committer = GroupCommitter(ledger, lambda size: None)
        # Opens the connection; the fault is met by uses alone.
        await committer.log_refusal(refusal())
        asked = [committer.charge(claim(f"r-{number}", [1])) for number in range(3)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Refused}
        assert names(engine) == []
    assert await committer.charge(claim("r-1", [1])) == Charged(7)
    await asyncio.to_thread(committer.close)
