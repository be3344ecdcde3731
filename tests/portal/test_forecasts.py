"""Forecasts read the ledger on either store, and are remembered no longer than they are good."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from creditgate.rating.components import PER_SUBJECT, PriceComponent
from gateway.authority.view import AuthorityView
from gateway.portal.forecasting import FRESH_SECONDS, Forecasts
from gateway.settle.use import MonthUse, MonthUseReader, PriceClassOf
from gateway.settlement.month_use import LedgerMonths
from gateway.storage.engines import Engines
from tests.clock import NOW
from tests.installation import OPERATOR_ID, Installation
from tests.settle.month import Served
from tests.settlement.world import FEBRUARY, PLAN, Ledger, Months


@dataclass
class Counting:
    """Counts how often months are read."""

    months: MonthUseReader
    read: int = 0

    def month_use(
        self, operator_id: str, starts: Sequence[int], until: int, price_class_of: PriceClassOf
    ) -> MonthUse:
        """See the port."""
        self.read += 1
        return self.months.month_use(operator_id, starts, until, price_class_of)


def test_a_forecast_is_made_again_when_it_is_old_or_prices_changed(embedded: Installation) -> None:
    view = AuthorityView().advanced(embedded.log.since(0))
    views = [view]
    months = Counting(LedgerMonths(embedded.engines.records))
    forecasts = Forecasts(months, lambda: views[-1])
    first = forecasts.of(OPERATOR_ID, NOW)
    assert forecasts.of(OPERATOR_ID, NOW + FRESH_SECONDS - 1) is first
    views.append(AuthorityView(view.sequence, prices=view.prices, classes=view.classes))
    assert forecasts.of(OPERATOR_ID, NOW) is first
    once = months.read
    later = forecasts.of(OPERATOR_ID, NOW + FRESH_SECONDS)
    assert (later.at, months.read) == (NOW + FRESH_SECONDS, 2 * once)
    # A clock set back.
    assert forecasts.of(OPERATOR_ID, NOW).at == NOW
    views.append(AuthorityView())
    assert forecasts.of(OPERATOR_ID, NOW).view is views[-1]
    assert forecasts.of("beta", NOW) is not forecasts.of(OPERATOR_ID, NOW)


@pytest.mark.parametrize(("days", "so_far"), [(0, 0), (14, 1_000)])
async def test_who_is_looked_at_every_week_is_charged_once_by_a_price_by_subject(
    engines: Engines, days: int, so_far: int
) -> None:
    months = Months(engines)
    await months.start()
    each = PriceComponent(component_id="each", kind=PER_SUBJECT, unit_price=1_000)
    priced = {"plan_id": "each", "effective_from": FEBRUARY, "components": (each,)}
    months.put(FEBRUARY - 86_400, PLAN.model_copy(update=priced))
    view = AuthorityView().advanced(months.log.since(0))
    served = [
        Served(FEBRUARY + day * 86_400, number, "x", "penalty", "mem", "11", 1, 10_001)
        for number, day in enumerate(range(-7, days))
    ]
    # The last is of another region, and about the same.
    Ledger(engines).serve(served, elsewhere={len(served) - 1})
    now = FEBRUARY + days * 86_400
    told = Forecasts(months.months, lambda: view).of("alpha", now).forecast
    assert (told.records_so_far, told.records_whole) == (days, 28)
    assert (told.fee_so_far, told.fee_whole) == (so_far, 1_000)
