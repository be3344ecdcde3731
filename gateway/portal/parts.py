"""What the portal's pages stand on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.portal.forecasting import Forecasts
from gateway.portal.window import Window
from gateway.shares import Shares
from gateway.signin.desk import SignInDesk
from operators.log import AuthorityLog


class ByLicence(Protocol):
    """What counts on a day against licences."""

    def of(self, licence: str) -> int:
        """Return the records that count against a licence."""
        ...


class QuotaUse(Protocol):
    """Tells what counted against quotas. Calls block."""

    def by_day(self, operator_id: str, first: int, last: int) -> Mapping[int, int]:
        """Return the records of each day from ``first`` to ``last`` (UTC days since the
        epoch), those without use left out."""
        ...

    def on_day(self, operator_id: str, day: int) -> ByLicence:
        """Return what counts on a UTC day (since the epoch) against each licence."""
        ...


@dataclass(frozen=True, slots=True)
class PortalParts:
    """The window, what is read besides it, and who signs people in.

    ``view`` gives authority as of now and raises Refused when it is not known; ``log`` is
    where it is kept with its history. ``shares`` give reading its turns, by operator.
    ``sign_in`` is None where no identity provider is configured.
    """

    window: Window
    view: Callable[[], AuthorityView]
    log: AuthorityLog
    quota: QuotaUse
    forecasts: Forecasts
    shares: Shares
    sign_in: SignInDesk | None
    clock: Clock
