"""The operators' portal, composed: its pages over the methods of the contract."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from starlette.routing import Route

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.meter.quota_use import SqlQuotaUse
from gateway.pages.methods import PageMethods
from gateway.portal.app import portal_routes
from gateway.portal.forecasting import Forecasts
from gateway.portal.parts import PortalParts
from gateway.portal.window import Window
from gateway.settlement.month_use import LedgerMonths
from gateway.shares import Shares
from gateway.signin.desk import SignInDesk
from gateway.storage.engines import Engines
from operators.sql import SqlAuthorityLog


def portal(
    methods: PageMethods,
    engines: Engines,
    people: SignInDesk | None,
    feed: AuthorityFeed,
    clock: Clock,
    stack: AsyncExitStack,
) -> Sequence[Route]:
    """Return the routes of the portal; ``people`` is None where nobody can sign in, ``stack``
    closes what it reads by."""
    shares = Shares("portal")
    stack.callback(shares.close)
    return portal_routes(
        PortalParts(
            Window(methods, feed.current, clock),
            feed.current,
            SqlAuthorityLog(engines.authority),
            SqlQuotaUse(engines.records),
            Forecasts(LedgerMonths(engines.records), feed.current),
            shares,
            people,
            clock,
        )
    )
