"""What rests on a consent is given with its issuance, as records are, and never besides (G3, G7).

Each request here is repeated with the fields it had, as a client does that got no answer.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

import grpc
import pytest
from sqlalchemy import update

from consent.model import ONCE, WITHIN_PERIOD, Actor, Consent
from consent.states import GRANTED
from creditgate.credit_report import stated_in
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.report_service_pb2 import IssueCreditReportRequest
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.meter.tables import USAGE
from gateway.reports.printing import ReportPrinter
from operators.model import LICENCE
from sdk.refusals import explain
from tests.installation import OPERATOR_ID, eventually
from tests.reports.asking import CURRENT, EXPIRED, Reporter, reason_of, refused
from tests.subject.world import DAY, PENALTY, TAX, caught_up, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


def acknowledge_removal(reporter: Reporter, consent: Consent) -> None:
    """Have the operator say that it removed what it held under a consent that was used up."""
    consents, now = reporter.world.consents, reporter.world.now
    assert consents.settle(consent.consent_id, now).ended_at is not None
    assert consents.acknowledge(consent.consent_id, OPERATOR_ID, now, "alpha-client", now)


@contextmanager
def licence_of_alpha(reporter: Reporter, **changed: object) -> Generator[None]:
    """Change the operator's licence while the context lasts."""
    installation, number = reporter.world.installation, f"L-{OPERATOR_ID}-2"
    document = installation.log.history(kind=LICENCE, id=number, after=0, limit=999)[-1].document
    installation.put(LICENCE, number, {**document, **changed})
    yield
    installation.put(LICENCE, number, {**document})


async def told_while_held(
    reporter: Reporter, consent: Consent, request: IssueCreditReportRequest
) -> str:
    """Return why a request is refused while its consent is held.

    The clerk lets it go on a moment later, since its operator may act: then it is tried again.
    """
    for _ in range(9):
        reporter.world.move(consent, "pause", Actor.ADMINISTRATOR)
        try:
            await reporter.stub.IssueCreditReport(request)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
    return ""


async def issued(
    reporter: Reporter, consent: Consent | None, *items: str
) -> tuple[IssueCreditReportRequest, str]:
    """Have a report issued; return its request and its document."""
    request = reporter.request(*items, **({} if consent is None else {"consent": consent}))
    return request, (await reporter.stub.IssueCreditReport(request)).report.document


async def test_what_rests_on_a_consent_is_given_again_to_its_own_request_alone(
    reporter: Reporter,
) -> None:
    request, document = await issued(reporter, reporter.world.given(), TAX)
    again = await reporter.stub.IssueCreditReport(request)
    assert (again.report.document, again.charged_entries) == (document, 0)
    assert again.report.pdf
    read = await reporter.get(again.report)
    assert (read.state, read.document, read.pdf) == (CURRENT, "", b"")


async def test_a_report_is_given_again_no_longer_than_retries_are_answered(
    reporter: Reporter,
) -> None:
    request, _ = await issued(reporter, reporter.world.given(), TAX)
    public, _ = await issued(reporter, None, PENALTY)
    with reporter.world.installation.engines.records.begin() as connection:
        # As if they had been served a day ago.
        connection.execute(
            update(USAGE)
            .where(USAGE.c.request_id.in_([request.request_id, public.request_id]))
            .values(served_at=USAGE.c.served_at - DAY)
        )
    for each in (request, public):
        assert await refused(reporter.stub.IssueCreditReport(each)) == "REQUEST_ID_REUSED"


async def test_a_consent_used_up_by_a_report_gives_it_again_until_copies_are_removed(
    reporter: Reporter,
) -> None:
    consent = reporter.world.given(reporter.world.terms(access_mode=ONCE))
    request, document = await issued(reporter, consent, TAX)
    other = reporter.request(TAX, consent=consent)
    assert await refused(reporter.stub.IssueCreditReport(other)) == "CONSENT_EXHAUSTED"
    again = (await reporter.stub.IssueCreditReport(request)).report
    assert again.document == document

    acknowledge_removal(reporter, consent)

    gone = (await reporter.stub.IssueCreditReport(request)).report
    assert (gone.state, gone.document, gone.pdf) == (EXPIRED, "", b"")
    assert (await reporter.status(again)).state == EXPIRED


async def test_while_a_consent_is_held_and_after_its_end_no_report_under_it_is_given(
    reporter: Reporter,
) -> None:
    world = reporter.world
    held, kept = world.given(), world.given(world.terms(valid_until=world.now + 3))
    request, _ = await issued(reporter, held, TAX, PENALTY)
    late, document = await issued(reporter, kept, TAX)
    assert document
    assert await told_while_held(reporter, held, request) == "CONSENT_PAUSED"
    await asyncio.sleep(kept.terms.valid_until - world.now + 0.1)
    assert await refused(reporter.stub.IssueCreditReport(late)) == "CONSENT_EXPIRED"

    async def goes_on() -> bool:
        # Its operator may act, so the clerk lets it go on.
        if world.standing(held).state != GRANTED:
            return False
        return bool((await reporter.stub.IssueCreditReport(request)).report.document)

    await eventually(goes_on)


