"""All checks of an installation's stores at once."""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from consent.sql import SqlConsents
from gateway.audit.check import check_decisions
from gateway.audit.check_facts import waiting_facts
from gateway.authority.view import AuthorityView
from gateway.conformance.check import CheckedConformance, check_conformance
from gateway.failure_kind import failure_kind
from gateway.reports.check import CheckedReports, check_reports
from gateway.selfcheck.derived import check_derived
from gateway.selfcheck.kept import KEPT
from gateway.selfcheck.log_rows import check_log_rows
from gateway.selfcheck.region_uses import check_region_uses
from gateway.storage.engines import Engines
from gateway.transparency.check import Checked, check_disclosure
from gateway.transparency.faults import Fault
from gateway.transparency.salts import Salts
from gateway.usage.check import CheckedUsage, check_usage
from operators.sql import SqlAuthorityLog

_Found = TypeVar("_Found")
UNREADABLE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DecodeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What reading damaged rows may raise; what the stores raise is none of these."""


class CheckedStores(NamedTuple):
    """What was looked at, and what was wrong; ``waiting`` are writes that are still to be
    logged, before which what they wrote cannot be compared."""

    events: int
    entries: int
    checkpoints: int
    decisions: int
    waiting: int
    holdings_blocks: int
    removal_duties: int
    reports: int
    documents: int
    usage_leaves: int
    faults: list[Fault]


def check_stores(engines: Engines, salts: Salts, now: int) -> CheckedStores:
    """Check everything at ``now`` (seconds, UTC).

    Raises what the stores raise when they cannot be read.
    """
    faults: list[Fault] = []

    def looked_at(what: str, check: Callable[[], _Found], otherwise: _Found) -> _Found:
        try:
            return check()
        except UNREADABLE as error:
            # By type: a message could hold a row.
            faults.append(Fault(what, f"what is there cannot be read: {failure_kind(error)}"))
            return otherwise

    def reports_in() -> CheckedReports:
        book = AuthorityView().advanced(SqlAuthorityLog(engines.authority).since(0)).signing_keys
        return check_reports(engines, book, now)

    receipts = SqlConsents(engines.records).receipts
    disclosure = looked_at(
        "disclosure", lambda: check_disclosure(engines, salts), Checked(0, 0, 0, [])
    )
    decisions, wrong = looked_at(
        "log of decisions", lambda: check_decisions(engines, receipts, KEPT), (0, [])
    )
    conformance = looked_at(
        "holdings", lambda: check_conformance(engines), CheckedConformance(0, 0, [])
    )
    derived = looked_at("counters of the ledger", lambda: check_derived(engines), [])
    regions = looked_at("uses of other regions", lambda: check_region_uses(engines), [])
    reports = looked_at("reports", reports_in, CheckedReports(0, 0, []))
    usage = looked_at("usage logs", lambda: check_usage(engines), CheckedUsage(0, 0, []))
    return CheckedStores(
        disclosure.events,
        disclosure.entries,
        disclosure.checkpoints,
        decisions,
        waiting_facts(engines),
        conformance.blocks,
        conformance.duties,
        reports.reports,
        reports.documents,
        usage.leaves,
        [
            *faults,
            *disclosure.faults,
            *wrong,
            *conformance.faults,
            *derived,
            *regions,
            *reports.faults,
            *usage.faults,
            *check_log_rows(engines),
        ],
    )
