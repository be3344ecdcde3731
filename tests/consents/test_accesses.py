"""Who used a subject's records: every use, once, newest first; to operators their own alone."""

import asyncio
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.disclosure_service_pb2 import WithdrawRecordRequest
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.consents.accesses import ALWAYS, Access, Accesses, Place
from gateway.settle.usage import usage_name
from tests.consents.counter import (
    Counter,
    fields_of,
    id_of,
    new_subject,
    refusal_of,
)
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    PURPOSE,
    REGION,
    eventually,
)
from tests.server.calls import draft, publish, query

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


def accesses(counter: Counter) -> Accesses:
    """Return what another process reads of the same ledger."""
    return Accesses(
        counter.installation.engines.records,
        counter.consents,
        lambda: ("alpha", "beta"),
        counter.installation.clock,
    )


async def published(counter: Counter, public: int = 1, closed: int = 1) -> str:
    """Return a subject with records of a public and of a consent-only item."""
    subject = new_subject()
    async with counter.gateway.channel(PUBLISHER) as publisher:
        await publish(
            publisher,
            [
                *(draft(f"p-{subject}-{i}", subject) for i in range(public)),
                *(draft(f"c-{subject}-{i}", subject, CONSENT_ITEM) for i in range(closed)),
            ],
        )
    return subject


async def listed(
    counter: Counter, *, rival: bool = False, page_size: int = 0, **narrowed: object
) -> list[pb.ConsentAccess]:
    """Return all pages of a listing."""
    found: list[pb.ConsentAccess] = []
    token = ""
    while True:
        page = await (counter.rival if rival else counter.operator).ListAccesses(
            pb.ListAccessesRequest(page_size=page_size, page_token=token, **narrowed)  # type: ignore[arg-type]
        )
        assert len(page.accesses) <= (page_size or 50)
        found += page.accesses
        token = page.next_page_token
        if not token:
            return found


async def indexed(counter: Counter, subject: str, count: int) -> list[Access]:
    """Wait until so many uses of a subject's records are found, and return them."""
    reader = accesses(counter)
    found: list[Access] = []

    async def all_found() -> bool:
        found[:] = reader.of_subject(subject, limit=1_000).accesses
        return len(found) >= count

    await eventually(all_found)
    return found


async def test_a_use_under_a_consent_is_listed_at_once_with_everything_of_it(
    counter: Counter,
) -> None:
    subject = await published(counter)
    consent = await counter.given(subject)
    await counter.use(consent, request_id=uuid4().hex)
    (use,) = await listed(counter, consent=consent.name)
    assert (use.consent, use.operator_id, use.item) == (consent.name, OPERATOR_ID, CONSENT_ITEM)
    assert (use.record, use.purpose, use.region) == (f"records/c-{subject}-0", PURPOSE, REGION)
    assert abs(use.serve_time.seconds - counter.now) < 10
    (same,) = await listed(counter, subject=subject)
    assert same == use
    (read,) = accesses(counter).of_subject(subject, limit=10).accesses
    assert (read.client_id, read.revision) == (OPERATOR_CLIENT, 1)
    assert use.usage == usage_name(OPERATOR_ID, read.usage_index, read.place.number)
    assert (await counter.read(consent.name)).answered_requests == 1


async def test_what_retries_were_given_again_is_told_with_the_use_it_is_no_other(
    counter: Counter,
) -> None:
    subject = await published(counter, public=0, closed=2)
    once = counter.terms(access_mode=pb.CONSENT_ACCESS_MODE_ONCE)
    consent, request_id = await counter.given(subject, once), uuid4().hex
    await counter.use(consent, request_id=request_id)
    assert not any(use.HasField("given_again") for use in await listed(counter, subject=subject))
    before = counter.now
    for _ in range(4):
        again = await counter.use(consent, request_id=request_id)
        assert again.receipt.replayed
    for uses in (
        await listed(counter, subject=subject),
        await listed(counter, consent=consent.name),
    ):
        assert len(uses) == 2
        assert {use.given_again.times for use in uses} == {4}
        assert all(before <= use.given_again.last_time.seconds <= counter.now for use in uses)
    assert (await counter.read(consent.name)).answered_requests == 1


