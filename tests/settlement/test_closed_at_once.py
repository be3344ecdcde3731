"""A month closed by two calls at once, of which one knows an operator more: one settlement, of all that
is closed."""

from collections.abc import Callable, Mapping

from gateway.settle.month import Month, month_named
from gateway.settlement.checking import MonthChecked, check_month
from gateway.settlement.cleared import ClearedThrough, NothingCleared
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.settling import Settler
from gateway.storage.engines import Engines
from operators.log import Draft
from operators.model import OPERATOR
from tests.settle.world import operator
from tests.settlement.test_closing import served
from tests.settlement.world import FEBRUARY, JANUARY, Ledger, Months

NOW = FEBRUARY + 9


class ClearingMeanwhile(NothingCleared):
    """Clears nothing, and lets another call go on when it is asked, behind the closings."""

    def __init__(self, other: Callable[[], object]) -> None:
        self._other = other

    def owed(self, after: Mapping[str, int]) -> Mapping[str, ClearedThrough]:
        """See the port."""
        self._other()
        return super().owed(after)


class MonthsMeanwhile(LedgerMonths):
    """Lets another call go on when it is asked for operators, before the closings."""

    def __init__(self, engines: Engines, other: Callable[[], object]) -> None:
        super().__init__(engines.records)
        self._other = other

    def operators(self) -> frozenset[str]:
        """See `LedgerMonths`."""
        self._other()
        return super().operators()


def _january() -> Month:
    month = month_named("2026-01")
    assert month is not None
    return month


async def _register_another(months: Months) -> None:
    draft = Draft(OPERATOR, "gamma", 0, operator("gamma").as_document())
    months.log.append([draft], changed_by="admin", changed_at=FEBRUARY + 5, reason="new")
    await months.feed.refresh()


async def test_settlement_is_of_all_that_another_call_closed_while_it_was_worked_out(
    months: Months, ledger: Ledger, engines: Engines
) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    before = months.feed.current()
    await _register_another(months)
    after = months.feed.current()

    def other() -> None:
        months.closer.close("gamma", _january(), after, NOW)

    first = Settler(months.months, months.closings, months.closer, ClearingMeanwhile(other))
    settlement = first.settle(_january(), before, "admin", "r", NOW)
    assert [each.operator_id for each in settlement.closings] == ["alpha", "beta", "gamma"]
    assert check_month(engines, "2026-01") == MonthChecked(3, (), ())


async def test_month_that_another_call_settled_is_closed_for_nobody_else(
    months: Months, ledger: Ledger, engines: Engines
) -> None:
    ledger.serve([served(JANUARY + 5, 1)])
    before = months.feed.current()
    await _register_another(months)

    def other() -> None:
        months.settler.settle(_january(), before, "admin", "r", NOW)

    at_once = MonthsMeanwhile(engines, other)
    second = Settler(at_once, months.closings, months.closer, NothingCleared())
    settlement = second.settle(_january(), months.feed.current(), "admin", "r", NOW)
    assert [each.operator_id for each in settlement.closings] == ["alpha", "beta"]
    assert check_month(engines, "2026-01") == MonthChecked(2, (), ())
