"""A month checked: whatever is changed of what was closed and booked is told."""

from collections.abc import Callable

import pytest
from sqlalchemy import Table, delete, insert, select, update

from gateway.settlement.checking import check_month
from gateway.settlement.tables import CLOSINGS, CREDIT_NOTES, ENTRIES, MONTHS, POSTINGS
from gateway.storage.engines import Engines
from tests.examples import rarely_on_postgresql
from tests.settle.world import APRIL
from tests.settlement.test_closing import served
from tests.settlement.test_credit import Desk, desk, leaf, thrice, twice
from tests.settlement.world import JANUARY, Ledger, Months

__all__ = ["desk"]
_MONTH = "2026-03"
_OWN = POSTINGS.c


@pytest.fixture
async def closed(months: Months, ledger: Ledger, desk: Desk) -> None:
    """Three months closed, with an adjustment and a credit note in the last."""
    thrice(ledger, 1, 2)
    months.close("2026-01", "r1")
    months.close("2026-02", "r2")
    ledger.serve([served(JANUARY + 9, 3)])
    await desk.ask(twice(leaf(0), leaf(1)))
    months.close(_MONTH, "r3")


def _swap(engines: Engines) -> None:
    """Move an amount from one account to another: the entry still balances."""
    with engines.evidence.begin() as connection:
        for account, more in (("platform", 100), ("sources/mem", -100)):
            connection.execute(
                update(POSTINGS)
                .where(_OWN.account == account, _OWN.credit > 100)
                .values(credit=_OWN.credit + more)
            )


def _without(table: Table) -> Callable[[Engines], None]:
    def gone(engines: Engines) -> None:
        query = delete(table)
        if "month" in table.c:
            query = query.where(table.c.month == _MONTH)
        if table is CLOSINGS:
            query = query.where(table.c.operator_id == "beta")
        with engines.evidence.begin() as connection:
            connection.execute(query)

    return gone


def _other_settlement(engines: Engines) -> None:
    with engines.evidence.begin() as connection:
        (document,) = connection.execute(
            select(MONTHS.c.document).where(MONTHS.c.month == _MONTH)
        ).one()
        connection.execute(
            update(MONTHS)
            .where(MONTHS.c.month == _MONTH)
            .values(document=bytes(document).replace(b'"rule"', b'"role"'))
        )


def _other_total(engines: Engines) -> None:
    with engines.evidence.begin() as connection:
        connection.execute(update(CLOSINGS).values(total=CLOSINGS.c.total + 1))


def _one_more(engines: Engines) -> None:
    with engines.evidence.begin() as connection:
        row = {"entry": 99, "kind": 1, "operator_id": "gamma", "month": _MONTH, "about": ""}
        connection.execute(insert(ENTRIES).values(**row, booked_at=APRIL))


@rarely_on_postgresql
@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (_swap, "adjustment 2026-01 of alpha, is not what it is about"),
        (_without(POSTINGS), "is not what it is about"),
        (_without(ENTRIES), "the journal has no entry of adjustment 2026-01 of alpha"),
        (_one_more, "entry 99 of the journal"),
        (_without(CREDIT_NOTES), "credit note"),
        (_without(CLOSINGS), "the closing of beta is missing that its settlement names"),
        (_other_settlement, "its settlement is not that of its closings"),
        (_other_total, "the closing of alpha is listed with other numbers"),
    ],
)
def test_whatever_is_changed_of_a_closed_month_is_told(
    engines: Engines, tamper: Callable[[Engines], None], fault: str
) -> None:
    found = check_month(engines, _MONTH)
    assert (found.operators, found.differing, found.faults) == (2, (), ())
    tamper(engines)
    assert fault in "; ".join(check_month(engines, _MONTH).faults)


@pytest.mark.usefixtures("closed")
def test_settlement_that_is_gone_is_told_by_those_after_it(engines: Engines) -> None:
    with engines.evidence.begin() as connection:
        connection.execute(delete(MONTHS).where(MONTHS.c.month == "2026-02"))
    assert check_month(engines, "2026-02").faults == (
        "its settlement is missing: later months are settled",
    )
