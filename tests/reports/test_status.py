"""Status of reports on a real gateway: what ends them, who is told, what is given out."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import grpc
import pytest
import pytest_asyncio

from consent.connections import writing
from consent.model import Actor
from consent.owed import owe
from creditgate.credit_report import STATES, CreditReportStatus
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from creditgate.v1 import report_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from sdk.documents import DocumentRefused, require_fresh
from sdk.reports import verified_status
from tests.installation import PUBLISHER, company
from tests.reports.asking import (
    CURRENT,
    REVOKED,
    SUPERSEDED,
    Reporter,
    reason_of,
    refused,
    stated,
)
from tests.reports.conftest import Site
from tests.reports.test_delivering import licence_of_alpha
from tests.server.calls import publish
from tests.subject.world import BANK_ID, PENALTY, TAX, caught_up, penalty

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = count(100)


@pytest_asyncio.fixture(loop_scope="module")
async def publisher(site: Site) -> AsyncIterator[Any]:
    """The publisher's channel."""
    async with site.world.gateway.channel(PUBLISHER) as channel:
        yield channel


async def penalised(site: Site, channel: Any) -> tuple[str, disclosure_pb.RecordDraft]:
    """Return a company with a penalty, and the penalty."""
    number = next(_numbers)
    draft = penalty(site.world.now)
    draft.record_id, draft.subject = f"penalty-{number}", company(number)
    await publish(channel, [draft])
    return company(number), draft


async def test_a_report_holds_and_says_so_signed(reporter: Reporter) -> None:
    report = (await reporter.issue()).report
    found = await reporter.status(report)
    status = await verified(reporter, found.statement, report.document)
    assert (found.state, status.state, status.since) == (CURRENT, STATES[CURRENT], None)
    assert not found.HasField("since_time")
    assert status.report == report.name
    other = (await reporter.issue()).report
    with pytest.raises(DocumentRefused, match="another report"):
        await verified(reporter, found.statement, other.document)


async def test_a_status_is_believed_for_an_hour(site: Site) -> None:
    report = (await site.reporter.issue()).report
    found = await site.reporter.status(report)
    await verified(site.reporter, found.statement, report.document, 3_590)
    with pytest.raises(DocumentRefused, match="older than 3600 seconds"):
        await verified(site.reporter, found.statement, report.document, 3_610)


def test_a_status_is_from_after_what_it_is_of_and_not_of_the_future() -> None:
    require_fresh(status_at=7, document_at=7, now=8, freshness=1)
    with pytest.raises(DocumentRefused, match="before"):
        require_fresh(status_at=6, document_at=7, now=7, freshness=10)
    with pytest.raises(DocumentRefused, match="future"):
        require_fresh(status_at=1_000, document_at=7, now=10, freshness=10)


async def verified(
    reporter: Reporter, statement: str, document: str, later: int = 0
) -> CreditReportStatus:
    """Return a statement, verified by the keys that are published."""
    issuer = reporter.world.gateway.running.issuer
    keys = (await reporter.world.browser.http.get(f"{issuer}/consent/receipt-keys.json")).json()
    now = reporter.world.now + later
    return verified_status(statement, document, keys, issuer, now)


@pytest.mark.parametrize("how", ["correct", "repair", "withdraw"])
async def test_once_a_record_is_corrected_or_ends_no_report_of_it_is_given_out_again(
    site: Site, publisher: Any, how: str
) -> None:
    reporter = site.reporter
    subject, draft = await penalised(site, publisher)
    request = reporter.request(subject=subject)
    report = (await reporter.stub.IssueCreditReport(request)).report
    assert (await reporter.get(report)).state == CURRENT
    again = (await reporter.stub.IssueCreditReport(request)).report
    assert again.document == report.document

    await end(publisher, draft, how)

    again = await reporter.get(report)
    assert (again.state, again.document, again.pdf) == (SUPERSEDED, "", b"")
    retried = (await reporter.stub.IssueCreditReport(request)).report
    assert (retried.state, retried.document, retried.pdf) == (SUPERSEDED, "", b"")
    found = await reporter.status(report)
    status = await verified(reporter, found.statement, report.document)
    assert found.state == SUPERSEDED
    assert status.state == "SUPERSEDED"
    assert status.since == found.since_time.seconds <= found.check_time.seconds
    fresh = stated((await reporter.issue(subject=subject)).report)
    assert len(fresh.records) == (1 if how == "correct" else 0)


async def end(channel: Any, draft: disclosure_pb.RecordDraft, how: str) -> None:
    """Correct, repair or withdraw a record."""
    stub: Any = disclosure_grpc.DisclosureServiceStub(channel)
    fields: dict[str, Any] = {"name": f"records/{draft.record_id}", "expected_revision": 1}
    if how == "correct":
        content = draft.content.replace("罚款".encode(), "警告".encode())
        await stub.CorrectRecord(
            disclosure_pb.CorrectRecordRequest(content=content, reason="Invented error", **fields)
        )
    elif how == "repair":
        await stub.RepairRecord(
            disclosure_pb.RepairRecordRequest(decision_reference="Invented decision", **fields)
        )
    else:
        await stub.WithdrawRecord(
            disclosure_pb.WithdrawRecordRequest(reason="Invented error", **fields)
        )


