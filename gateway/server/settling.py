"""Settlement of months, composed: statements, closings, the journal, credit notes."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.documents.service import StatementDocuments
from gateway.documents.signed import StatementSigner
from gateway.documents.uses import StatementUses
from gateway.installation.home import Home
from gateway.meter.reader import SqlUsageReader
from gateway.server.log_keys import log_key
from gateway.settlement.closing import Closer
from gateway.settlement.credit import evidence_verifier
from gateway.settlement.credit_service import CreditService
from gateway.settlement.credit_store import SqlCreditNotes
from gateway.settlement.journal_store import SqlJournal
from gateway.settlement.month_use import LedgerMonths
from gateway.settlement.own_log import OwnLog
from gateway.settlement.service import ClosingService, UsageStatements
from gateway.settlement.settling import Settler
from gateway.settlement.store import SqlClosings
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.transparency.tables import LogId
from operators.sql import SqlAuthorityLog


def settling(
    home: Home,
    engines: Engines,
    feed: AuthorityFeed,
    clock: Clock,
    issuer: str,
    stack: AsyncExitStack,
) -> Mapping[str, Sequence[object]]:
    """Return what serves the methods about months, by service; ``stack`` closes it.

    Raises as `log_key`.
    """
    months, closings = LedgerMonths(engines.records), SqlClosings(engines.evidence)
    closer = Closer(months, closings, SqlAuthorityLog(engines.authority))
    # Working out a month takes a thread for long: apart, so that looking is never behind it.
    working, looking = Shares("statements"), Shares("settlement")
    stack.callback(working.close)
    stack.callback(looking.close)
    key = log_key(home, engines, LogId.USAGE, issuer)
    return {
        "UsageService": [
            UsageStatements(closer, feed, clock, working),
            StatementDocuments(
                closer,
                closings,
                StatementUses(engines.records, SqlUsageReader(engines.records)),
                StatementSigner(home.log_key(LogId.USAGE.path).read_bytes()),
                issuer,
                feed,
                clock,
                working,
            ),
        ],
        "SettlementService": [
            ClosingService(
                Settler(months, closings, closer),
                closings,
                SqlJournal(engines.evidence),
                feed,
                clock,
                looking,
            ),
            CreditService(
                evidence_verifier(key.verifier, OwnLog(engines.records).uses),
                SqlCreditNotes(engines.evidence),
                months,
                closer,
                feed,
                clock,
                working,
            ),
        ],
    }
