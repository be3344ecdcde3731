"""Room held for answers of other regions, on both stores: a quota is exceeded by one answer at
most, whoever asks at once; and what such an answer comes to is charged and counted in any case."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from random import Random
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.holds import Hold, HoldKey, Room
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import (
    Busy,
    Charged,
    Held,
    LineCount,
    NotCharged,
    Outcome,
    Replayed,
    TooFast,
)
from gateway.meter.quota_holds import QuotaHolds
from gateway.meter.rates import MICROS, Debit, RateKey
from gateway.meter.rates_tables import RATE_USE
from gateway.meter.tables import QUOTA_HOLDS
from gateway.storage.engines import reading
from tests.clock import StandingClock
from tests.meter.world import DAY, NOW, claim, quota_used, stored, with_lines
from tests.receipts import RECEIPTS

QUOTA = 100
LONG = 60
EXHAUSTED = RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED


@pytest.fixture
def clock() -> StandingClock:
    """The clock of `ledger`."""
    return StandingClock()


@pytest.fixture
def ledger(records_engine: Engine, clock: StandingClock) -> UsageLedger:
    """A ledger on an empty store."""
    return UsageLedger(with_lines(records_engine), clock, RECEIPTS)


def held(ledger: UsageLedger, name: str, records: int = 40, **changed: Any) -> Outcome:
    """Ask for room, in a day's quota of 100."""
    takes = Room(Hold(changed.get("operator_id", "alpha"), name, records, NOW + LONG))
    (outcome,) = ledger.commit([claim(name, takes=takes, daily_quota=QUOTA, **changed)])
    return outcome


def given(ledger: UsageLedger, name: str, records: int, **changed: Any) -> Outcome:
    """Charge records of another region, for which room was held under the same name."""
    lines = (LineCount(1, records, 7),)
    owed = claim(name, lines=lines, owed=True, gives_back=name, daily_quota=QUOTA)
    (outcome,) = ledger.commit([owed._replace(**changed)])
    return outcome


def own(ledger: UsageLedger, name: str, *entries: int) -> Outcome:
    """Charge records of this region."""
    (outcome,) = ledger.commit([claim(name, entries, daily_quota=QUOTA)])
    return outcome


def holds(engine: Engine) -> int:
    """Return how many holds are kept."""
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(QUOTA_HOLDS)).scalar_one()


