"""TraceConsent: from a consent to everything that happened under it, and its receipt (G7)."""

import asyncio
from hashlib import sha256
from itertools import chain
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from creditgate.transparency.decisions import verify_decisions
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1 import consent_service_pb2 as consent_pb
from creditgate.v1.conformance_service_pb2 import (
    AcknowledgeRemovalsRequest,
    RemovalAcknowledgement,
)
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    DeliverSubjectRecordsRequest,
    DeliverSubjectRecordsResponse,
    GetSubjectRecordsRequest,
)
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_service_pb2 import ListUsageRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.meter.decisions import DecisionIds
from gateway.meter.delivery import DeliveryKey
from gateway.meter.model import REVERSAL
from gateway.meter.settler import DeliverySettler
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from tests.audit.proved import checkpoint_of_decisions, key_of_decisions, require_logged
from tests.consents.counter import OTHER, OTHER_CLIENT, Counter, fields_of, new_subject, refusal_of
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLISHER,
    PURPOSE,
    eventually,
)
from tests.server.calls import draft, publish

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


async def story(counter: Counter, uses: int = 2) -> consent_pb.Consent:
    """Return a consent that was asked for, granted, used and taken back."""
    subject = new_subject()
    async with counter.gateway.channel(PUBLISHER) as publisher:
        await publish(
            publisher,
            [
                draft(f"open-{subject}", subject),
                *(draft(f"t-{subject}-{i}", subject, CONSENT_ITEM) for i in range(2)),
            ],
        )
    consent = await counter.given(subject)
    for _ in range(uses):
        await counter.use(consent, items=(), request_id=uuid4().hex)
    counter.revoke(consent)
    return consent


async def traced(
    counter: Counter, consent: consent_pb.Consent, page_size: int = 0, **narrowed: object
) -> tuple[list[pb.TraceStep], consent_pb.Consent]:
    """Return all steps of a consent, and the consent as told with them."""
    steps: list[pb.TraceStep] = []
    token = ""
    while True:
        answer = await counter.audit.TraceConsent(
            pb.TraceConsentRequest(
                consent=consent.name,
                page_size=page_size,
                page_token=token,
                **narrowed,  # type: ignore[arg-type]
            )
        )
        assert len(answer.steps) <= (page_size or 100)
        steps += answer.steps
        token = answer.next_page_token
        if not token:
            return steps, answer.consent


@always_on_postgresql
async def test_a_consent_leads_to_every_use_and_to_its_receipt(counter: Counter) -> None:
    consent = await story(counter)
    steps, told = await traced(counter, consent)
    assert [step.WhichOneof("step") for step in steps] == [
        "consent",
        "consent",
        *["decision", "usage", "usage"] * 2,
        "consent",
    ]
    assert [step.consent.state for step in steps if step.HasField("consent")] == [
        consent_pb.CONSENT_STATE_REQUESTED,
        consent_pb.CONSENT_STATE_GRANTED,
        consent_pb.CONSENT_STATE_REVOKED,
    ]
    assert told == await counter.read(consent.name)
    assert told.receipt
    for step in steps:
        own = {
            "usage": step.usage.serve_time,
            "decision": step.decision.entry.decide_time,
            "consent": step.consent.event_time,
        }
        assert step.step_time == own[step.WhichOneof("step") or ""]


async def test_how_often_a_use_was_sent_again_is_told_with_it(counter: Counter) -> None:
    consent, request_id = await counter.given(await counter.published()), uuid4().hex
    for _ in range(3):
        await counter.use(consent, request_id=request_id)
    await counter.use(consent)
    steps, _ = await traced(counter, consent)
    assert [step.given_again.times for step in steps if step.HasField("usage")] == [2, 0]
    assert [step.HasField("given_again") for step in steps if step.HasField("usage")] == [
        True,
        False,
    ]


