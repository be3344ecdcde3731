"""The page of a report's status: for whoever holds the report, and nobody else."""

import re

import pytest

from creditgate.credit_report import (
    SCHEMA_PATH,
    STATUS_SCHEMA_PATH,
    stated_in,
)
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1 import disclosure_service_pb2_grpc as disclosure_grpc
from gateway.pages.rendering import GUARDS
from gateway.rate import Rate
from sdk.reports import verified_status
from tests.consents.schema_check import faults
from tests.installation import PUBLISHER, company
from tests.people import COMPANY
from tests.reports.asking import Reporter, stated
from tests.reports.conftest import Site
from tests.server.calls import publish
from tests.subject.world import PENALTY, TAX, penalty, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_address_on_a_report_tells_that_it_holds_and_what_it_states(
    reporter: Reporter,
) -> None:
    report = (await reporter.issue(PENALTY, "list.serious-dishonesty")).report
    page = await reporter.world.browser.go(stated(report).status_url)
    text = text_of(page)
    assert page.status_code == 200
    for told in (
        "有效，与当前公示一致",
        report.name,
        COMPANY,
        "行政处罚信息：1 条记录",
        "未查到公示记录",
    ):
        assert told in text, told
    assert {name: page.headers[name] for name in GUARDS} == dict(GUARDS)
    english = await reporter.world.browser.go(f"{stated(report).status_url}?lang=en")
    assert "Valid: it states what is disclosed now" in text_of(english)


async def test_once_it_does_not_hold_the_page_tells_nothing_of_what_it_stated(
    reporter: Reporter,
) -> None:
    report = (await reporter.issue(PENALTY)).report
    await reporter.revoke(report)
    text = text_of(await reporter.world.browser.go(stated(report).status_url))
    assert "已撤销" in text
    assert "不得再作使用" in text
    assert COMPANY not in text
    assert "行政处罚信息" not in text


async def test_a_repaired_record_is_not_told_of_on_the_page_of_a_report(site: Site) -> None:
    subject, draft = company(61), penalty(site.world.now)
    draft.record_id, draft.subject = "repaired-61", subject
    async with site.world.gateway.channel(PUBLISHER) as channel:
        await publish(channel, [draft])
        report = (await site.reporter.issue(PENALTY, subject=subject)).report
        address = stated(report).status_url
        assert "行政处罚信息：1 条记录" in text_of(await site.world.browser.go(address))
        await disclosure_grpc.DisclosureServiceStub(channel).RepairRecord(
            disclosure_pb.RepairRecordRequest(
                name="records/repaired-61", expected_revision=1, decision_reference="Invented"
            )
        )
    text = text_of(await site.world.browser.go(address))
    assert "已被更新" in text
    assert subject not in text
    assert "行政处罚信息" not in text


async def test_the_status_is_kept_signed(reporter: Reporter) -> None:
    report = (await reporter.issue()).report
    browser, issuer = reporter.world.browser, reporter.world.gateway.running.issuer
    statement = await browser.go(f"{stated(report).status_url}/statement")
    keys = (await browser.http.get(f"{issuer}/consent/receipt-keys.json")).json()
    assert statement.headers["content-type"] == "application/jose"
    assert (
        verified_status(statement.text, report.document, keys, issuer, reporter.world.now).state
        == "CURRENT"
    )


async def test_without_its_code_a_report_is_as_one_that_does_not_exist(reporter: Reporter) -> None:
    report = stated((await reporter.issue()).report)
    browser, address = reporter.world.browser, report.status_url
    wrong = await browser.go(address.replace(report.check_code, "2" * 12))
    unknown = await browser.go(
        re.sub(r"/reports/[^/]+", "/reports/" + "0" * 10 + "-" + "0" * 24, address)
    )
    assert wrong.status_code == unknown.status_code == 404
    assert text_of(wrong) == text_of(unknown)
    for path in ("/reports/x/y", "/reports/%00/%00", f"/reports/{'a' * 5_000}/y/statement"):
        assert (await browser.go(reporter.world.url(path))).status_code == 404


async def test_reports_and_statuses_fit_the_schemas_that_are_published(reporter: Reporter) -> None:
    browser, issuer = reporter.world.browser, reporter.world.gateway.running.issuer
    answer = await reporter.issue(TAX, PENALTY, consent=reporter.world.given(), recipient="r")
    schema = (await browser.http.get(issuer + SCHEMA_PATH)).json()
    assert schema["$id"] == issuer + SCHEMA_PATH
    report = stated_in(answer.report.document).as_json()
    assert faults(report, schema, schema) == []
    assert faults({**report, "more": 1}, schema, schema) == ["/more: unknown"]
    statuses = (await browser.http.get(issuer + STATUS_SCHEMA_PATH)).json()
    found = await reporter.status(answer.report)
    issuer_keys = (await browser.http.get(f"{issuer}/consent/receipt-keys.json")).json()
    status = verified_status(
        found.statement, answer.report.document, issuer_keys, issuer, reporter.world.now
    )
    assert faults(status.as_json(), statuses, statuses) == []


async def test_a_holder_looks_reports_up_as_often_as_people_do_and_no_faster() -> None:
    rate = Rate(0.5, 3)
    assert [rate.wait("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert rate.wait("a", 0.0) == 1
    assert rate.wait("b", 0.0) == 0
    assert rate.wait("a", 0.5) == 0
    assert rate.wait("a", 0.6) > 0
    assert [rate.wait("a", 60.0) for _ in range(4)] == [0, 0, 0, 1]
    for number in range(10_001):
        rate.wait(f"other-{number}", 60.0)
    # Who has not asked for longest starts anew.
    assert rate.wait("a", 60.0) == 0
