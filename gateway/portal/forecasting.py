"""Forecasts read from the ledger: what this month comes to; see `gateway.settle.forecast`."""

from collections.abc import Callable
from typing import Final, NamedTuple

from creditgate.rating.terms import cuts
from gateway.authority.view import AuthorityView
from gateway.settle.forecast import Forecast, forecast, forecast_cuts
from gateway.settle.month import month_of
from gateway.settle.use import MonthUseReader

FRESH_SECONDS: Final = 300
"""How long a forecast is shown again: making one reads a month of the ledger."""


class Told(NamedTuple):
    """A forecast as it was made, by the prices and classes of ``view``, at ``at`` (seconds, UTC)."""

    forecast: Forecast
    view: AuthorityView
    at: int


class Forecasts:
    """Makes forecasts, and remembers each operator's for a while. Calls block."""

    def __init__(self, months: MonthUseReader, view: Callable[[], AuthorityView]) -> None:
        self._months = months
        self._view = view
        self._told: dict[str, Told] = {}

    def of(self, operator_id: str, now: int) -> Told:
        """Return the forecast of the month of ``now`` (seconds, UTC) for a registered operator.

        Raises Refused where authority is not known.
        """
        view = self._view()
        told = self._told.get(operator_id)
        if told is None or not _good(told, view, now):
            told = self._told[operator_id] = Told(self._made(operator_id, view, now), view, now)
        return told

    def _made(self, operator_id: str, view: AuthorityView, now: int) -> Forecast:
        month = month_of(now)
        prices, classes = view.prices, view.classes
        starts = cuts(operator_id, month.from_, month.until, prices, view.sharing.rules, classes)
        read = forecast_cuts(starts, month.until, now)
        use = self._months.month_use(operator_id, read, month.until, classes.price_class)
        return forecast(use, starts, now, prices, classes)


def _good(told: Told, view: AuthorityView, now: int) -> bool:
    return (
        0 <= now - told.at < FRESH_SECONDS
        and month_of(told.at) == month_of(now)
        # What decides about prices is another object once it changes.
        and told.view.prices is view.prices
        and told.view.classes is view.classes
    )
