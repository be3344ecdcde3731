"""AcknowledgeRemovals: what is owed after a consent's end, and what was done about it (G9)."""

import asyncio
from collections.abc import Iterable

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import audit_service_pb2 as audit_pb
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import consent_service_pb2 as consent_pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.consent_service_pb2 import Consent
from tests.consents.counter import Counter, fields_of, refusal_of
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


def removal(consent: Consent, at: int) -> pb.RemovalAcknowledgement:
    """Return the word that copies made under a consent are gone."""
    return pb.RemovalAcknowledgement(consent=consent.name, remove_time=Timestamp(seconds=at))


async def acknowledge(
    counter: Counter, removals: Iterable[pb.RemovalAcknowledgement]
) -> pb.AcknowledgeRemovalsResponse:
    """Acknowledge as alpha."""
    return await counter.conformance.AcknowledgeRemovals(
        pb.AcknowledgeRemovalsRequest(removals=removals)
    )


async def ended(counter: Counter) -> Consent:
    """Return a consent that was used and taken back."""
    consent = await counter.given(await counter.published())
    await counter.use(consent)
    counter.revoke(consent)
    return await counter.read(consent.name)


@always_on_postgresql
async def test_a_removal_is_owed_until_it_is_acknowledged_once(counter: Counter) -> None:
    first, second = await ended(counter), await ended(counter)
    for consent in (first, second):
        assert not consent.removal.HasField("acknowledge_time")
    now = counter.now
    answer = await acknowledge(counter, [removal(first, now)])
    assert answer.acknowledged_removals == 1
    owed = answer.outstanding_removals
    assert owed >= 1
    assert answer.next_deadline.seconds <= second.removal.deadline.seconds
    again = await acknowledge(counter, [removal(first, now), removal(second, now)])
    assert (again.acknowledged_removals, again.outstanding_removals) == (1, owed - 1)
    told = (await counter.read(first.name)).removal
    assert told.remove_time.seconds == now
    assert now <= told.acknowledge_time.seconds <= counter.now
    assert not told.overdue