async def test_that_a_use_was_credited_is_told_with_it_where_and_when(counter: Counter) -> None:
    subject = await counter.published()
    consent, request_id = await counter.given(subject), uuid4().hex
    opening = DeliverSubjectRecordsRequest(
        open=BatchGetSubjectRecordsRequest(
            subjects=[subject], purpose=PURPOSE, consent=consent.name, request_id=request_id
        )
    )
    call = CreditRecordServiceStub(counter.alpha).DeliverSubjectRecords()
    await call.write(opening)
    chunk = await call.read()
    assert isinstance(chunk, DeliverSubjectRecordsResponse)
    assert len(chunk.chunk.records) == 1
    call.cancel()
    await counter.use(consent)
    await asyncio.to_thread(
        DeliverySettler(
            counter.installation.engines.records,
            counter.installation.clock,
            DecisionIds(),
            grace_seconds=-1,
            per_day=10,
        ).settle,
        DeliveryKey(OPERATOR_ID, request_id),
    )
    own = (USAGE.c.request_id == request_id, USAGE.c.kind == REVERSAL)
    with reading(counter.installation.engines.records) as connection:
        credit = connection.execute(select(USAGE).where(*own)).one()
    steps, _ = await traced(counter, consent)
    one, other = [step for step in steps if step.HasField("usage")]
    assert one.credited.use == f"operators/{OPERATOR_ID}/usage/{credit.usage_index}"
    assert one.credited.decision == f"decisions/{credit.decision_id}"
    assert one.credited.credit_time.seconds == credit.served_at
    assert not other.HasField("credited")


async def _proved(counter: Counter, consent: consent_pb.Consent, number: int) -> bool:
    """Tell whether so many decisions about a consent are told with where they are logged."""
    steps, _ = await traced(counter, consent)
    decisions = [step.decision for step in steps if step.HasField("decision")]
    return len(decisions) == number and all(each.audit_path for each in decisions)


@always_on_postgresql
async def test_decisions_about_a_consent_are_told_with_what_is_known_of_them(
    counter: Counter,
) -> None:
    consent = await counter.given()
    await counter.use(consent, request_id="nothing-found")
    stranger = CreditRecordServiceStub(counter.beta).GetSubjectRecords(
        GetSubjectRecordsRequest(
            subject=consent.subject,
            purpose=PURPOSE,
            items=[CONSENT_ITEM],
            consent=consent.name,
            request_id="of-another",
        )
    )
    unknown = await refusal_of(stranger)
    counter.revoke(consent)
    revoked = await refusal_of(counter.use(consent, request_id="too-late"))
    # Decisions are told at once, and proved once the log has taken them in.
    await eventually(lambda: _proved(counter, consent, 3))
    # The paths are to the checkpoint of the same answer: the log grows meanwhile.
    answer = await counter.audit.TraceConsent(pb.TraceConsentRequest(consent=consent.name))
    steps, proof = answer.steps, answer.proof
    allowed, *refused = [step.decision for step in steps if step.HasField("decision")]
    assert [step.WhichOneof("step") for step in steps if not step.HasField("consent")] == [
        "decision"
    ] * 3
    log = checkpoint_of_decisions(counter.installation, proof.checkpoint)
    for each in (allowed, *refused):
        require_logged(each, log)
    entry = allowed.entry
    assert entry.name.startswith("decisions/")
    assert (entry.outcome, entry.operator_id, entry.client_id, entry.request_id) == (
        pb.DECISION_OUTCOME_ALLOWED,
        OPERATOR_ID,
        OPERATOR_CLIENT,
        "nothing-found",
    )
    assert (entry.consent, entry.purpose, entry.served_records) == (consent.name, PURPOSE, 0)
    assert [
        (each.entry.name, each.entry.client_id, each.entry.request_id, each.entry.outcome)
        for each in refused
    ] == [
        (
            f"decisions/{unknown.metadata['decision_id']}",
            OTHER_CLIENT,
            "of-another",
            pb.DECISION_OUTCOME_REFUSED,
        ),
        (
            f"decisions/{revoked.metadata['decision_id']}",
            OPERATOR_CLIENT,
            "too-late",
            pb.DECISION_OUTCOME_REFUSED,
        ),
    ]
    assert [RefusalReason.Name(each.entry.reason)[15:] for each in refused] == [
        unknown.reason,
        revoked.reason,
    ]
    assert {each.entry.consent for each in refused} == {consent.name}
    method = "/creditgate.v1.CreditRecordService/GetSubjectRecords"
    assert {each.entry.method for each in refused} == {method}


