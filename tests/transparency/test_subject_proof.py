"""GetSubjectProof as a running gateway answers it, checked by a pinned key (G1, G9, G11)."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from creditgate.transparency.completeness import Head, ProvedSubject
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.verify import verify_subject_proof
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.audit_service_pb2 import DECISION_OUTCOME_ALLOWED, ListDecisionsRequest
from creditgate.v1.audit_service_pb2_grpc import AuditServiceStub
from creditgate.v1.brake_service_pb2 import BrakeReach, EngageBrakeRequest, ReleaseBrakeRequest
from creditgate.v1.brake_service_pb2_grpc import BrakeServiceStub
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.conformance.guarded_proofs import AT_ONCE
from sdk.refusals import explain
from tests.examples import rarely_on_postgresql
from tests.installation import (
    ADMINISTRATOR,
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    PUBLIC_ITEM,
    PUBLISHER,
    Gateway,
    company,
    eventually,
    furnished,
)
from tests.patience import patiently
from tests.server.calls import draft, publish
from tests.stores import SqliteStores
from tests.transparency.monitor import files_of, logged
from tests.transparency.test_served import refused

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


async def asked(
    channel: grpc.aio.Channel, subject: str, key: VerifierKey
) -> tuple[Head, ProvedSubject]:
    """Ask for a subject's proof, and check it."""
    request = pb.GetSubjectProofRequest(subject=subject)
    stub = DisclosureServiceStub(channel)
    # On a busy machine the log may be behind for a moment.
    answer = await patiently(lambda: stub.GetSubjectProof(request))
    return verify_subject_proof(answer, subject, key)


def names(proved: ProvedSubject) -> list[str]:
    """Return the records named."""
    return [each.record for each in proved.unserved]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """A gateway on each kind of store."""
    kind = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    with furnished(request.getfixturevalue(kind)) as installation:
        async with installation.running() as gateway:
            yield gateway


async def test_anyone_can_check_what_is_disclosed_of_a_subject_or_that_nothing_is(
    gateway: Gateway,
) -> None:
    async with (
        files_of(gateway) as files,
        gateway.channel(PUBLISHER) as publishing,
        gateway.channel(OPERATOR_CLIENT) as channel,
    ):
        key = VerifierKey.parse((await files.get("key")).text)
        await publish(publishing, [draft("one", company(1)), draft("two", company(1))])
        await logged(files, 2)
        head, proved = await asked(channel, company(1), key)
        assert head.event_sequence == 2
        assert proved.all_public
        assert names(proved) == ["records/one", "records/two"]
        assert not names((await asked(channel, company(2), key))[1])

        await DisclosureServiceStub(publishing).RepairRecord(
            pb.RepairRecordRequest(
                name="records/one", expected_revision=1, decision_reference="decision"
            )
        )
        # At once, not only when the log has followed.
        assert names((await asked(channel, company(1), key))[1]) == ["records/two"]


async def test_that_a_proof_was_told_is_a_decision_in_the_log(gateway: Gateway) -> None:
    method = "/creditgate.v1.DisclosureService/GetSubjectProof"
    async with gateway.channel(PUBLISHER) as asking, gateway.channel(ADMINISTRATOR) as auditing:
        request = pb.GetSubjectProofRequest(subject=company(3))

        async def told() -> int:
            listed = await AuditServiceStub(auditing).ListDecisions(
                ListDecisionsRequest(client_id=PUBLISHER)
            )
            return sum(
                (each.entry.method, each.entry.outcome) == (method, DECISION_OUTCOME_ALLOWED)
                for each in listed.decisions
            )

        before = await told()
        await DisclosureServiceStub(asking).GetSubjectProof(request)

        async def logged_once() -> bool:
            return await told() == before + 1

        await eventually(logged_once)


@pytest_asyncio.fixture(name="proving", scope="module", loop_scope="module")
async def _proving(sqlite_stores: SqliteStores) -> AsyncIterator[tuple[Gateway, VerifierKey]]:
    """A gateway with operators and a record of a company, and the key of its log."""
    with furnished(sqlite_stores) as installation:
        for name, items in (
            ("beta", [CONSENT_ITEM]),
            ("idle", [CONSENT_ITEM]),
            ("eager", [CONSENT_ITEM]),
        ):
            installation.license(name, f"L-{name}", items=items)
            installation.enrol(f"{name}-one", ClientRole.CLIENT_ROLE_OPERATOR, name)
        async with (
            installation.running() as gateway,
            files_of(gateway) as files,
            gateway.channel(PUBLISHER) as publishing,
        ):
            await publish(publishing, [draft("one", company(1))])
            await logged(files, 1)
            yield gateway, VerifierKey.parse((await files.get("key")).text)