async def test_what_is_disclosed_later_ends_a_report_of_absence(site: Site, publisher: Any) -> None:
    number = next(_numbers)
    report = (await site.reporter.issue(subject=company(number))).report
    assert stated(report).items[0].records == 0
    draft = penalty(site.world.now)
    draft.record_id, draft.subject = f"penalty-{number}", company(number)
    await publish(publisher, [draft])
    assert (await site.reporter.status(report)).state == SUPERSEDED


async def test_a_report_holds_whatever_becomes_of_records_outside_its_licence(
    site: Site, publisher: Any
) -> None:
    reporter = site.reporter
    far = penalty(site.world.now)
    far.record_id, far.subject, far.region = "penalty-far", company(next(_numbers)), "110000"
    await publish(publisher, [far])
    with licence_of_alpha(reporter, regions=["330100"]):
        await caught_up()
        report = (await reporter.issue(subject=far.subject)).report
    await caught_up()
    whole = (await reporter.issue(subject=far.subject)).report
    assert [len(stated(each).records) for each in (report, whole)] == [0, 1]
    await end(publisher, far, "correct")
    far.record_id = "penalty-far-2"
    await publish(publisher, [far])
    assert (await reporter.status(report)).state == CURRENT
    assert (await reporter.status(whole)).state == SUPERSEDED
    near = penalty(site.world.now)
    near.record_id, near.subject, near.region = "penalty-near", far.subject, "330100"
    await publish(publisher, [near])
    assert (await reporter.status(report)).state == SUPERSEDED


async def test_a_report_ends_with_the_consent_it_rests_on(reporter: Reporter) -> None:
    consent = reporter.world.given()
    resting = (await reporter.issue(TAX, PENALTY, consent=consent)).report
    public = (await reporter.issue(PENALTY, consent=consent)).report
    reporter.world.move(consent, "revoke", Actor.SUBJECT)
    assert (await reporter.status(resting)).state == REVOKED
    assert (await reporter.get(resting)).document == ""
    assert (await reporter.status(public)).state == CURRENT


async def test_a_report_does_not_end_with_copies_that_were_made_before_it(
    reporter: Reporter,
) -> None:
    world = reporter.world
    consent = world.given(world.terms((TAX,), data_life_seconds=3_600))
    # As if something was served whose life is over.
    over = world.now - 10
    with writing(world.installation.engines.records) as connection:
        owe(connection, consent, over, over, over)
    issued = (await reporter.issue(TAX, consent=consent)).report
    report = stated(issued)
    assert report.exp == report.served_at + 3_600
    operator_id = consent.operator_id
    assert world.consents.acknowledge(consent.consent_id, operator_id, over, "x", world.now)
    assert (await reporter.status(issued)).state == CURRENT


async def test_a_report_is_taken_back_by_who_had_it_issued(reporter: Reporter) -> None:
    report = (await reporter.issue()).report
    taken_back = await reporter.revoke(report)
    assert (taken_back.state, taken_back.document, taken_back.pdf) == (REVOKED, "", b"")
    assert (await reporter.get(report)).document == ""
    assert (await reporter.status(report)).state == REVOKED
    assert (
        await refused(
            reporter.stub.RevokeCreditReport(pb.RevokeCreditReportRequest(name=report.name))
        )
        == "INVALID_REQUEST"
    )


async def test_an_administrator_takes_any_report_back_and_reads_none(site: Site) -> None:
    report = (await site.reporter.issue()).report
    async with site.world.gateway.channel("administrator") as channel:
        administrator = Reporter(site.world, channel)
        assert await refused(administrator.get(report)) == "SCOPE_NOT_GRANTED"
        # The code opens what the report states: it is for who had it issued to give away.
        assert (await administrator.revoke(report)).check_code == ""
    assert (await site.reporter.status(report)).state == REVOKED


async def test_of_another_operators_report_nothing_is_told_without_its_code(site: Site) -> None:
    report = (await site.reporter.issue()).report
    installation = site.world.installation
    installation.enrol("beta-one", ClientRole.CLIENT_ROLE_OPERATOR, BANK_ID)
    async with site.world.gateway.channel("beta-one") as channel:
        other = Reporter(site.world, channel)
        assert await refused(other.get(report)) == "RESOURCE_NOT_FOUND"
        assert await refused(other.revoke(report)) == "RESOURCE_NOT_FOUND"
        unknown = pb.CreditReport(name="reports/" + "0" * 10 + "-" + "0" * 24)
        wrong = await refused(other.status(report, "2" * 12))
        assert wrong == await refused(other.status(unknown, "2" * 12)) == "RESOURCE_NOT_FOUND"
        # Who holds the report has its code, and needs no scope.
        assert (await other.status(report)).state == CURRENT


async def test_looking_reports_up_has_its_rate(site: Site) -> None:
    report = (await site.reporter.issue()).report
    installation = site.world.installation
    installation.enrol("alpha-hasty", ClientRole.CLIENT_ROLE_OPERATOR, "alpha")
    async with site.world.gateway.channel("alpha-hasty") as channel:
        hasty = Reporter(site.world, channel)
        reasons = [await why_not(hasty, report) for _ in range(40)]
    assert reasons[:20] == [""] * 20
    assert "RATE_EXCEEDED" in reasons


async def why_not(reporter: Reporter, report: pb.CreditReport) -> str:
    """Return why a report is not looked up, "" where it is."""
    try:
        await reporter.status(report)
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return ""
