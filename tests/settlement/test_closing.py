"""Closing: the same bytes every time, what is late adjusted later, and everything balances."""

from collections import Counter
from collections.abc import Iterable
from random import Random
from threading import Thread

import pytest

from creditgate.rating.components import FLAT, PriceComponent
from creditgate.rating.prices import PricePlan
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.settlement_service_pb2 import JournalEntryKind
from creditgate.v1.usage_service_pb2 import RevenueShare
from gateway.meter.tables import USAGE
from gateway.settle.month import Month, month_named
from gateway.settlement.checking import check_month
from gateway.settlement.documents import document_bytes
from gateway.settlement.rated_past import SqlRatedPast
from gateway.settlement.store import ClosedMonth, newest_closed
from gateway.storage.engines import Engines, reading
from tests.clock import StandingClock
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.settle.month import Served
from tests.settle.world import APRIL, MARCH
from tests.settlement.world import FEBRUARY, JANUARY, PLAN, RULE, Ledger, Months

pytestmark = rarely_on_postgresql

MAY = APRIL + 30 * 86_400
FEE = 10_001


def served(at: int, answer: int, subject: str = "x", source: str = "mem") -> Served:
    """Return one record served at the price in force."""
    return Served(at, answer, subject, "penalty", source, "11", 1, FEE)


def closed(months: Months, month: str, operator_id: str = "alpha") -> ClosedMonth:
    """Return a month that is closed."""
    found = months.closings.closed(operator_id, month)
    assert found is not None
    return found


def amounts(shares: Iterable[RevenueShare]) -> dict[str, int]:
    """Return shares by beneficiary."""
    found: Counter[str] = Counter()
    for share in shares:
        found[share.beneficiary] += share.amount_micro_yuan
    return dict(found)


def test_closing_again_gives_the_same_bytes_also_from_the_ledger(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1), served(JANUARY + 6, 2, "y", "tax")])
    first = months.close("2026-01")
    kept = closed(months, "2026-01")
    # Whatever comes later.
    ledger.serve([served(JANUARY + 7, 3), served(FEBRUARY + 1, 4)])
    months.put(MARCH, RULE.model_copy(update={"rule_id": "next", "effective_from": APRIL}))
    assert months.close("2026-01", now=MAY) == first
    assert closed(months, "2026-01") == kept
    assert months.closer.worked_out_again(kept) == kept.document
    assert months.statement("2026-01") == kept.statement
    assert document_bytes(kept.statement) == kept.document
    assert first.total_micro_yuan == 2 * FEE == sum(amounts(first.shares).values())


def test_ledger_that_was_tampered_with_gives_other_bytes(months: Months, ledger: Ledger) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    months.close("2026-01")
    with ledger.engines.records.begin() as connection:
        connection.execute(USAGE.update().values(lines="[[1,2,10001]]"))
    kept = closed(months, "2026-01")
    assert months.closer.worked_out_again(kept) != kept.document


@always_on_postgresql
def test_what_is_late_is_an_adjustment_of_its_month_in_the_next_closing(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1), served(JANUARY + 6, 2, "y")])
    months.close("2026-01", "r1")
    ledger.serve([served(JANUARY + 7, 3, "z", "tax"), served(FEBRUARY + 1, 4)])
    ledger.reverse(0, 1)
    months.close("2026-02", "r2")
    statement = closed(months, "2026-02").statement
    assert (statement.total_micro_yuan, statement.due_micro_yuan) == (FEE, FEE)
    (adjustment,) = statement.adjustments
    assert (adjustment.month, adjustment.before_micro_yuan) == ("2026-01", 2 * FEE)
    assert (adjustment.after_micro_yuan, adjustment.amount_micro_yuan) == (2 * FEE, 0)
    assert {(line.source, line.entries, line.fee_micro_yuan) for line in adjustment.lines} == {
        ("mem", -1, -FEE),
        ("tax", 1, FEE),
    }
    # Two records of one source had one odd micro-yuan more for the region.
    assert amounts(adjustment.shares) == {
        "sources/mem": -6_000,
        "sources/tax": 6_001,
        "regions/11": -1,
    }
    # Once is enough.
    months.close("2026-03", "r3")
    assert not closed(months, "2026-03").statement.adjustments


