"""Reports after the disclosure log has gone over to another key: those that its former key proved
hold where it is linked, and are worth nothing where it was stolen."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import update

from creditgate.credit_report import REPORT_TYPE
from creditgate.v1 import report_service_pb2 as pb
from gateway.authority.view import AuthorityView
from gateway.consents.schema import receipt_keys
from gateway.oauth.signing import SigningKeys
from gateway.reports.check import check_reports
from gateway.reports.tables import REPORTS
from gateway.storage.engines import reading
from gateway.transparency.beginning import DISCLOSURE_TABLES
from gateway.transparency.identity import known_key
from gateway.transparency.succeeding import succeed
from gateway.transparency.tables import LogId
from tests.cli.commands import creditgate_here
from tests.installation import Installation, furnished
from tests.reports.asking import CURRENT, SUPERSEDED, Reporter, stated
from tests.stores import SqliteStores
from tests.subject.world import running_world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Gone:
    """A gateway whose disclosure log has gone over to another key, the report that it was asked for
    before by ``request``, and what the check found while the new log had not begun."""

    reporter: Reporter
    request: pb.IssueCreditReportRequest
    report: pb.CreditReport
    between: list[str]

    @property
    def installation(self) -> Installation:
        """The gateway's installation."""
        return self.reporter.world.installation

    @property
    def faults(self) -> list[str]:
        """What the check finds."""
        return faults_of(self.installation)


def faults_of(installation: Installation) -> list[str]:
    """Return what is wrong with the reports kept."""
    book = AuthorityView().advanced(installation.log.since(0)).signing_keys
    found = check_reports(installation.engines, book, installation.clock.now())
    assert found.documents
    return [fault.what for fault in found.faults]


async def gone_over(stores: SqliteStores, *, stolen: bool) -> AsyncIterator[Gone]:
    """Give a gateway that has gone over to another key."""
    with furnished(stores) as installation:
        async with running_world(installation) as world, world.gateway.channel() as channel:
            request = Reporter(world, channel).request()
            report = (await Reporter(world, channel).stub.IssueCreditReport(request)).report
        file = installation.home.log_key("disclosure")
        evidence = installation.engines.evidence
        succeed(evidence, LogId.DISCLOSURE, file, DISCLOSURE_TABLES, stolen=stolen)
        between = faults_of(installation)
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(installation.running())
            channel = await stack.enter_async_context(gateway.channel())
            yield Gone(Reporter(replace(world, gateway=gateway), channel), request, report, between)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rotated(sqlite_stores: SqliteStores) -> AsyncIterator[Gone]:
    """A gateway whose former key says which follows."""
    async for gone in gone_over(sqlite_stores, stolen=False):
        yield gone


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stolen(sqlite_stores: SqliteStores) -> AsyncIterator[Gone]:
    """A gateway whose former key was put away as stolen."""
    async for gone in gone_over(sqlite_stores, stolen=True):
        yield gone


async def test_a_report_of_a_linked_key_holds_and_is_given_again(rotated: Gone) -> None:
    assert (await rotated.reporter.status(rotated.report)).state == CURRENT
    again = (await rotated.reporter.stub.IssueCreditReport(rotated.request)).report
    assert again.document == rotated.report.document


async def test_a_report_of_a_linked_key_is_verified_by_the_note_of_the_former(
    rotated: Gone, tmp_path: Path
) -> None:
    installation = rotated.installation
    book = AuthorityView().advanced(installation.log.since(0)).signing_keys
    (tmp_path / "keys.json").write_text(json.dumps(receipt_keys(book)))
    (tmp_path / "report.jws").write_text(rotated.report.document)
    (note,) = installation.home.log_key("disclosure").parent.glob("*.succession")
    with reading(installation.engines.evidence) as connection:
        present = known_key(connection, LogId.DISCLOSURE)
    words = ("report", "verify", tmp_path / "report.jws", "--keys", tmp_path / "keys.json")
    pinned = (*words, "--key", str(present), "--issuer", stated(rotated.report).iss)
    done = await asyncio.to_thread(creditgate_here, tmp_path / "no-home", *pinned)
    assert done.status == 1
    by_note = (*pinned, "--succession", note)
    done = await asyncio.to_thread(creditgate_here, tmp_path / "no-home", *by_note)
    assert done.status == 0, done.told


async def test_a_report_of_a_linked_key_is_no_fault(rotated: Gone) -> None:
    assert (rotated.between, rotated.faults) == ([], [])


async def test_a_proof_by_a_linked_key_that_does_not_hold_is_noticed(rotated: Gone) -> None:
    installation, document = rotated.installation, rotated.report.document
    report = stated(rotated.report)
    others = report.model_copy(update={"withheld": report.withheld + 1})
    book = AuthorityView().advanced(installation.log.since(0)).signing_keys
    keys = SigningKeys(installation.home.keys)
    forged = keys.sign(book, others.as_json(), REPORT_TYPE, installation.clock.now())

    def keep(document: str) -> None:
        digest = sha256(document.encode()).digest()
        with installation.engines.evidence.begin() as connection:
            connection.execute(update(REPORTS).values(document=document, document_digest=digest))

    keep(forged)
    try:
        assert rotated.faults == ["its proof does not hold"]
    finally:
        keep(document)


async def test_a_report_of_a_stolen_key_is_superseded(stolen: Gone) -> None:
    found = await stolen.reporter.status(stolen.report)
    issued_at = stolen.report.issue_time.seconds
    assert (found.state, found.since_time.seconds) == (SUPERSEDED, issued_at)


async def test_a_report_of_a_stolen_key_is_not_given_again(stolen: Gone) -> None:
    again = (await stolen.reporter.stub.IssueCreditReport(stolen.request)).report
    assert (again.state, again.document, again.pdf) == (SUPERSEDED, "", b"")


async def test_a_report_of_a_stolen_key_is_no_fault_of_the_store(stolen: Gone) -> None:
    assert (stolen.between, stolen.faults) == ([], [])


async def test_a_report_had_anew_after_a_stolen_key_holds(stolen: Gone) -> None:
    report = (await stolen.reporter.issue()).report
    assert (await stolen.reporter.status(report)).state == CURRENT
