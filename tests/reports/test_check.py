"""The check of the reports kept: whoever changes one behind the gateway's back is noticed."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from sqlalchemy import insert, update

from creditgate.credit_report import ReportPeriod
from gateway.authority.view import AuthorityView
from gateway.reports.check import CheckedReports, check_reports
from gateway.reports.store import SqlReports
from gateway.reports.tables import REPORTS
from gateway.storage.engines import Engines
from gateway.transparency.faults import Fault
from tests.clock import NOW
from tests.reports.asking import Reporter
from tests.reports.kept import kept
from tests.reports.test_issuing import LIST
from tests.transparency.tampering import mutate, rows_of

# What nobody signed: who asked how, and what became of the report.
MEANINGLESS = {
    REPORTS.c.request_id,
    REPORTS.c.request_digest,
    REPORTS.c.actor,
    REPORTS.c.revoked_by,
    REPORTS.c.revoked_for,
    # No document says it: it is compared with what was logged of the row.
    REPORTS.c.regions,
}


def checked(reporter: Reporter) -> CheckedReports:
    """Check the reports of the gateway."""
    installation = reporter.world.installation
    book = AuthorityView().advanced(installation.log.since(0)).signing_keys
    return check_reports(installation.engines, book, reporter.world.now)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_report_changed_where_it_is_kept_is_noticed(reporter: Reporter) -> None:
    await reporter.issue(LIST)
    revoked = await reporter.issue()
    await reporter.revoke(revoked.report)
    found = checked(reporter)
    assert found.faults == []
    assert found.reports > found.documents > 0

    def find() -> Sequence[Fault]:
        return checked(reporter).faults

    engine = reporter.world.installation.engines.evidence
    # Of those that hold no longer the documents are gone, and what they said with them.
    gone = [row for row in rows_of(engine, REPORTS) if not row["document"]]
    taken_back = REPORTS.c.report_id == revoked.report.name.removeprefix("reports/")

    def tamper() -> None:
        with engine.begin() as connection:
            connection.execute(REPORTS.delete().where(REPORTS.c.document == ""))
        assert mutate({REPORTS: engine}, MEANINGLESS, find, random.Random(1), 2) > 15
        with engine.begin() as connection:
            connection.execute(insert(REPORTS), [dict(row) for row in gone])
            connection.execute(update(REPORTS).where(taken_back).values(revoked_at=0))
        assert [fault.place for fault in find()] == [
            f"credit_reports, {revoked.report.name.removeprefix('reports/')}"
        ]
        with engine.begin() as connection:
            connection.execute(update(REPORTS).where(taken_back).values(revoked_at=NOW))

    # The gateway goes on meanwhile.
    await asyncio.to_thread(tamper)


def test_a_report_that_nobody_signed_is_noticed(engines: Engines) -> None:
    reports = SqlReports(engines.evidence)
    reports.add(kept(1, period=ReportPeriod()))
    book = AuthorityView().signing_keys
    found = check_reports(engines, book, NOW)
    assert (found.reports, found.documents, len(found.faults)) == (1, 1, 1)
    assert "not one that the gateway signed" in found.faults[0].what