async def test_a_record_that_only_some_retries_had_is_told_as_often_as_it_was_given(
    counter: Counter,
) -> None:
    subject = await published(counter, public=0, closed=2)
    consent, request_id = await counter.given(subject), uuid4().hex
    for _ in range(2):
        await counter.use(consent, request_id=request_id)
    async with counter.gateway.channel(PUBLISHER) as publisher:
        await DisclosureServiceStub(publisher).WithdrawRecord(
            WithdrawRecordRequest(
                name=f"records/c-{subject}-0", expected_revision=1, reason="published in error"
            )
        )
    await counter.use(consent, request_id=request_id)
    given = {use.record: use.given_again.times for use in await listed(counter, subject=subject)}
    assert given == {f"records/c-{subject}-0": 1, f"records/c-{subject}-1": 2}


async def test_public_records_that_come_along_are_not_under_the_consent(
    counter: Counter,
) -> None:
    subject = await published(counter)
    consent = await counter.given(subject)
    await counter.use(consent, items=())
    uses = {use.item: use.consent for use in await listed(counter, subject=subject)}
    assert uses == {PUBLIC_ITEM: "", CONSENT_ITEM: consent.name}
    assert [use.item for use in await listed(counter, consent=consent.name)] == [CONSENT_ITEM]


async def test_uses_of_public_records_are_found_soon_after(counter: Counter) -> None:
    subject = await published(counter, closed=0)
    await query(counter.alpha, subject)
    await query(counter.beta, subject)
    found = await indexed(counter, subject, 2)
    assert {access.operator_id for access in found} == {"alpha", "beta"}
    assert [access.place for access in found] == sorted(
        (access.place for access in found), reverse=True
    )
    assert all(not access.consent for access in found)


async def test_operators_see_their_own_uses_alone(counter: Counter) -> None:
    subject = await published(counter)
    consent = await counter.given(subject)
    await counter.use(consent)
    await query(counter.beta, subject, items=[PUBLIC_ITEM])
    await indexed(counter, subject, 2)
    (mine,) = await listed(counter, subject=subject)
    (theirs,) = await listed(counter, subject=subject, rival=True)
    assert (mine.operator_id, theirs.operator_id) == ("alpha", "beta")


async def test_pages_of_any_size_hold_each_use_once(counter: Counter) -> None:
    subject = await published(counter, public=2, closed=3)
    consent = await counter.given(subject)
    for _ in range(3):
        await counter.use(consent, items=())
    whole = [access.usage_name for access in await indexed(counter, subject, 15)]
    assert len(whole) == len(set(whole)) == 15
    for page_size in (1, 2, 3, 50):
        pages = await listed(counter, subject=subject, page_size=page_size)
        assert [use.usage for use in pages] == whole, page_size
        under = await listed(counter, consent=consent.name, page_size=page_size)
        assert len({use.usage for use in under}) == len(under) == 9, page_size


@always_on_postgresql
async def test_a_use_is_found_once_while_the_index_takes_it_up(counter: Counter) -> None:
    subject = await published(counter)
    consent = await counter.given(subject)
    await counter.use(consent)
    seen: list[int] = []
    for _ in range(20):
        seen.append(len(accesses(counter).of_subject(subject, limit=10).accesses))
        await asyncio.sleep(0.05)
    assert seen == [1] * 20


async def test_others_records_in_the_same_batch_are_not_the_subjects(counter: Counter) -> None:
    subject, other = await published(counter), await published(counter)
    consent = await counter.given(subject)
    request = records_pb.BatchGetSubjectRecordsRequest(
        subjects=[other, subject], purpose=PURPOSE, consent=consent.name, request_id=uuid4().hex
    )
    async for _ in CreditRecordServiceStub(counter.alpha).BatchGetSubjectRecords(request):
        pass
    uses = [(use.record, use.consent) for use in await listed(counter, subject=subject)]
    assert sorted(uses) == [
        (f"records/c-{subject}-0", consent.name),
        (f"records/p-{subject}-0", ""),
    ]
    found = await indexed(counter, other, 1)
    assert [(access.record_id, access.consent) for access in found] == [(f"p-{other}-0", "")]


