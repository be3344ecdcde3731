"""Settlement of months, composed: statements, closings, the journal, credit notes."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from creditgate.transparency.succession import former_named
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.documents.service import StatementDocuments
from gateway.documents.signed import FormerSigner, StatementSigner
from gateway.documents.uses import StatementUses
from gateway.federation.clearing.debts import SqlClearedDebts
from gateway.installation.home import Home
from gateway.meter.reader import SqlUsageReader
from gateway.server.log_keys import LogKeys
from gateway.settlement.closing import Closer
from gateway.settlement.credit import evidence_verifier
from gateway.settlement.credit_service import CreditService
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.crediting import Crediting
from gateway.settlement.journal_store import SqlJournal
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.own_log import OwnLog
from gateway.settlement.region_entries import RegionEntries
from gateway.settlement.service import ClosingService, UsageStatements
from gateway.settlement.settling import Settler
from gateway.settlement.store import SqlClosings
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.transparency.beginning import put_away_at
from gateway.transparency.keys import LogKey
from gateway.transparency.links import LogLinks
from gateway.transparency.tables import LogId
from operators.sql import SqlAuthorityLog


def settling(
    home: Home,
    log_keys: LogKeys,
    engines: Engines,
    feed: AuthorityFeed,
    clock: Clock,
    issuer: str,
    stack: AsyncExitStack,
) -> Mapping[str, Sequence[object]]:
    """Return what serves the methods about months, by service; ``stack`` closes it.

    Raises as `LogKeys.of`.
    """
    months, closings = LedgerMonths(engines.records), SqlClosings(engines.evidence)
    closer = _closer(engines)
    # Working out a month takes a thread for long: apart, so that looking is never behind it.
    working, looking = Shares("statements"), Shares("settlement")
    stack.callback(working.close)
    stack.callback(looking.close)
    file = home.log_key(LogId.USAGE.path)
    links = log_keys.links(LogId.USAGE)
    return {
        "UsageService": [
            UsageStatements(closer, feed, clock, working),
            StatementDocuments(
                closer,
                closings,
                StatementUses(engines.records, SqlUsageReader(engines.records, RegionEntries())),
                StatementSigner(log_keys.of(LogId.USAGE), _former_signers(file, links)),
                issuer,
                feed,
                clock,
                working,
            ),
        ],
        "SettlementService": [
            ClosingService(
                Settler(months, closings, closer, SqlClearedDebts(engines.evidence)),
                closings,
                SqlJournal(engines.evidence),
                feed,
                clock,
                looking,
            ),
            CreditService(crediting(engines, log_keys, clock), feed, working),
        ],
    }


def crediting(engines: Engines, log_keys: LogKeys, clock: Clock) -> Crediting:
    """Return what makes credit notes."""
    return Crediting(
        evidence_verifier(log_keys.links(LogId.USAGE).keys, OwnLog(engines.records).uses),
        SqlCreditNotes(engines.evidence),
        LedgerMonths(engines.records),
        _closer(engines),
        clock,
    )


def _closer(engines: Engines) -> Closer:
    return Closer(
        LedgerMonths(engines.records),
        SqlClosings(engines.evidence),
        SqlCreditNotes(engines.evidence),
        SqlAuthorityLog(engines.authority),
    )


def _former_signers(file: Path, links: LogLinks) -> list[FormerSigner]:
    """Return the former keys that are still beside ``file``. Where one is not, the next signs what
    it has signed: the same statements under another signature."""
    kept = [(put_away_at(file, each.number), each) for each in links.former]
    return [
        FormerSigner(LogKey.kept_in(away, former.name), each.at)
        for away, each in kept
        if away.exists() and (former := former_named(each.note)) is not None
    ]
