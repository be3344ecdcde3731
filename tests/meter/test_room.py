"""What an answer under way gets of a quota: never so much that nothing else goes on, and no more of
them at once than go beyond what is left by one."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from gateway.meter.holds import Hold, HoldKey, Room
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Busy, Charged, Held, LineCount, Outcome
from gateway.meter.quota_holds import QuotaHolds
from gateway.meter.tables import QUOTA_HOLDS
from gateway.storage.engines import reading
from tests.clock import StandingClock
from tests.meter.world import NOW, claim, quota_used, with_lines
from tests.receipts import RECEIPTS

QUOTA = 100


def room(wanted: int, least: int = 1, among: int = 1) -> Room:
    return Room(Hold("alpha", "a", wanted, NOW + 60), least, among)


@given(
    left=st.integers(1, 10_000),
    beyond=st.integers(0, 100),
    wanted=st.integers(1, 20_000),
    least=st.integers(1, 2_000),
    among=st.integers(1, 30),
)
def test_no_answer_has_more_than_half_of_what_is_left_held(
    left: int, beyond: int, wanted: int, least: int, among: int
) -> None:
    hold = room(wanted, least, among).of(left, beyond)
    if hold is not None:
        assert 1 <= hold.records <= min(wanted, (left + 1) // 2)


class Step(NamedTuple):
    """An answer is begun that needs so much, and ``own`` records are served here; then the
    ``ended``-th of those under way comes, if there is one, with so much of what it needs."""

    needs: int
    own: int
    ended: int
    percent: int


steps = st.builds(
    Step,
    needs=st.integers(1, 80),
    own=st.integers(0, 30),
    ended=st.integers(0, 9),
    percent=st.integers(0, 100),
)


@given(some=st.lists(steps, max_size=40))
def test_all_at_once_go_beyond_what_is_left_by_less_than_one_needs(some: list[Step]) -> None:
    used, largest, under_way = 0, 0, list[Hold]()
    for step in some:
        free = QUOTA - used - sum(hold.records for hold in under_way)
        hold = room(step.needs).of(free, sum(each.beyond for each in under_way))
        if hold is not None:
            under_way.append(hold)
            free, largest = free - hold.records, max(largest, step.needs)
        used += min(step.own, max(0, free))
        needed = [each.records + each.beyond for each in under_way]
        # If all of it comes.
        assert used + sum(needed) < QUOTA + max(1, largest)
        if step.ended < len(under_way):
            del under_way[step.ended]
            used += needed[step.ended] * step.percent // 100


@pytest.fixture
def ledger(records_engine: Engine) -> UsageLedger:
    """A ledger on an empty store."""
    return UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)


def held(ledger: UsageLedger, name: str, wanted: int, among: int = 1) -> Outcome:
    takes = room(wanted, 2, among)
    takes = takes._replace(hold=takes.hold._replace(hold_id=name))
    (outcome,) = ledger.commit([claim(name, takes=takes, daily_quota=QUOTA)])
    return outcome


def own(ledger: UsageLedger, name: str, *entries: int) -> Outcome:
    (outcome,) = ledger.commit([claim(name, entries, daily_quota=QUOTA)])
    return outcome


def kept(engine: Engine) -> dict[str, tuple[int, int]]:
    """Return what is held, and what goes beyond it, by hold."""
    row = QUOTA_HOLDS.c
    with reading(engine) as connection:
        found = connection.execute(select(row.hold_id, row.records, row.beyond))
        return {hold_id: (records, beyond) for hold_id, records, beyond in found}


def test_beside_one_that_needs_more_than_there_is_go_those_that_fit(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    assert held(ledger, "hanging", 1_000) == Held()
    assert own(ledger, "own", 1) == Charged(7)
    assert held(ledger, "fits", 20) == Held()
    assert held(ledger, "large", 1_000) == Busy()
    assert kept(records_engine) == {"hanging": (50, 950), "fits": (20, 0)}


def test_one_that_is_late_keeps_the_least_and_leaves_the_rest(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    holds = QuotaHolds(records_engine)
    assert held(ledger, "late", 1_000) == Held()
    assert held(ledger, "fits", 20) == Held()
    holds.ease(HoldKey("alpha", "late"), 10, NOW, needed=True)
    assert kept(records_engine) == {"late": (10, 990), "fits": (20, 0)}
    # So much may come beyond what is left that no other may.
    holds.ease(HoldKey("alpha", "fits"), 2, NOW, needed=True)
    assert kept(records_engine)["fits"] == (20, 0)
    assert held(ledger, "large", 1_000) == Busy()
    assert own(ledger, "own", *range(1, 71)) == Charged(490)
    # What comes of it late is charged, and nothing is held for it then.
    late = claim("late", lines=(LineCount(1, 1_000, 7),), owed=True, gives_back="late")
    assert ledger.commit([late._replace(daily_quota=QUOTA)]) == [Charged(7_000)]
    assert set(quota_used(records_engine).values()) == {1_070}
    holds.ease(HoldKey("alpha", "late"), 1, NOW, needed=True)
    assert kept(records_engine) == {"fits": (20, 0)}


def test_one_of_several_that_is_late_keeps_what_each_has_at_least(
    ledger: UsageLedger, records_engine: Engine
) -> None:
    assert held(ledger, "a", 40, among=3) == held(ledger, "b", 40, among=3) == Held()
    before = kept(records_engine)
    QuotaHolds(records_engine).ease(HoldKey("alpha", "a"), 2, NOW, needed=False)
    assert kept(records_engine) == {"a": (2, 0), "b": before["b"]}