@always_on_postgresql
async def test_uses_narrow_to_a_period(counter: Counter) -> None:
    subject = await published(counter)
    consent = await counter.given(subject)
    await counter.use(consent)
    now = counter.now
    for start, end, expected in (
        (now - 60, now + 60, 1),
        (now - 60, now - 30, 0),
        (now + 60, now + 90, 0),
    ):
        period = Interval(start_time=Timestamp(seconds=start), end_time=Timestamp(seconds=end))
        assert len(await listed(counter, subject=subject, period=period)) == expected


@always_on_postgresql
async def test_it_is_told_up_to_when_uses_are_found(counter: Counter) -> None:
    subject = await published(counter, closed=0)
    await query(counter.alpha, subject)
    (access,) = await indexed(counter, subject, 1)
    reader = accesses(counter)

    async def complete() -> bool:
        return reader.complete_until() >= counter.now - 61

    await eventually(complete)
    blind = Accesses(
        counter.installation.engines.records,
        counter.consents,
        lambda: ("alpha",),
        counter.installation.clock,
    )
    assert blind.complete_until() <= access.served_at + 61


async def test_an_answer_that_found_nothing_is_a_use_of_the_consent(counter: Counter) -> None:
    consent = await counter.given()
    await counter.use(consent)
    expected = pb.ConsentAccess(
        consent=consent.name, operator_id=OPERATOR_ID, item=CONSENT_ITEM, purpose=PURPOSE
    )
    for (use,) in (
        await listed(counter, consent=consent.name),
        await listed(counter, subject=consent.subject),
    ):
        assert abs(use.serve_time.seconds - counter.now) < 10
        use.ClearField("serve_time")
        assert use == expected
    (access,) = await indexed(counter, consent.subject, 1)
    assert (access.record_id, access.usage_name) == ("", "")
    stored = counter.consents.get(id_of(consent.name))
    assert stored is not None
    reader = accesses(counter)
    assert reader.under_consent(stored, period=ALWAYS, after=Place(0, 0), limit=10) == ()
    (answer,) = reader.answers(stored, period=ALWAYS, after=0, limit=10)
    assert (answer.records, answer.decision_id) == (0, access.decision_id)


@always_on_postgresql
async def test_public_records_that_come_along_do_not_hide_that_nothing_else_was_found(
    counter: Counter,
) -> None:
    subject = await published(counter, public=2, closed=0)
    consent = await counter.given(subject)
    for _ in range(2):
        await counter.use(consent, items=())
    await indexed(counter, subject, 6)
    for page_size in (1, 2, 50):
        uses = await listed(counter, subject=subject, page_size=page_size)
        assert [(bool(use.record), use.consent) for use in uses] == [
            (False, consent.name),
            (True, ""),
            (True, ""),
        ] * 2
        under = await listed(counter, consent=consent.name, page_size=page_size)
        assert [use.record for use in under] == ["", ""]


async def test_a_listing_is_refused_what_does_not_fit_it(counter: Counter) -> None:
    subject = await published(counter)
    consent = await counter.given(subject)
    for _ in range(2):
        await counter.use(consent)
    page = await counter.operator.ListAccesses(pb.ListAccessesRequest(subject=subject, page_size=1))
    assert page.next_page_token
    for request, field in (
        (pb.ListAccessesRequest(), "subject"),
        (pb.ListAccessesRequest(subject="x"), "subject"),
        (pb.ListAccessesRequest(consent="consents/"), "consent"),
        (pb.ListAccessesRequest(subject=subject, page_size=201), "page_size"),
        (pb.ListAccessesRequest(subject=subject, page_token="x"), "page_token"),
        (
            pb.ListAccessesRequest(consent=consent.name, page_token=page.next_page_token),
            "page_token",
        ),
        (pb.ListAccessesRequest(consent=consent.name, subject=new_subject()), "subject"),
        (
            pb.ListAccessesRequest(
                subject=subject,
                period=Interval(start_time=Timestamp(seconds=5), end_time=Timestamp(seconds=5)),
            ),
            "period",
        ),
    ):
        refusal = await refusal_of(counter.operator.ListAccesses(request))
        assert fields_of(refusal) == {field}, request
