"""Settlement with clearing: what clearings agree on is booked once, whatever was set aside for it."""

from collections import Counter

import pytest
from sqlalchemy import delete, insert, update

from creditgate.v1.settlement_service_pb2 import JournalEntryKind
from creditgate.v1.usage_service_pb2 import Statement
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.clearing.tables import CLEARINGS
from gateway.settle.month import Month, month_named
from gateway.settlement.books import books_at
from gateway.settlement.checking import check_month
from gateway.settlement.documents import document_bytes, message_of
from gateway.settlement.tables import CLOSINGS
from gateway.storage.engines import Engines
from operators.log import Draft
from operators.regions import REGION_ADMISSION
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.settle.month import Served
from tests.settlement.test_closing import FEE, amounts, closed, served
from tests.settlement.world import FEBRUARY, JANUARY, Ledger, Months

pytestmark = rarely_on_postgresql

NORTH = "https://north.invalid"
MARCH = FEBRUARY + 28 * 86_400
MAY = MARCH + 61 * 86_400


def _agree(engines: Engines, start: int, until: int, owed: int, *, signed: bool = True) -> None:
    """Keep a clearing with the region that the ledger's records of others are of."""
    with engines.evidence.begin() as connection:
        values: dict[str, object] = {
            column.name: b"" if column.name == "elements" else 0 for column in CLEARINGS.c
        }
        del values["number"]
        texts = ("document", "acceptance", "proposing", "disputes_digest")
        values |= {name: "" for name in texts if name in values}
        values |= {"region": NORTH, "start": start, "until": until, "owed": owed}
        values |= {"agreed_at": until if signed else None}
        connection.execute(insert(CLEARINGS).values(**values))


def _north(months: Months) -> list[tuple[str, int, int, int]]:
    """Return what the journal has of the region, by month: kind, debit, credit."""
    return [
        (entry.month, entry.kind, each.debit_micro_yuan, each.credit_micro_yuan)
        for entry in months.journal.entries("", "", f"regions/{NORTH}", after=0, limit=100)
        for each in entry.postings
        if each.account == f"regions/{NORTH}"
    ]


def test_what_is_owed_by_list_price_is_set_aside_net_of_what_was_reversed(
    months: Months, ledger: Ledger
) -> None:
    two = [Served(JANUARY + 5, 1, s, "penalty", "mem", "11", 1, FEE) for s in "xy"]
    ledger.serve([*two, served(JANUARY + 6, 2)], elsewhere={1})
    statement = months.statement("2026-01")
    # Each record costs 1 micro-yuan there.
    assert amounts(statement.shares)[f"regions/{NORTH}"] == 2
    assert sum(amounts(statement.shares).values()) == statement.total_micro_yuan == 3 * FEE
    ledger.reverse(0, 1)
    assert amounts(months.statement("2026-01").shares)[f"regions/{NORTH}"] == 1


@always_on_postgresql
def test_settlements_have_for_a_region_what_clearings_agreed_on_and_the_platform_the_difference(
    engines: Engines, months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1), served(JANUARY + 6, 2, "y")], elsewhere={1, 2})
    _agree(engines, 0, FEBRUARY, 5_000)
    _agree(engines, FEBRUARY, FEBRUARY + 9, 70, signed=False)
    first = months.close("2026-01", "r1")
    due = amounts(first.due_shares)
    assert due[f"regions/{NORTH}"] == 5_000
    statements = amounts(first.shares)
    assert statements[f"regions/{NORTH}"] == 2
    assert due["platform"] == statements["platform"] - 4_998
    assert sum(due.values()) == first.due_micro_yuan == 2 * FEE
    (told,) = first.clearings
    assert (told.region, told.through_time.seconds) == (NORTH, FEBRUARY)
    assert (told.owed_micro_yuan, told.set_aside_micro_yuan) == (5_000, 2)
    # The month after has less, once the statement was told: nothing is counted twice.
    with engines.evidence.begin() as connection:
        connection.execute(update(CLEARINGS).values(agreed_at=MARCH))
    ledger.serve([served(FEBRUARY + 5, 3)], elsewhere={3})
    second = months.close("2026-02", "r2", MAY)
    assert amounts(second.due_shares)[f"regions/{NORTH}"] == 70
    third = months.close("2026-03", "r3", MAY)
    assert [each.owed_micro_yuan for each in third.clearings] == [0]
    assert f"regions/{NORTH}" not in amounts(third.due_shares)
    statement, clearing = (
        JournalEntryKind.JOURNAL_ENTRY_KIND_STATEMENT,
        JournalEntryKind.JOURNAL_ENTRY_KIND_CLEARING,
    )
    assert _north(months) == [
        ("2026-01", statement, 0, 2),
        ("2026-01", clearing, 0, 4_998),
        ("2026-02", statement, 0, 1),
        ("2026-02", clearing, 0, 69),
    ]
    assert months.balances()[f"regions/{NORTH}"] == -5_070
    assert sum(months.balances().values()) == 0
    for month in ("2026-01", "2026-02", "2026-03"):
        found = check_month(engines, month)
        assert (found.differing, found.faults) == ((), ()), month


