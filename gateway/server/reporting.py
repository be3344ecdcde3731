"""Special credit reports, composed: for operators, for subjects, and their status."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from starlette.routing import Route

from consent.sql import SqlConsents
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.oauth.signing import SigningKeys
from gateway.reports.delivery import ReportDelivery
from gateway.reports.issuing import ReportIssuer
from gateway.reports.own import SubjectReports
from gateway.reports.pages import report_routes
from gateway.reports.printing import ReportPrinter
from gateway.reports.service import ReportService
from gateway.reports.status import ReportStatus
from gateway.reports.store import SqlReports
from gateway.server.records import RecordPath
from gateway.server.transparency import Transparency
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.subject.own_reports import OwnReports

REPORT_BYTES: Final = 128 << 10
"""Most bytes of records in one report: a few hundred, printed within seconds."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """What the other parts of a process need of reports: what serves ReportService, what
    subjects' pages ask, and routes of the HTTP application."""

    service: ReportService
    own: OwnReports
    routes: Sequence[Route]


def reporting(
    engines: Engines,
    feed: AuthorityFeed,
    keys: SigningKeys,
    clock: Clock,
    consents: SqlConsents,
    transparency: Transparency,
    records: RecordPath,
    issuer: str,
    stack: AsyncExitStack,
) -> Reporting:
    """Return what serves reports; ``stack`` closes it."""
    reports = SqlReports(engines.evidence)
    issuing = ReportIssuer(reports, consents, feed, keys, transparency.key.verifier, issuer, clock)
    status = ReportStatus(engines.records, consents, feed, keys, transparency.keys, issuer)
    printer = ReportPrinter()
    stack.callback(printer.close)
    shares = Shares("reports")
    stack.callback(shares.close)
    return Reporting(
        ReportService(
            records.service(REPORT_BYTES).get_subject_records,
            reports,
            issuing,
            status,
            ReportDelivery(feed, consents, shares, clock),
            printer,
            shares,
            feed,
            clock,
        ),
        SubjectReports(
            records.lookup,
            records.proofs,
            reports,
            issuing,
            status,
            printer,
            shares,
            feed,
            clock,
            REPORT_BYTES,
        ),
        report_routes(reports, status, shares, issuer, clock),
    )