@pytest.mark.parametrize("consented", [False, True])
async def test_what_the_licence_no_longer_covers_is_not_given_again(
    reporter: Reporter, consented: bool
) -> None:
    item = TAX if consented else PENALTY
    consent = reporter.world.given() if consented else None
    request, document = await issued(reporter, consent, item)
    report = (await reporter.stub.IssueCreditReport(request)).report
    with licence_of_alpha(reporter, items=[PENALTY if consented else TAX]):
        await caught_up()
        assert await refused(reporter.stub.IssueCreditReport(request)) == "ITEM_NOT_ALLOWED"
        assert (await reporter.get(report)).document == ""
    with licence_of_alpha(reporter, purposes=[Purpose.PURPOSE_BIDDING]):
        await caught_up()
        assert await refused(reporter.stub.IssueCreditReport(request)) == "PURPOSE_NOT_ALLOWED"
    await caught_up()
    assert (await reporter.stub.IssueCreditReport(request)).report.document == document


async def test_records_the_licence_no_longer_covers_are_not_given_again(
    reporter: Reporter,
) -> None:
    """As a record call answers its retry without them, a report that states them is not given."""
    request, document = await issued(reporter, None, PENALTY)
    with licence_of_alpha(reporter, regions=["110000"]):
        await caught_up()
        assert await refused(reporter.stub.IssueCreditReport(request)) == "REQUEST_SUPERSEDED"
        _, without = await issued(reporter, None, PENALTY)
        assert not stated_in(without).records
    await caught_up()
    assert (await reporter.stub.IssueCreditReport(request)).report.document == document


async def test_a_consented_report_that_is_complete_no_longer_is_refused_by_what_mends_it(
    reporter: Reporter,
) -> None:
    """A report has no proof to choose, so none is what is wrong with its request."""
    consent = reporter.world.given()
    request, document = await issued(reporter, consent, TAX, PENALTY)
    with licence_of_alpha(reporter, regions=["110000"]):
        await caught_up()
        with pytest.raises(grpc.aio.AioRpcError) as again:
            await reporter.stub.IssueCreditReport(request)
        assert reason_of(again.value) == "REQUEST_SUPERSEDED"
        assert "no longer" in (again.value.details() or "")
        with pytest.raises(grpc.aio.AioRpcError) as fresh:
            await reporter.stub.IssueCreditReport(reporter.request(TAX, consent=consent))
        explained = explain(fresh.value)
        assert explained.reason == "INVALID_REQUEST"
        assert [each.field for each in explained.violations] == ["items"]
    await caught_up()
    assert (await reporter.stub.IssueCreditReport(request)).report.document == document


async def test_records_outside_the_period_that_the_licence_no_longer_covers_are_not_named_again(
    reporter: Reporter,
) -> None:
    """The proof names what the period leaves out: that is not told either."""
    request = reporter.request(PENALTY)
    request.period.end_time.seconds = reporter.world.now - 100 * 86_400
    document = (await reporter.stub.IssueCreditReport(request)).report.document
    assert (len(stated_in(document).records), stated_in(document).outside_period) == (0, 1)
    with licence_of_alpha(reporter, regions=["110000"]):
        await caught_up()
        assert await refused(reporter.stub.IssueCreditReport(request)) == "REQUEST_SUPERSEDED"
    await caught_up()
    assert (await reporter.stub.IssueCreditReport(request)).report.document == document


async def test_a_report_of_an_answer_given_again_is_kept_no_longer_than_that_answer(
    reporter: Reporter,
) -> None:
    """A retry makes no newer copy; and the end of the consent says by when all must be gone."""
    world = reporter.world
    once, lasting = (
        world.given(world.terms(access_mode=mode, data_life_seconds=900))
        for mode in (ONCE, WITHIN_PERIOD)
    )
    for consent in (once, lasting):
        request = reporter.request(TAX, consent=consent)
        asked = records_pb.GetSubjectRecordsRequest(
            subject=request.subject,
            items=request.items,
            purpose=request.purpose,
            consent=request.consent,
            request_id=request.request_id,
        )
        records = CreditRecordServiceStub(reporter.channel)
        first = (await records.GetSubjectRecords(asked)).receipt
        assert not first.HasField("first_serve_time")
        await asyncio.sleep(1.1)
        again = (await records.GetSubjectRecords(asked)).receipt
        assert again.first_serve_time == first.serve_time
        assert again.serve_time.seconds > first.serve_time.seconds
        answer = await reporter.stub.IssueCreditReport(request)
        assert answer.charged_entries == 0
        report = stated_in(answer.report.document)
        assert report.exp == first.serve_time.seconds + 900
        assert report.exp == answer.report.expire_time.seconds


async def test_a_consent_that_ends_while_a_report_is_printed_is_seen_before_it_is_given(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Printing is real; it only takes longer."""
    consent = reporter.world.given(reporter.world.terms(valid_until=reporter.world.now + 3))
    printing = ReportPrinter.pdf

    async def slowly(self: ReportPrinter, document: str) -> bytes:
        printed = await printing(self, document)
        await asyncio.sleep(consent.terms.valid_until - reporter.world.now + 0.1)
        return printed

    monkeypatch.setattr(ReportPrinter, "pdf", slowly)
    request = reporter.request(TAX, consent=consent)
    assert await refused(reporter.stub.IssueCreditReport(request)) == "CONSENT_EXPIRED"


async def test_the_one_delivery_of_a_report_is_among_the_uses_its_subject_sees(
    reporter: Reporter,
) -> None:
    world = reporter.world
    await world.signed_in()
    consent = world.given()
    request, document = await issued(reporter, consent, TAX)
    assert len(stated_in(document).records) == 2
    await reporter.stub.IssueCreditReport(request)
    page = await world.browser.go(world.my(f"/accesses?consent={consent.consent_id}"))
    assert text_of(page).count("纳税信息，2 条") == 1, text_of(page)