def test_what_is_held_is_not_left_for_others_until_it_is_charged(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    assert held(ledger, "a") == held(ledger, "b") == Held()
    # There are 20 left, and an answer is asked for while any are.
    assert held(ledger, "c") == Held()
    assert held(ledger, "d") == Busy()
    # Each has half of what is left at most, and so 15 are held for nobody.
    assert own(ledger, "none") == Charged(0)
    assert own(ledger, "own", *range(1, 16)) == Charged(105)
    # Whatever it has, or it would tell what that is.
    for entries in ((), (1,), range(1, 17)):
        refused = own(ledger, "another", *entries)
        assert isinstance(refused, NotCharged)
        assert (refused.reason, refused.retry_after) == (EXHAUSTED, 1)
    assert given(ledger, "a", 10) == Charged(70)
    assert given(ledger, "c", 0) == Charged(0)
    assert set(quota_used(records_engine).values()) == {25}
    assert own(ledger, "other", *range(1, 17)) == Charged(112)
    assert set(quota_used(records_engine).values()) == {41}
    assert held(ledger, "d") == Held()
    assert holds(records_engine) == 2
    assert [row.region_records for row in stored(records_engine) if row.request_id == "a"] == [10]


def test_what_is_left_is_shared_among_the_regions_of_a_question(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    def share(name: str, among: int, **changed: Any) -> Outcome:
        takes = Room(Hold("alpha", name, 40, NOW + LONG), 4, among)
        (outcome,) = ledger.commit([claim(name, takes=takes, daily_quota=QUOTA, **changed)])
        return outcome

    def records() -> list[int]:
        with reading(records_engine) as connection:
            query = select(QUOTA_HOLDS.c.records).order_by(QUOTA_HOLDS.c.hold_id)
            return list(connection.execute(query).scalars())

    # Of what is left each gets its share, where that is less than it wants.
    assert share("a", 2) == share("b", 2) == Held()
    assert records() == [40, 30]
    # And four at least, of half of what is left.
    assert [share(name, 4) for name in "cdefghi"] == [Held()] * 7
    assert records()[2:] == [7, 5, 4, 4, 4, 3, 2]
    assert share("j", 4) == Busy()
    # Of a limit too: it has 30, of which more are held.
    QuotaHolds(records_engine).give_back(HoldKey("alpha", "a"))
    look = (debit(1),)
    assert share("j", 4, debits=look) == Busy()
    QuotaHolds(records_engine).give_back(HoldKey("alpha", "b"))
    QuotaHolds(records_engine).give_back(HoldKey("alpha", "c"))
    assert share("j", 1, debits=look) == Held()
    # Alone it has half of what is left too; while it may come to 40 nothing more is begun so.
    assert records()[-1] == 4
    assert share("k", 1, debits=look) == Busy()


def test_what_its_region_metered_is_charged_beyond_the_quota_and_then_nothing_more_is_given(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    assert held(ledger, "a", 1_000) == Held()
    assert held(ledger, "b") == Busy()
    assert given(ledger, "a", QUOTA + 25) == Charged(7 * (QUOTA + 25))
    assert set(quota_used(records_engine).values()) == {QUOTA + 25}
    for refused in (held(ledger, "b"), own(ledger, "own", 1), own(ledger, "none")):
        assert isinstance(refused, NotCharged)
        assert refused.reason == EXHAUSTED
        assert refused.retry_after == DAY - NOW % DAY
    # A retry of what was charged is free.
    assert given(ledger, "a", QUOTA + 25) == Replayed("d-a")
    assert set(quota_used(records_engine).values()) == {QUOTA + 25}
    assert holds(records_engine) == 0


def test_a_hold_that_nothing_came_of_ends_by_itself_and_by_word(
    ledger: UsageLedger, records_engine: Engine, clock: StandingClock
) -> None:
    assert held(ledger, "a", QUOTA) == Held()
    assert held(ledger, "b") == Busy()
    QuotaHolds(records_engine).give_back(HoldKey("alpha", "a"))
    assert held(ledger, "b", QUOTA) == Held()
    assert held(ledger, "c", operator_id="beta") == Held()
    clock.at += LONG - 1
    assert held(ledger, "d") == Busy()
    clock.at += 1
    assert held(ledger, "d") == Held()
    assert holds(records_engine) == 2


def test_askers_at_once_exceed_a_quota_by_less_than_one_answer(records_engine: Engine) -> None:
    with_lines(records_engine)
    most = 37

    def ask(asker: int) -> None:
        # As another process would.
        ledger, random = UsageLedger(records_engine, StandingClock(), RECEIPTS), Random(asker)
        for number in count():
            name = f"q-{asker}-{number}"
            outcome = held(ledger, name, most)
            if isinstance(outcome, NotCharged):
                break
            # Its region takes a while.
            sleep(0.003)
            if outcome == Held():
                given(ledger, name, random.randint(0, most))
        ledger.close()

    with ThreadPoolExecutor(6) as askers:
        list(askers.map(ask, range(6)))
    (used,) = quota_used(records_engine).values()
    assert QUOTA <= used < QUOTA + most
    assert holds(records_engine) == 0


BURST, INTERVAL = 30, MICROS


def debit(cells: int) -> Debit:
    """Return what an answer takes of a limit of one record a second, 30 at once."""
    return Debit(RateKey("alpha", "limit", ""), INTERVAL, BURST, cells, least=1, of_records=True)


class _Ticking(StandingClock):
    micro: int = NOW * MICROS

    def micros(self) -> int:
        return self.micro


def test_records_beyond_a_limit_are_owed_until_they_are_earned(records_engine: Engine) -> None:
    clock = _Ticking()
    ledger = UsageLedger(with_lines(records_engine), clock, RECEIPTS)
    look = (debit(1),)
    assert held(ledger, "a", debits=look) == Held()
    # One at a time where a limit might not have room for both.
    assert held(ledger, "b", debits=look) == Busy()
    assert given(ledger, "a", 80, debits=(debit(80),)) == Charged(560)
    assert isinstance(held(ledger, "b", debits=look), TooFast)
    clock.micro += 50 * INTERVAL
    refused = held(ledger, "b", debits=look)
    assert isinstance(refused, TooFast)
    assert refused.wait == INTERVAL
    clock.micro += INTERVAL
    assert held(ledger, "b", debits=look) == Held()
    with reading(records_engine) as connection:
        # Nothing of it was taken to look.
        assert connection.execute(select(RATE_USE.c.arrival)).scalar_one() == (NOW + 80) * MICROS


def test_a_clock_set_back_makes_nobody_wait_for_more_than_is_owed(records_engine: Engine) -> None:
    clock = _Ticking()
    ledger = UsageLedger(with_lines(records_engine), clock, RECEIPTS)
    assert given(ledger, "a", 80, debits=(debit(80),)) == Charged(560)
    clock.micro -= 3_600 * MICROS
    assert held(ledger, "b", debits=(debit(1),)) == Held()


def test_what_is_held_is_not_left_of_a_limit_of_records_either(ledger: UsageLedger) -> None:
    def ask(name: str, *entries: int, debits: tuple[Debit, ...]) -> Outcome:
        (outcome,) = ledger.commit([claim(name, entries, debits=debits, daily_quota=QUOTA)])
        return outcome

    assert held(ledger, "a", BURST // 2, debits=(debit(1),)) == Held()
    most = BURST - BURST // 2
    assert isinstance(ask("own", *range(most - 1), debits=(debit(most - 1),)), Charged)
    assert isinstance(ask("last", *range(2), debits=(debit(2),)), Charged)
    for entries in ((), (1,), range(1, 9)):
        refused = ask("more", *entries, debits=(debit(max(1, len(entries))),))
        assert isinstance(refused, TooFast)
        assert refused.wait == MICROS
    # What counts subjects is no record.
    lookups = debit(1)._replace(of_records=False)
    assert isinstance(ask("lookup", debits=(lookups,)), Charged)
    given(ledger, "a", 3, debits=(debit(3),))
    assert isinstance(ask("again", debits=(debit(1),)), Charged)
