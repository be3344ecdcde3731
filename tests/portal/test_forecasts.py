"""Forecasts read the ledger on either store, and are remembered no longer than they are good."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.authority.view import AuthorityView
from gateway.portal.forecasting import FRESH_SECONDS, Forecasts
from gateway.settle.use import MonthUse, MonthUseReader, PriceClassOf
from gateway.settlement.month_use import LedgerMonths
from tests.clock import NOW
from tests.installation import OPERATOR_ID, Installation


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