@pytest.mark.parametrize("case", ["live", "unused", "another's", "none"])
async def test_nothing_owed_is_refused_alike_for_every_reason(counter: Counter, case: str) -> None:
    """G11: a consent of another operator is as unknown as one that does not exist."""
    conformance = counter.conformance
    if case == "live":
        consent = await counter.given()
        await counter.use(consent)
    elif case == "unused":
        consent = await counter.given()
        counter.revoke(consent)
    elif case == "another's":
        consent = await ended(counter)
        conformance = ConformanceServiceStub(counter.beta)
    else:
        consent = Consent(name="consents/" + "0" * 10 + "-" + "0" * 24)
    refusal = await refusal_of(
        conformance.AcknowledgeRemovals(
            pb.AcknowledgeRemovalsRequest(removals=[removal(consent, counter.now)])
        )
    )
    assert (refusal.status, refusal.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert refusal.metadata["removal"] == "0"
    assert refusal.message == (
        "removals[0]: you owe no removal for such a consent; those before it stand."
    )


async def test_those_before_one_that_is_refused_stand(counter: Counter) -> None:
    owed, live = await ended(counter), await counter.given()
    now = counter.now
    refusal = await refusal_of(acknowledge(counter, [removal(owed, now), removal(live, now)]))
    assert refusal.metadata["removal"] == "1"
    assert (await counter.read(owed.name)).removal.HasField("acknowledge_time")


async def test_a_malformed_acknowledgement_is_refused_by_field_and_changes_nothing(
    counter: Counter,
) -> None:
    consent = await ended(counter)
    good = removal(consent, counter.now)
    for bad, field in (
        (
            pb.RemovalAcknowledgement(event_sequence=-1, remove_time=good.remove_time),
            "event_sequence",
        ),
        (pb.RemovalAcknowledgement(remove_time=good.remove_time), "event_sequence"),
        (pb.RemovalAcknowledgement(consent="x", remove_time=good.remove_time), "consent"),
        (pb.RemovalAcknowledgement(consent=consent.name), "remove_time"),
        (removal(consent, counter.now + 3_600), "remove_time"),
        (removal(consent, -1), "remove_time"),
    ):
        refusal = await refusal_of(acknowledge(counter, [good, bad]))
        assert fields_of(refusal) == {f"removals[1].{field}"}
    for count in (0, 1_001):
        refusal = await refusal_of(acknowledge(counter, [good] * count))
        assert fields_of(refusal) == {"removals"}
    assert not (await counter.read(consent.name)).removal.HasField("acknowledge_time")


async def test_copies_are_not_gone_before_the_last_answer(counter: Counter) -> None:
    consent = await ended(counter)
    refusal = await refusal_of(acknowledge(counter, [removal(consent, counter.now - 3_600)]))
    assert fields_of(refusal) == {"removals[0].remove_time"}


@pytest.mark.parametrize("seconds", [-30, 30])
async def test_a_clock_that_is_a_little_off_makes_no_word_wrong(
    counter: Counter, seconds: int
) -> None:
    consent = await ended(counter)
    at = counter.now
    await acknowledge(counter, [removal(consent, at + seconds)])
    told = (await counter.read(consent.name)).removal
    assert at - 5 <= told.remove_time.seconds <= counter.now


@always_on_postgresql
async def test_what_was_reported_gone_is_nothing_to_give_up(counter: Counter) -> None:
    once = counter.terms(access_mode=consent_pb.CONSENT_ACCESS_MODE_ONCE)
    consent = await counter.given(await counter.published(), once)
    await counter.use(consent)
    await acknowledge(counter, [removal(consent, counter.now)])
    refusal = await refusal_of(
        counter.operator.RevokeConsent(consent_pb.RevokeConsentRequest(name=consent.name))
    )
    assert (refusal.status, refusal.reason) == ("FAILED_PRECONDITION", "STATE_CONFLICT")
    told = await counter.read(consent.name)
    assert told.state == consent_pb.CONSENT_STATE_EXHAUSTED


async def test_a_report_of_a_life_that_is_over_is_taken_while_the_consent_is_in_force(
    counter: Counter,
) -> None:
    consent = await counter.short_lived(await counter.published(), 1)
    await counter.use(consent)
    await asyncio.sleep(1.1)
    over_at = counter.now
    answer = await acknowledge(counter, [removal(consent, over_at)])
    assert answer.acknowledged_removals == 1
    told = await counter.read(consent.name)
    assert told.state == consent_pb.CONSENT_STATE_GRANTED
    assert told.removal.deadline == told.data_life_until
    assert told.removal.report_by.seconds >= told.data_life_until.seconds + 86_400
    assert not told.removal.overdue
    # It is in force: the next answer is given.
    await counter.use(consent, request_id="next")


async def test_a_late_removal_stays_told_when_more_was_served_and_each_duty_is_traced(
    counter: Counter,
) -> None:
    consent = await counter.short_lived(await counter.published(), 1)
    for _ in range(2):
        await counter.use(consent)
        await asyncio.sleep(2.1)
        assert (await acknowledge(counter, [removal(consent, counter.now)])).acknowledged_removals
    told = await counter.read(consent.name)
    first, last = told.removals
    for duty in (first, last):
        assert duty.remove_time.seconds > duty.deadline.seconds
    assert (told.removal, told.data_life_until) == (last, last.deadline)
    assert (told.removals_left_out, told.unreported_left_out) == (0, 0)
    request = audit_pb.TraceConsentRequest(consent=consent.name, page_size=1)
    steps: list[audit_pb.TraceStep] = []
    while True:
        page = await counter.audit.TraceConsent(request)
        steps += page.steps
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    duties = [step.removal.duty for step in steps if step.HasField("removal")]
    assert duties == [first, last]