@always_on_postgresql
def test_use_of_a_month_nobody_closed_for_the_operator_is_not_lost(
    months: Months, ledger: Ledger
) -> None:
    months.close("2026-01")
    beta = Ledger(ledger.engines, "gamma")
    beta.serve([served(JANUARY + 5, 1)])
    months.close("2026-02", "r2")
    statement = closed(months, "2026-02", "gamma").statement
    assert statement.total_micro_yuan == 0
    assert statement.due_micro_yuan == FEE


def test_everything_closed_is_everything_used_whatever_comes_when(
    months: Months, ledger: Ledger
) -> None:
    """Guarantee G6 over closings: their sum is the rating of the whole ledger, shares and
    journal are that to the micro-yuan, and each closing is worked out again from the ledger."""
    random = Random(7)
    starts = {"2026-01": JANUARY, "2026-02": FEBRUARY, "2026-03": MARCH}
    answers = 0
    for number, (month, start) in enumerate(starts.items()):
        for _ in range(random.randrange(4, 9)):
            answers += 1
            # Clocks that step back give answers an earlier month.
            at = random.choice([*starts.values()][: number + 1]) + random.randrange(10**6)
            ledger.serve(
                [
                    served(at, answers, subject, random.choice("mt"))
                    for subject in "xyz"[: random.randrange(1, 4)]
                ]
            )
            if random.random() < 0.4:
                place = random.randrange(len(ledger.rows))
                if ledger.rows[place].kind == 1 and not any(
                    row.reversed_index == place for row in ledger.rows
                ):
                    ledger.reverse(place, 1)
        months.close(month, f"r-{number}")
        assert start <= months.statement(month).close_time.seconds
    statements = [closed(months, month).statement for month in starts]
    assert any(statement.adjustments for statement in statements)
    whole = sum(row.fee if row.kind == 1 else -row.fee for row in ledger.rows)
    assert sum(each.due_micro_yuan for each in statements) == whole
    for month in starts:
        kept = closed(months, month)
        assert months.closer.worked_out_again(kept) == kept.document
        assert sum(amounts(kept.statement.due_shares).values()) == kept.statement.due_micro_yuan
    due: Counter[str] = Counter()
    for statement in statements:
        due.update(amounts(statement.due_shares))
    balances = months.balances()
    assert balances["operators/alpha"] == whole
    rebates = due.pop("operators/alpha")
    assert balances["operators/alpha/rebates"] == -rebates
    assert {name: -amount for name, amount in balances.items() if "alpha" not in name} == dict(due)


def test_each_statement_names_its_plans_and_rules_and_explains_itself(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    settlement = months.close("2026-01")
    statement = closed(months, "2026-01").statement
    assert (list(statement.plan_ids), list(statement.rule_ids)) == (["plan"], ["rule"])
    assert (list(settlement.plan_ids), list(settlement.rule_ids)) == (["plan"], ["rule"])
    told = [*statement.charges, *statement.details, *statement.sharing]
    assert all(each.explanation_zh and each.explanation_en for each in told)
    for parts in (statement.lines, statement.charges, statement.details, statement.sharing):
        assert sum(part.fee_micro_yuan for part in parts) == statement.total_micro_yuan
    assert statement.list_micro_yuan == FEE
    assert (statement.usage_size, statement.total_entries) == (1, 1)


def test_months_are_closed_in_order_from_the_first_there_is_anything_of(months: Months) -> None:
    for month in ("2026-02", "2025-12"):
        with pytest.raises(Refused, match="the next one is 2026-01") as refusal:
            months.close(month)
        assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT
    months.close("2026-01", "r1")
    with pytest.raises(Refused, match="the next one is 2026-02"):
        months.close("2026-03", "r3")


@always_on_postgresql
async def test_first_month_that_has_a_name_is_closed_and_has_a_statement(engines: Engines) -> None:
    months = Months(engines)
    Ledger(engines).serve([served(5, 1)])
    months.put(0, PLAN, RULE)
    await months.feed.refresh()
    assert months.statement("1970-01").total_micro_yuan == FEE
    months.close("1970-01")
    assert months.closer.worked_out_again(closed(months, "1970-01"))
    assert not check_month(engines, "1970-01").faults


def test_request_id_of_another_month_is_refused(months: Months) -> None:
    months.close("2026-01", "r1")
    with pytest.raises(Refused) as refusal:
        months.close("2026-02", "r1")
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED


@always_on_postgresql
def test_newest_month_closed_is_known_also_where_not_every_operator_is_closed(
    months: Months,
) -> None:
    assert _newest(months) == ""
    months.closer.close("alpha", _month("2026-01"), months.feed.current(), APRIL)
    assert (_newest(months), months.closings.last_settled()) == ("2026-01", "")


def test_month_is_closed_by_what_was_put_into_force_while_it_was_worked_out(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(FEBRUARY - 1, 1)])
    known = months.feed.current()
    # By a clock that is behind, it starts in the month that is over by the clock of who closes.
    flat = PriceComponent(component_id="flat", kind=FLAT, amount=31 * 86_400)
    last = PLAN.model_copy(
        update={"plan_id": "last", "effective_from": FEBRUARY - 5, "components": (flat,)}
    )
    months.put(FEBRUARY - 6, last)
    months.closer.close("alpha", _month("2026-01"), known, FEBRUARY)
    kept = closed(months, "2026-01")
    assert kept.statement.total_micro_yuan == FEE + 5
    assert months.closer.worked_out_again(kept) == kept.document


