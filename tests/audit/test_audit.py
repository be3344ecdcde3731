"""The audit as administrators ask it: every decision proved, and traces through all logs (G7)."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.transparency.merkle import ProofInvalid, verify_consistency
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.audit_service_pb2_grpc import AuditServiceStub
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.disclosure_service_pb2 import RepairRecordRequest
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Interval
from gateway.clock import SystemClock
from sdk.refusals import explain
from tests.audit.proved import checkpoint_of_decisions, require_logged
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import (
    ADMINISTRATOR,
    OPERATOR_CLIENT,
    OPERATOR_ID,
    PUBLIC_ITEM,
    PUBLISHER,
    Installation,
    company,
    eventually,
    furnished,
)
from tests.server.calls import draft, publish, query
from tests.stores import PostgresStores, SqliteStores

if TYPE_CHECKING:
    from creditgate.v1.audit_service_pb2_grpc import AuditServiceAsyncStub

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]
_numbers = count(500)


@dataclass
class Office:
    """A gateway, and those who call it."""

    installation: Installation
    operator: grpc.aio.Channel
    publisher: grpc.aio.Channel
    audit: "AuditServiceAsyncStub"

    async def served(self) -> tuple[str, str, str]:
        """Publish and serve a record; return its id, the request id and the decision's name."""
        record_id, subject, request_id = f"r-{uuid4().hex}", company(next(_numbers)), uuid4().hex
        await publish(self.publisher, [draft(record_id, subject)])
        answer = await query(self.operator, subject, items=[PUBLIC_ITEM], request_id=request_id)
        return record_id, request_id, f"decisions/{answer.receipt.decision_id}"

    async def refused(self) -> str:
        """Have a call refused; return the decision's name."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await query(self.operator, company(1), items=["no.such-item"])
        return f"decisions/{explain(caught.value).metadata['decision_id']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def office(request: pytest.FixtureRequest) -> AsyncGenerator[Office]:
    """An office on each kind of store."""
    name = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    stores: SqliteStores | PostgresStores = request.getfixturevalue(name)
    async with AsyncExitStack() as stack:
        installation = stack.enter_context(furnished(stores))
        gateway = await stack.enter_async_context(installation.running())
        channels = [
            await stack.enter_async_context(gateway.channel(client))
            for client in (OPERATOR_CLIENT, PUBLISHER, ADMINISTRATOR)
        ]
        yield Office(installation, channels[0], channels[1], AuditServiceStub(channels[2]))


async def listed(office: Office, page_size: int = 0, **narrowed: object) -> list[pb.LoggedDecision]:
    """Return all decisions that are listed, each seen to be in the log."""
    found: list[pb.LoggedDecision] = []
    token = ""
    while True:
        answer = await office.audit.ListDecisions(
            pb.ListDecisionsRequest(page_size=page_size, page_token=token, **narrowed)  # type: ignore[arg-type]
        )
        log = checkpoint_of_decisions(office.installation, answer.proof.checkpoint)
        for decision in answer.decisions:
            require_logged(decision, log)
        assert len(answer.decisions) <= (page_size or 100)
        found += answer.decisions
        token = answer.next_page_token
        if not token:
            return found


async def logged(office: Office, *names: str) -> list[pb.LoggedDecision]:
    """Wait until decisions are in the log; return all there are."""

    async def there() -> bool:
        return set(names) <= {each.entry.name for each in await listed(office, 1_000)}

    await eventually(there, 10)
    return await listed(office, 1_000)


async def refusal_of(call: Awaitable[object]) -> tuple[str, str]:
    """Return status and reason of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    told = explain(caught.value)
    return told.status, told.reason


