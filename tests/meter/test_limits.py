"""Limits in the ledger, on both stores: exact for all processes, and nothing else is touched."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import SystemClock
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, NotCharged, Outcome, Replayed, Stale, TooFast
from gateway.meter.rates import MICROS, Debit, RateKey
from gateway.meter.rates_sql import MOST_PRUNED
from gateway.meter.rates_tables import RATE_USE
from gateway.storage.engines import reading
from tests.clock import StandingClock
from tests.meter.world import NOW, claim, quota_used, stored, with_lines
from tests.receipts import RECEIPTS
from tests.stores import engines_of

BURST, INTERVAL = 30, MICROS // 10


def debit(cells: int = 1, *, operator_id: str = "alpha", key: str = "", **changed: int) -> Debit:
    """Return what an answer takes of a limit of 10 a second and 30 at once."""
    made = Debit(RateKey(operator_id, "limit", key), INTERVAL, BURST, cells, cells)
    return made._replace(**changed)


def counts(engine: Engine) -> dict[str, int]:
    """Return how far ahead of now the arrival times of operator alpha are, by key."""
    with reading(engine) as connection:
        rows = connection.execute(select(RATE_USE)).all()
    return {row.key: row.arrival - NOW * MICROS for row in rows if row.operator_id == "alpha"}


class TickingClock(StandingClock):
    """A clock that tells microseconds, and moves when set."""

    micro: int = NOW * MICROS

    def micros(self) -> int:
        """Give the time it is set to."""
        return self.micro


@pytest.fixture
def clock() -> TickingClock:
    """The clock of `ledger`."""
    return TickingClock()


@pytest.fixture
def ledger(records_engine: Engine, clock: TickingClock) -> UsageLedger:
    """A ledger on an empty store."""
    return UsageLedger(with_lines(records_engine), clock, RECEIPTS)


def asked(ledger: UsageLedger, name: str, *debits: Debit, entries: Sequence[int] = (1,)) -> Outcome:
    """Return what becomes of one claim."""
    (outcome,) = ledger.commit([claim(name, entries, debits=debits)])
    return outcome


def test_an_answer_too_soon_is_charged_nothing_and_told_when(
    ledger: UsageLedger, records_engine: Engine, clock: TickingClock
) -> None:
    assert asked(ledger, "r-1", debit(BURST - 1)) == Charged(7)
    too_fast = asked(ledger, "r-2", debit(3))
    assert isinstance(too_fast, TooFast)
    assert (too_fast.key.limit_id, too_fast.wait) == ("limit", 2 * INTERVAL)
    assert len(stored(records_engine)) == 1
    assert set(quota_used(records_engine).values()) == {1}
    assert counts(records_engine) == {"": (BURST - 1) * INTERVAL}
    clock.micro += too_fast.wait - 1
    assert isinstance(asked(ledger, "r-2", debit(3)), TooFast)
    clock.micro += 1
    assert asked(ledger, "r-2", debit(3)) == Charged(7)


@pytest.mark.parametrize("records", [1, 2, BURST, 9 * BURST])
def test_whoever_is_refused_learns_nothing_of_how_many_records_there_are(
    ledger: UsageLedger, clock: TickingClock, records: int
) -> None:
    """G11: while one unit is left an answer is given whole, and what is too much is owed."""
    assert asked(ledger, "r-1", debit(BURST - 1, least=1)) == Charged(7)
    assert asked(ledger, "r-2", debit(records, least=1)) == Charged(7)
    waits = [asked(ledger, f"r-{3 + more}", debit(more, least=1)) for more in (1, 5, 99)]
    assert {each.wait for each in waits if isinstance(each, TooFast)} == {records * INTERVAL}
    clock.micro += records * INTERVAL - 1
    assert isinstance(asked(ledger, "r-6", debit(least=1)), TooFast)
    clock.micro += 1
    assert asked(ledger, "r-6", debit(99, least=1)) == Charged(7)


def test_what_is_left_is_told_with_what_is_charged(ledger: UsageLedger) -> None:
    outcome = asked(ledger, "r-1", debit(4, key="a"), debit(9, key="b"), entries=(1, 2))
    assert isinstance(outcome, Charged)
    assert outcome.left is not None
    assert (outcome.left.quota, outcome.left.of) == (999_998, 1_000_000)
    assert outcome.left.rates == (("limit", BURST - 9, 9 * INTERVAL),)


def test_only_what_is_charged_counts(ledger: UsageLedger, records_engine: Engine) -> None:
    once = claim("r-1", [1], debits=(debit(),))
    outcomes = ledger.commit(
        [
            once,
            once,
            once._replace(request_id="r-2", stands=lambda: False),
            once._replace(request_id="r-3", entries=b"", may_be_empty=False),
            once._replace(request_id="r-4", daily_quota=0),
        ]
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Charged, Replayed, Stale, NotCharged, NotCharged]
    assert counts(records_engine) == {"": INTERVAL}


def test_a_retry_of_what_was_charged_is_answered_however_fast(ledger: UsageLedger) -> None:
    once = claim("r-1", [1], debits=(debit(BURST),))
    assert ledger.commit([once]) == [Charged(7)]
    assert isinstance(asked(ledger, "r-2", debit()), TooFast)
    assert ledger.commit([once]) == [Replayed("d-r-1")]


def test_an_absent_record_is_refused_for_its_rate_as_one_that_is_there(
    ledger: UsageLedger,
) -> None:
    assert asked(ledger, "r-1", debit(BURST)) == Charged(7)
    (absent,) = ledger.commit([claim("r-2", [], may_be_empty=False, debits=(debit(),))])
    assert isinstance(absent, TooFast)
    (absent,) = ledger.commit([claim("r-3", [], may_be_empty=False)])
    assert absent == NotCharged(RefusalReason.REFUSAL_REASON_RECORD_NOT_DISCLOSED)


def test_counts_are_forgotten_once_they_say_nothing_more(
    ledger: UsageLedger, records_engine: Engine, clock: TickingClock
) -> None:
    many = [debit(key=f"s-{number}") for number in range(MOST_PRUNED + 5)]
    assert asked(ledger, "r-1", *many) == Charged(7)
    assert asked(ledger, "r-2", debit(9, key="later")) == Charged(7)
    assert len(counts(records_engine)) == MOST_PRUNED + 6
    clock.micro += INTERVAL
    for number in range(2):
        clock.at += 1
        assert asked(ledger, f"r-{3 + number}", debit(key="later")) == Charged(7)
    assert set(counts(records_engine)) == {"later"}


def test_two_processes_never_pass_a_limit_by_one_and_never_fall_short(
    store: tuple[str, Path],
) -> None:
    """On one clock that stands, with groups of several operators in opposite orders: exact."""
    operators = ["alpha", "beta", "gamma"]
    clock = TickingClock()

    def run(engine: Engine, name: str, step: int) -> list[Outcome]:
        ledger = UsageLedger(with_lines(engine), clock, RECEIPTS)
        return [
            outcome
            for number in range(8)
            for outcome in ledger.commit(
                [
                    claim(
                        f"{name}-{number}-{i}",
                        [1],
                        operator_id=operator,
                        debits=(debit(operator_id=operator),),
                    )
                    for i in range(4)
                    for operator in operators
                ][::step]
            )
        ]

    with (
        engines_of(*store) as one,
        engines_of(*store) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        for round_, earned in enumerate((BURST, 7, 0)):
            runs = [
                pool.submit(run, one.records, f"one-{round_}", 1),
                pool.submit(run, two.records, f"two-{round_}", -1),
            ]
            outcomes = [outcome for each in runs for outcome in each.result(60)]
            assert {type(outcome) for outcome in outcomes} <= {Charged, TooFast}
            assert outcomes.count(Charged(7)) == earned * len(operators)
            clock.micro += 7 * INTERVAL if round_ == 0 else INTERVAL - 1


@pytest.mark.parametrize(
    ("order", "most"),
    [("s" * 50 + "f" * 50, BURST + MICROS // INTERVAL), ("f" * 50 + "s" * 50, BURST)],
)
def test_clocks_apart_by_a_second_give_no_more_than_what_a_second_earns(
    store: tuple[str, Path], order: str, most: int
) -> None:
    behind, ahead = TickingClock(), TickingClock()
    ahead.micro += MICROS
    with engines_of(*store) as one, engines_of(*store) as two:
        ledgers = {
            "s": UsageLedger(with_lines(one.records), behind, RECEIPTS),
            "f": UsageLedger(two.records, ahead, RECEIPTS),
        }
        taken = [
            asked(ledgers[name], f"{name}-{number}", debit()) == Charged(7)
            for number, name in enumerate(order)
        ]
    assert sum(taken) == most


async def test_with_real_clocks_no_more_is_charged_than_a_burst_and_the_time_earns(
    store: tuple[str, Path],
) -> None:
    def run(engine: Engine, name: str) -> int:
        ledger = UsageLedger(with_lines(engine), SystemClock(), RECEIPTS)
        quick = debit(interval=MICROS // 200, burst=20)
        made = (
            claim(f"{name}-{number}", [1], debits=(quick,), good_until=2**40)
            for number in range(80)
        )
        return sum(ledger.commit([each]) == [Charged(7)] for each in made)

    clock = SystemClock()
    with engines_of(*store) as one, engines_of(*store) as two:
        begun = clock.micros()
        taken = sum(
            await asyncio.gather(
                asyncio.to_thread(run, one.records, "one"),
                asyncio.to_thread(run, two.records, "two"),
            )
        )
        passed = clock.micros() - begun
    assert 20 <= taken <= 20 + passed * 200 // MICROS