async def test_the_removal_of_copies_is_the_end_of_the_trace(counter: Counter) -> None:
    consent = await story(counter)
    removal = RemovalAcknowledgement(
        consent=consent.name, remove_time=Timestamp(seconds=counter.now)
    )
    await counter.conformance.AcknowledgeRemovals(AcknowledgeRemovalsRequest(removals=[removal]))
    for page_size in (0, 1, 9):
        steps, _ = await traced(counter, consent, page_size)
        assert len(steps) == 10
        assert steps[-1].removal.operator_id == OPERATOR_ID
        assert steps[-1].removal.removal == removal


async def test_its_uses_are_the_very_entries_of_the_usage_ledger(counter: Counter) -> None:
    consent = await story(counter)
    steps, _ = await traced(counter, consent)
    uses = [step.usage for step in steps if step.HasField("usage")]
    usage = UsageServiceStub(counter.administrator)
    entries = (
        await usage.ListUsage(ListUsageRequest(operator_id=OPERATOR_ID, page_size=1_000))
    ).entries
    # What is public came along, in the same answers, but not under the consent.
    assert uses == [
        entry for entry in entries if entry.consent == consent.name and entry.item == CONSENT_ITEM
    ]
    # And back: the entry names the consent, which leads to its receipt.
    _, told = await traced(counter, consent_pb.Consent(name=uses[0].consent))
    assert told.receipt == (await counter.read(consent.name)).receipt


async def test_pages_of_any_size_hold_each_step_once(counter: Counter) -> None:
    consent = await story(counter)
    removal = RemovalAcknowledgement(
        consent=consent.name, remove_time=Timestamp(seconds=counter.now)
    )
    await counter.conformance.AcknowledgeRemovals(AcknowledgeRemovalsRequest(removals=[removal]))
    for _ in range(3):
        await refusal_of(counter.use(consent))
    await eventually(lambda: _proved(counter, consent, 5))
    whole, _ = await traced(counter, consent)
    assert len(whole) == 13
    paged = {size: (await traced(counter, consent, size))[0] for size in (1, 2, 5)}
    # A path is to the checkpoint of its own answer.
    for step in chain(whole, *paged.values()):
        step.decision.ClearField("audit_path")
        step.change_decision.ClearField("audit_path")
    assert paged == dict.fromkeys(paged, whole)


async def test_steps_narrow_to_a_period(counter: Counter) -> None:
    consent = await story(counter)
    now = counter.now
    for start, end, expected in ((now - 600, now + 600, 9), (now + 600, now + 700, 0)):
        period = Interval(start_time=Timestamp(seconds=start), end_time=Timestamp(seconds=end))
        steps, _ = await traced(counter, consent, period=period)
        assert len(steps) == expected


async def test_a_trace_is_refused_what_does_not_fit_it(counter: Counter) -> None:
    consent = await story(counter, uses=0)
    other = await story(counter, uses=0)
    page = await counter.audit.TraceConsent(
        pb.TraceConsentRequest(consent=consent.name, page_size=1)
    )
    for request, field in (
        (pb.TraceConsentRequest(), "consent"),
        (pb.TraceConsentRequest(consent=consent.name, page_size=1_001), "page_size"),
        (pb.TraceConsentRequest(consent=consent.name, known_tree_size=-1), "known_tree_size"),
        (pb.TraceConsentRequest(consent=consent.name, known_tree_size=2**40), "known_tree_size"),
        (pb.TraceConsentRequest(consent=consent.name, page_token="x"), "page_token"),
        (
            pb.TraceConsentRequest(consent=other.name, page_token=page.next_page_token),
            "page_token",
        ),
    ):
        refusal = await refusal_of(counter.audit.TraceConsent(request))
        assert fields_of(refusal) == {field}, request
    none = pb.TraceConsentRequest(consent="consents/0")
    assert (await refusal_of(counter.audit.TraceConsent(none))).reason == "RESOURCE_NOT_FOUND"