@always_on_postgresql
async def test_every_decision_is_in_the_log_once_and_proved(office: Office) -> None:
    names = [(await office.served())[2] for _ in range(3)] + [await office.refused()]
    found = await logged(office, *names)
    entries = [each.entry for each in found]
    # Between them are facts, which are no decisions about calls.
    places = [entry.sequence for entry in entries]
    assert places == sorted(set(places))
    told = [entry for entry in entries if entry.name in names]
    assert len(told) == 4
    *allowed, refused = told
    for entry in allowed:
        assert (entry.outcome, entry.operator_id, entry.client_id, entry.served_records) == (
            pb.DECISION_OUTCOME_ALLOWED,
            OPERATOR_ID,
            OPERATOR_CLIENT,
            1,
        )
        assert len(entry.request_digest) == 32
        assert entry.disclosure_sequence > 0
    assert (refused.outcome, refused.reason, refused.operator_id, refused.scope) == (
        pb.DECISION_OUTCOME_REFUSED,
        RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
        OPERATOR_ID,
        "credit.records:read",
    )
    assert refused.method == "/creditgate.v1.CreditRecordService/GetSubjectRecords"


async def test_an_entry_that_was_changed_is_not_in_the_log(office: Office) -> None:
    found = await logged(office, await office.refused())
    answer = await office.audit.ListDecisions(pb.ListDecisionsRequest(page_size=1_000))
    log = checkpoint_of_decisions(office.installation, answer.proof.checkpoint)
    changed = pb.LoggedDecision()
    changed.CopyFrom(answer.decisions[len(found) - 1])
    changed.entry.reason = RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED
    with pytest.raises(ProofInvalid):
        require_logged(changed, log)


async def test_the_log_is_proved_to_extend_what_the_caller_holds(office: Office) -> None:
    await logged(office, await office.refused())
    first = await office.audit.ListDecisions(pb.ListDecisionsRequest(page_size=1))
    held = checkpoint_of_decisions(office.installation, first.proof.checkpoint)
    assert not first.proof.consistency_proof
    await logged(office, await office.refused())
    later = await office.audit.ListDecisions(
        pb.ListDecisionsRequest(page_size=1, known_tree_size=held.size)
    )
    log = checkpoint_of_decisions(office.installation, later.proof.checkpoint)
    proof = list(later.proof.consistency_proof)
    verify_consistency(held.size, log.size, held.root, log.root, proof)


async def test_decisions_are_narrowed_and_paged(office: Office) -> None:
    await logged(office, (await office.served())[2], await office.refused())
    everything = await listed(office, 1_000)
    refusals = await listed(office, outcome=pb.DECISION_OUTCOME_REFUSED)
    assert 0 < len(refusals) < len(everything)
    assert {each.entry.outcome for each in refusals} == {pb.DECISION_OUTCOME_REFUSED}
    by_reason = await listed(
        office, reason=RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED, operator_id=OPERATOR_ID
    )
    assert [each.entry for each in by_reason] == [each.entry for each in refusals]
    assert not await listed(office, client_id="nobody")
    assert len(await listed(office, client_id=OPERATOR_CLIENT)) == len(everything)
    now = SystemClock().now()
    past = Interval(end_time=Timestamp(seconds=now - 3_600))
    assert not await listed(office, period=past)
    for size in (1, 3):
        names = [each.entry.name for each in await listed(office, size)]
        assert names == [each.entry.name for each in everything]
    page = await office.audit.ListDecisions(pb.ListDecisionsRequest(page_size=1))
    other = pb.ListDecisionsRequest(page_token=page.next_page_token, client_id="other")
    assert await refusal_of(office.audit.ListDecisions(other)) == (
        "INVALID_ARGUMENT",
        "INVALID_REQUEST",
    )