@always_on_postgresql
def test_month_that_is_being_closed_is_past_for_whoever_dates(
    months: Months, ledger: Ledger
) -> None:
    """Closing and dating go one after the other, in whichever order."""
    ledger.serve([served(JANUARY + 5, 1)])
    past = SqlRatedPast(ledger.engines, StandingClock(JANUARY + 10))
    thread = Thread(target=months.close, args=("2026-01",))
    with past.held() as before:
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        assert months.closings.closed("alpha", "2026-01") is None
    thread.join()
    with past.held() as after:
        assert (before.unrated_from, after.unrated_from) == (JANUARY + 11, FEBRUARY)


def test_what_a_call_closed_before_it_broke_off_stands(months: Months, ledger: Ledger) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    beta = Ledger(ledger.engines, "beta", ledger.revision_of, ledger.line_of)
    beta.serve([served(JANUARY + 6, 1)])
    months.closer.close("alpha", _month("2026-01"), months.feed.current(), APRIL)
    kept = closed(months, "2026-01")
    assert months.closings.settled("2026-01") is None
    ledger.serve([served(JANUARY + 8, 9)])
    settlement = months.close("2026-01", now=MAY)
    assert closed(months, "2026-01") == kept
    assert settlement.total_micro_yuan == 2 * FEE
    assert [closing.operator_id for closing in settlement.closings] == ["alpha", "beta"]


@always_on_postgresql
def test_two_that_close_at_once_close_once(months: Months, ledger: Ledger) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    found: list[object] = []

    def close(number: int) -> None:
        found.append(months.close("2026-01", f"r{number}", APRIL + number))

    threads = [Thread(target=close, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert found[0] == found[1] == found[2]
    entries = months.journal.entries("", "alpha", "", after=0, limit=10)
    assert [entry.kind for entry in entries] == [JournalEntryKind.JOURNAL_ENTRY_KIND_STATEMENT]
    assert [entry.entry for entry in months.journal.entries("", "", "", after=0, limit=9)] == [1]


def test_later_change_of_prices_does_not_reach_a_month_before_it(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    months.close("2026-01")
    kept = closed(months, "2026-01")
    # Written with a clock that stood in January: it is behind what the closing knew.
    months.put(JANUARY, PricePlan(plan_id="dear", effective_from=JANUARY + 1, prices={"": 10**9}))
    assert months.closer.worked_out_again(kept) == kept.document


@always_on_postgresql
def test_open_month_tells_how_things_stand_with_what_is_late(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    months.close("2026-01")
    ledger.serve([served(JANUARY + 9, 2), served(FEBRUARY + 1, 3)])
    now = months.statement("2026-02")
    assert (now.total_micro_yuan, now.due_micro_yuan) == (FEE, 2 * FEE)
    assert not now.HasField("close_time")
    # March is not the next to be closed: what is late is February's.
    assert not months.statement("2026-03").adjustments


def _newest(months: Months) -> str:
    with reading(months.engines.evidence) as connection:
        return newest_closed(connection)


def _month(name: str) -> Month:
    found = month_named(name)
    assert found is not None
    return found