@pytest.mark.parametrize(
    ("client", "scopes", "shown"),
    [
        (OPERATOR_CLIENT, (), ["records/one"]),
        (OPERATOR_CLIENT, ("usage:read",), []),
        ("beta-one", (), []),
        (PUBLISHER, (), ["records/one"]),
    ],
)
async def test_an_operator_is_shown_by_name_what_it_could_be_served_alone(
    proving: tuple[Gateway, VerifierKey], client: str, scopes: tuple[str, ...], shown: list[str]
) -> None:
    gateway, key = proving
    async with gateway.channel(client, scopes=scopes) as channel:
        _, proved = await asked(channel, company(1), key)
    assert proved.all_public
    assert names(proved) == shown
    assert proved.withheld == ({} if shown else {PUBLIC_ITEM: 1})


async def test_an_operator_is_given_no_proofs_while_a_brake_stops_its_answers(
    proving: tuple[Gateway, VerifierKey],
) -> None:
    gateway, key = proving
    request = pb.GetSubjectProofRequest(subject=company(1))
    async with (
        gateway.channel(ADMINISTRATOR) as chief,
        gateway.channel(OPERATOR_CLIENT) as alpha,
        gateway.channel("beta-one") as beta,
    ):
        brakes = BrakeServiceStub(chief)
        engaged = await brakes.EngageBrake(
            EngageBrakeRequest(reach=BrakeReach(item=PUBLIC_ITEM), reason="an invented emergency")
        )

        async def stopped() -> bool:
            try:
                await DisclosureServiceStub(alpha).GetSubjectProof(request)
            except grpc.aio.AioRpcError as error:
                return explain(error).reason == "EMERGENCY_BRAKE"
            return False

        await eventually(stopped)
        # It is told of the item by a digest alone, brake or none.
        assert not names((await asked(beta, company(1), key))[1])
        await brakes.ReleaseBrake(
            ReleaseBrakeRequest(brake_id=engaged.brake.brake_id, reason="it is over")
        )

        async def answered() -> bool:
            return not await stopped()

        await eventually(answered)


@pytest.mark.parametrize(
    "request_", [pb.GetSubjectProofRequest(subject="1"), pb.GetSubjectProofRequest(tree_size=1)]
)
async def test_what_is_no_subject_is_refused(
    proving: tuple[Gateway, VerifierKey], request_: pb.GetSubjectProofRequest
) -> None:
    gateway, _ = proving
    async with gateway.channel(OPERATOR_CLIENT) as channel:
        call = DisclosureServiceStub(channel).GetSubjectProof(request_)
        assert await refused(call) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_who_may_not_work_is_given_no_proofs(
    proving: tuple[Gateway, VerifierKey],
) -> None:
    gateway, _ = proving
    async with gateway.channel("idle-one") as channel:
        request = pb.GetSubjectProofRequest(subject=company(1))
        await DisclosureServiceStub(channel).GetSubjectProof(request)
        gateway.installation.suspend("idle")

        async def stopped() -> bool:
            try:
                await DisclosureServiceStub(channel).GetSubjectProof(request)
            except grpc.aio.AioRpcError as error:
                return explain(error).reason == "OPERATOR_SUSPENDED"
            return False

        await eventually(stopped)


async def test_proofs_are_given_at_a_rate(proving: tuple[Gateway, VerifierKey]) -> None:
    gateway, _ = proving
    async with (
        gateway.channel("eager-one") as channel,
        gateway.channel(PUBLISHER) as publishing,
    ):
        request = pb.GetSubjectProofRequest(subject=company(1))
        told = list[str]()
        for _ in range(3 * AT_ONCE):
            try:
                await DisclosureServiceStub(channel).GetSubjectProof(request)
            except grpc.aio.AioRpcError as error:
                told.append(explain(error).reason)
                break
        assert told == ["RATE_EXCEEDED"]
        # Nobody else waits for it.
        await DisclosureServiceStub(publishing).GetSubjectProof(request)