async def test_a_request_leads_to_its_decision_and_to_what_was_served(office: Office) -> None:
    record_id, request_id, name = await office.served()
    asked = (
        pb.TraceRequestRequest(decision=name),
        pb.TraceRequestRequest(
            client_request=pb.ClientRequest(client_id=OPERATOR_CLIENT, request_id=request_id)
        ),
    )
    for request in asked:
        answer = await office.audit.TraceRequest(request)
        log = checkpoint_of_decisions(office.installation, answer.proof.checkpoint)
        decision, usage = answer.steps
        require_logged(decision.decision, log)
        assert decision.decision.entry.name == name
        assert (usage.usage.record, usage.usage.request_id) == (f"records/{record_id}", request_id)
        first = await office.audit.TraceRequest(
            pb.TraceRequestRequest.FromString(
                request.SerializeToString()
                + pb.TraceRequestRequest(page_size=1).SerializeToString()
            )
        )
        assert [step.WhichOneof("step") for step in first.steps] == ["decision"]
        assert first.next_page_token


async def test_what_cannot_be_traced_is_refused(office: Office) -> None:
    audit = office.audit
    invalid, unknown = ("INVALID_ARGUMENT", "INVALID_REQUEST"), ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert await refusal_of(audit.TraceRequest(pb.TraceRequestRequest())) == invalid
    traced = pb.TraceRequestRequest(trace_id="0" * 32)
    assert await refusal_of(audit.TraceRequest(traced)) == invalid
    nobody = pb.TraceRequestRequest(decision="decisions/nobody-1")
    assert await refusal_of(audit.TraceRequest(nobody)) == unknown
    assert await refusal_of(audit.TraceOperator(pb.TraceOperatorRequest())) == invalid
    stranger = pb.TraceOperatorRequest(operator_id="stranger")
    assert await refusal_of(audit.TraceOperator(stranger)) == unknown
    assert await refusal_of(audit.TraceRecord(pb.TraceRecordRequest(record="x"))) == invalid
    never = pb.TraceRecordRequest(record="records/never")
    assert await refusal_of(audit.TraceRecord(never)) == unknown
    huge = pb.ListDecisionsRequest(known_tree_size=2**40)
    assert await refusal_of(audit.ListDecisions(huge)) == invalid
    assert await refusal_of(audit.ListDecisions(pb.ListDecisionsRequest(page_size=-1))) == invalid


async def test_an_operator_leads_to_its_authority_and_to_all_it_did(office: Office) -> None:
    record_id, _, name = await office.served()
    await logged(office, name)
    steps: list[pb.TraceStep] = []
    token = ""
    while True:
        answer = await office.audit.TraceOperator(
            pb.TraceOperatorRequest(operator_id=OPERATOR_ID, page_size=7, page_token=token)
        )
        steps += answer.steps
        token = answer.next_page_token
        if not token:
            break
    times = [step.step_time.seconds for step in steps]
    assert times == sorted(times)
    changed = {step.authority.kind for step in steps if step.HasField("authority")}
    assert changed == {"operator", "licence", "client", "scope_grant"}
    assert any(step.decision.entry.name == name for step in steps)
    assert any(step.usage.record == f"records/{record_id}" for step in steps)
    sequences = [step.decision.entry.sequence for step in steps if step.HasField("decision")]
    assert len(set(sequences)) == len(sequences)


async def test_a_record_leads_to_everyone_who_received_it(office: Office) -> None:
    record_id, request_id, name = await office.served()
    await DisclosureServiceStub(office.publisher).RepairRecord(
        RepairRecordRequest(
            name=f"records/{record_id}", expected_revision=1, decision_reference="test"
        )
    )
    answer = await office.audit.TraceRecord(pb.TraceRecordRequest(record=f"records/{record_id}"))
    log = checkpoint_of_decisions(office.installation, answer.proof.checkpoint)
    disclosed = [step.disclosure.kind for step in answer.steps if step.HasField("disclosure")]
    assert disclosed == [
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_PUBLISHED,
        DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED,
    ]
    (decision,) = [step.decision for step in answer.steps if step.HasField("decision")]
    require_logged(decision, log)
    assert decision.entry.name == name
    (usage,) = [step.usage for step in answer.steps if step.HasField("usage")]
    assert usage.request_id == request_id
