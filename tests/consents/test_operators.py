"""Operators come and go: what their consents become, over the calls of an administrator."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import audit_service_pb2 as audit_pb
from creditgate.v1 import consent_service_pb2 as pb
from creditgate.v1 import operator_service_pb2 as operator_pb
from creditgate.v1.conformance_service_pb2 import (
    AcknowledgeRemovalsRequest,
    RemovalAcknowledgement,
)
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.consent_service_pb2_grpc import ConsentServiceStub
from creditgate.v1.operator_service_pb2_grpc import OperatorServiceStub
from creditgate.v1.usage_service_pb2 import ListUsageRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.consents.counter import Counter, id_of, refusal_of
from tests.examples import rarely_on_postgresql
from tests.installation import OPERATOR_ID, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@rarely_on_postgresql
async def test_consents_follow_their_operator_and_each_subject_is_told_why(
    counter: Counter,
) -> None:
    office = OperatorServiceStub(counter.administrator)
    consent, waiting = await counter.given(await counter.published()), await counter.ask()
    await counter.use(consent)

    async def becomes(asked: pb.Consent, state: pb.ConsentState.ValueType) -> None:
        async def written() -> bool:
            stored = counter.consents.get(id_of(asked.name))
            return stored is not None and stored.state == state

        await eventually(written)

    await office.SuspendOperator(
        operator_pb.SuspendOperatorRequest(operator_id=OPERATOR_ID, reason="风险排查")
    )
    await becomes(consent, pb.CONSENT_STATE_PAUSED)
    assert (await refusal_of(counter.use(consent))).reason == "OPERATOR_SUSPENDED"
    await office.ReinstateOperator(
        operator_pb.ReinstateOperatorRequest(operator_id=OPERATOR_ID, reason="排查完毕")
    )

    async def served() -> bool:
        stored = counter.consents.get(id_of(consent.name))
        return stored is not None and stored.state == pb.CONSENT_STATE_GRANTED

    await eventually(served)
    await counter.use(consent)
    await office.RevokeOperator(
        operator_pb.RevokeOperatorRequest(operator_id=OPERATOR_ID, reason="吊销许可")
    )
    for each in (consent, waiting):
        await becomes(each, pb.CONSENT_STATE_REVOKED)
    assert (await refusal_of(counter.use(consent))).reason == "OPERATOR_REVOKED"
    trace: audit_pb.TraceConsentResponse = await counter.audit.TraceConsent(
        audit_pb.TraceConsentRequest(consent=consent.name)
    )
    told = [
        (step.consent.state, step.consent.reason)
        for step in trace.steps
        if step.consent.actor == pb.CONSENT_ACTOR_ADMINISTRATOR
    ]
    assert told == [
        (pb.CONSENT_STATE_PAUSED, "风险排查"),
        (pb.CONSENT_STATE_GRANTED, "排查完毕"),
        (pb.CONSENT_STATE_REVOKED, "吊销许可"),
    ]
    # What the operator was served has to go: it is told, and says so itself.
    assert trace.consent.removal.HasField("deadline")
    duties = ("consents:read", "credit.conformance:acknowledge")
    async with counter.gateway.channel(scopes=duties) as channel:
        told_itself: pb.GetConsentResponse = await ConsentServiceStub(channel).GetConsent(
            pb.GetConsentRequest(name=consent.name)
        )
        assert told_itself.consent.removal == trace.consent.removal
        await ConformanceServiceStub(channel).AcknowledgeRemovals(
            AcknowledgeRemovalsRequest(
                removals=[
                    RemovalAcknowledgement(
                        consent=consent.name, remove_time=Timestamp(seconds=counter.now)
                    )
                ]
            )
        )
    assert (await counter.read(consent.name)).removal.HasField("acknowledge_time")
    more = (
        counter.ask(),
        counter.operator.ListAccesses(pb.ListAccessesRequest(subject=consent.subject)),
        UsageServiceStub(counter.alpha).ListUsage(ListUsageRequest()),
    )
    for refused in more:
        assert (await refusal_of(refused)).reason == "OPERATOR_REVOKED"
