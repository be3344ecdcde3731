"""Prices and sharing rules, composed: put into force, listed, and tried on past use."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.settle.dry_run_service import DryRunService
from gateway.settle.service import SettlementService
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.rated_past import SqlRatedPast
from gateway.shares import Shares
from gateway.storage.engines import Engines
from operators.sql import SqlAuthorityLog


def pricing(
    engines: Engines, feed: AuthorityFeed, clock: Clock, stack: AsyncExitStack
) -> Sequence[object]:
    """Return what serves these methods of SettlementService; ``stack`` closes it."""
    shares = Shares("dry-runs")
    stack.callback(shares.close)
    return (
        SettlementService(SqlAuthorityLog(engines.authority), SqlRatedPast(engines, clock), feed),
        DryRunService(LedgerMonths(engines.records), feed, clock, shares),
    )