@always_on_postgresql
def test_clearing_that_is_changed_after_a_settlement_counted_it_is_told(
    engines: Engines, months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1)], elsewhere={1})
    _agree(engines, 0, FEBRUARY, 5_000)
    months.close("2026-01", "r1")
    with engines.evidence.begin() as connection:
        connection.execute(update(CLEARINGS).values(owed=4_000))
    assert check_month(engines, "2026-01").faults == ("its settlement is not that of its closings",)
    with engines.evidence.begin() as connection:
        connection.execute(delete(CLEARINGS))
    assert check_month(engines, "2026-01").faults


def test_month_that_was_closed_before_fees_were_set_aside_gives_the_same_bytes_again(
    engines: Engines, months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1)], elsewhere={1})
    kept = months.closer.close("alpha", _month(), months.feed.current(), FEBRUARY)
    statement = kept.statement
    assert statement.sharing_form == 2
    # As it was closed then: all of it shared here.
    before = statement.__class__()
    before.CopyFrom(statement)
    before.sharing_form = 0
    shares = {"sources/mem": 6_001, "regions/11": 2_500, "platform": 1_000, "operators/alpha": 500}
    names = sorted(shares)
    assert sum(shares.values()) == FEE
    again = months.closer.worked_out_again(kept._replace(document=document_bytes(before)))
    with engines.evidence.begin() as connection:
        connection.execute(update(CLOSINGS).values(document=again))
    old = closed(months, "2026-01").statement
    assert [each.beneficiary for each in old.shares] == names
    assert amounts(old.shares) == shares
    assert months.closer.worked_out_again(closed(months, "2026-01")) == again
    found = Counter(amounts(old.due_shares))
    assert found.total() == FEE


def test_own_source_keeps_its_part_whatever_other_regions_ask_for_records_alike(
    engines: Engines, months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1), served(JANUARY + 6, 2, "y")], elsewhere={2})
    with engines.records.begin() as connection:
        connection.execute(update(REGION_USES).values(fee=3 * FEE))
    statement = months.statement("2026-01")
    shares = amounts(statement.shares)
    assert shares[f"regions/{NORTH}"] == 3 * FEE
    assert shares["sources/mem"] == 6_001
    assert shares["regions/11"] == 2_500
    # The platform bears it: of its own part, and of what the region asks beyond the fee.
    assert shares["platform"] == 1_000 - 2 * FEE
    assert statement.sharing_form == 2
    # Once it was taken of the own source's as well, and months closed then say so.
    (line,) = [
        each for each in statement.sharing if each.shares[0].beneficiary != f"regions/{NORTH}"
    ]
    assert line.fee_micro_yuan == FEE
    kept = months.closer.close("alpha", _month(), months.feed.current(), FEBRUARY)
    before = kept.statement.__class__()
    before.CopyFrom(kept.statement)
    before.sharing_form = 1
    again = months.closer.worked_out_again(kept._replace(document=document_bytes(before)))
    mixed = message_of(again, Statement)
    assert amounts(mixed.shares) == {f"regions/{NORTH}": 3 * FEE, "platform": -FEE}


def test_region_that_is_an_operator_here_is_given_nothing_back(
    months: Months, ledger: Ledger
) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    assert amounts(months.statement("2026-01").shares)["operators/alpha"] == 500
    months.log.append(
        [Draft(REGION_ADMISSION, "region-north", 0, {"operator_id": "alpha"})],
        changed_by="admin",
        changed_at=JANUARY,
        reason="test",
    )
    admitted = months.feed.current().classes.advanced(months.log.since(0))
    assert admitted.regions == {"alpha"}
    books = books_at(months.log, months.log.head())
    statement = months.closer.present("alpha", _month(), books)
    assert amounts(statement.shares) == {
        "sources/mem": 6_001,
        "regions/11": 2_500,
        "platform": 1_500,
    }


def _month() -> Month:
    month = month_named("2026-01")
    assert month is not None
    return month


@pytest.fixture(autouse=True)
def _nobody_clears(engines: Engines) -> None:
    with engines.evidence.begin() as connection:
        connection.execute(delete(CLEARINGS))
