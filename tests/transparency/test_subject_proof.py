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
from creditgate.v1.brake_service_pb2 import BrakeReach, EngageBrakeRequest
from creditgate.v1.brake_service_pb2_grpc import BrakeServiceStub
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.conformance.guarded_proofs import AT_ONCE
from sdk.refusals import explain
from tests.installation import (
    ADMINISTRATOR,
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    PUBLIC_ITEM,
    PUBLISHER,
    Gateway,
    Installation,
    company,
    eventually,
    furnished,
)
from tests.server.calls import draft, publish
from tests.stores import SqliteStores
from tests.transparency.monitor import files_of, logged
from tests.transparency.test_served import refused


async def asked(
    channel: grpc.aio.Channel, subject: str, key: VerifierKey
) -> tuple[Head, ProvedSubject]:
    """Ask for a subject's proof, and check it."""
    request = pb.GetSubjectProofRequest(subject=subject)
    answer = await DisclosureServiceStub(channel).GetSubjectProof(request)
    return verify_subject_proof(answer, subject, key)


def names(proved: ProvedSubject) -> list[str]:
    """Return the records named."""
    return [each.record for each in proved.unserved]


async def test_anyone_can_check_what_is_disclosed_of_a_subject_or_that_nothing_is(
    installation: Installation,
) -> None:
    async with (
        installation.running() as gateway,
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


async def test_that_a_proof_was_told_is_a_decision_in_the_log(
    installation: Installation,
) -> None:
    method = "/creditgate.v1.DisclosureService/GetSubjectProof"
    async with (
        installation.running() as gateway,
        gateway.channel(OPERATOR_CLIENT) as channel,
        gateway.channel(ADMINISTRATOR) as auditing,
    ):
        await DisclosureServiceStub(channel).GetSubjectProof(
            pb.GetSubjectProofRequest(subject=company(1))
        )

        async def logged_once() -> bool:
            listed = await AuditServiceStub(auditing).ListDecisions(
                ListDecisionsRequest(client_id=OPERATOR_CLIENT)
            )
            return [(each.entry.method, each.entry.outcome) for each in listed.decisions] == [
                (method, DECISION_OUTCOME_ALLOWED)
            ]

        await eventually(logged_once)


@pytest.mark.parametrize(
    "request_", [pb.GetSubjectProofRequest(subject="1"), pb.GetSubjectProofRequest(tree_size=1)]
)
async def test_what_is_no_subject_is_refused(
    embedded: Installation, request_: pb.GetSubjectProofRequest
) -> None:
    async with embedded.running() as gateway, gateway.channel(OPERATOR_CLIENT) as channel:
        call = DisclosureServiceStub(channel).GetSubjectProof(request_)
        assert await refused(call) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_who_may_not_work_is_given_no_proofs(embedded: Installation) -> None:
    async with embedded.running() as gateway, gateway.channel(OPERATOR_CLIENT) as channel:
        request = pb.GetSubjectProofRequest(subject=company(1))
        await DisclosureServiceStub(channel).GetSubjectProof(request)
        embedded.suspend()

        async def stopped() -> bool:
            try:
                await DisclosureServiceStub(channel).GetSubjectProof(request)
            except grpc.aio.AioRpcError as error:
                return explain(error).reason == "OPERATOR_SUSPENDED"
            return False

        await eventually(stopped)


@pytest_asyncio.fixture(name="proving", scope="module", loop_scope="module")
async def _proving(sqlite_stores: SqliteStores) -> AsyncIterator[tuple[Gateway, VerifierKey]]:
    """A gateway with two operators and a record of a company, and the key of its log."""
    with furnished(sqlite_stores) as installation:
        installation.license("beta", "L-BETA", items=[CONSENT_ITEM])
        installation.enrol("beta-one", ClientRole.CLIENT_ROLE_OPERATOR, "beta")
        async with (
            installation.running() as gateway,
            files_of(gateway) as files,
            gateway.channel(PUBLISHER) as publishing,
        ):
            await publish(publishing, [draft("one", company(1))])
            await logged(files, 1)
            yield gateway, VerifierKey.parse((await files.get("key")).text)


@pytest.mark.asyncio(loop_scope="module")
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


@pytest.mark.asyncio(loop_scope="module")
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
        await brakes.EngageBrake(
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


async def test_proofs_are_given_at_a_rate(embedded: Installation) -> None:
    async with (
        embedded.running() as gateway,
        gateway.channel(OPERATOR_CLIENT) as channel,
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