async def test_changes_of_a_consent_are_in_the_decision_log_with_its_receipt(
    counter: Counter,
) -> None:
    consent = await story(counter, uses=0)
    _, told = await traced(counter, consent)

    async def changes() -> list[pb.LoggedDecision]:
        page = await counter.audit.ListDecisions(
            pb.ListDecisionsRequest(operator_id=OPERATOR_ID, page_size=1_000)
        )
        log = checkpoint_of_decisions(counter.installation, page.proof.checkpoint)
        found = [each for each in page.decisions if each.entry.consent == consent.name]
        for each in found:
            require_logged(each, log)
        return found

    async def all_there() -> bool:
        return len(await changes()) == 3

    await eventually(all_there)
    entries = [each.entry for each in await changes()]
    assert [entry.consent_state for entry in entries] == [
        consent_pb.CONSENT_STATE_REQUESTED,
        consent_pb.CONSENT_STATE_GRANTED,
        consent_pb.CONSENT_STATE_REVOKED,
    ]
    digest = sha256(told.receipt.encode()).digest()
    assert [entry.receipt_digest for entry in entries] == [b"", digest, b""]


async def test_each_change_is_told_with_its_entry_in_the_decision_log(counter: Counter) -> None:
    consent = await story(counter, uses=1)
    answer = await counter.audit.TraceConsent(pb.TraceConsentRequest(consent=consent.name))
    log = checkpoint_of_decisions(counter.installation, answer.proof.checkpoint)
    changes = [step for step in answer.steps if step.HasField("consent")]
    assert len(changes) == 3
    for step in changes:
        entry = step.change_decision.entry
        require_logged(step.change_decision, log)
        assert entry.name == f"decisions/consent-change-{step.consent.sequence}"
        assert entry.consent_state == step.consent.state
    digest = sha256(answer.consent.receipt.encode()).digest()
    assert changes[1].change_decision.entry.receipt_digest == digest
    key = key_of_decisions(counter.installation)
    found = verify_decisions(answer, key)
    assert len(found.entries) == 4
    assert not found.unlogged
    later = await counter.audit.TraceConsent(
        pb.TraceConsentRequest(consent=consent.name, known_tree_size=found.checkpoint.size)
    )
    assert verify_decisions(later, key, found.checkpoint).grown_from == found.checkpoint


@always_on_postgresql
async def test_refused_calls_about_a_consent_are_traced_from_it(counter: Counter) -> None:
    consent = await counter.given()
    read = consent_pb.GetConsentRequest(name=consent.name)
    revoke = consent_pb.RevokeConsentRequest(name=consent.name, reason="test")
    refused = [
        await refusal_of(counter.rival.GetConsent(read)),
        await refusal_of(counter.rival.RevokeConsent(revoke)),
    ]
    counter.set_operator(OperatorState.OPERATOR_STATE_SUSPENDED, operator_id=OTHER)
    stranger = CreditRecordServiceStub(counter.beta)

    async def is_suspended() -> bool:
        request = GetSubjectRecordsRequest(
            subject=consent.subject, purpose=PURPOSE, consent=consent.name, request_id="suspended"
        )
        refused.append(await refusal_of(stranger.GetSubjectRecords(request)))
        return refused[-1].reason == "OPERATOR_SUSPENDED"

    try:
        await eventually(is_suspended)
    finally:
        counter.set_operator(OperatorState.OPERATOR_STATE_ACTIVE, operator_id=OTHER)
    steps, _ = await traced(counter, consent)
    entries = [step.decision.entry for step in steps if step.HasField("decision")]
    assert [entry.name for entry in entries] == [
        f"decisions/{refusal.metadata['decision_id']}" for refusal in refused
    ]
    last = entries[-1]
    assert RefusalReason.Name(last.reason) == "REFUSAL_REASON_OPERATOR_SUSPENDED"
    assert (last.purpose, last.request_id, last.consent) == (PURPOSE, "suspended", consent.name)
