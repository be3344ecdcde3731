"""Every method is reached through authentication and scope, and refused in one form."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2
from sqlalchemy import select

from creditgate.scopes import method_scopes, services
from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from gateway.clock import SystemClock
from gateway.meter.tables import REFUSALS, USAGE
from operators.model import CLIENT
from sdk.refusals import Refusal, explain
from sdk.tokens import AsyncTokenSource
from tests.clock import StandingClock
from tests.contract.status import documented_status
from tests.examples import rarely_on_postgresql
from tests.installation import (
    ADMINISTRATOR,
    CONSENT_ITEM,
    OPERATOR_CLIENT,
    PRICE,
    PUBLISHER,
    PURPOSE,
    RESTRICTED_ITEM,
    Gateway,
    Installation,
    company,
    content,
    furnished,
)
from tests.server.calls import call_raw, draft, publish, query
from tests.stores import SqliteStores

GET = "/creditgate.v1.CreditRecordService/GetSubjectRecords"
STREAMS = 20
pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]


class MovableClock:
    """The system's time, ahead of it by as many seconds as told."""

    ahead = 0

    def now(self) -> int:
        return SystemClock().now() + self.ahead


async def refusal(awaitable: Any) -> Refusal:
    """Return why a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return explain(caught.value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(sqlite_stores: SqliteStores) -> AsyncIterator[Gateway]:
    """One gateway for the tests that change nothing a later one rests on; a connection may have
    few streams open."""
    with furnished(sqlite_stores, max_streams_per_client=STREAMS) as installation:
        async with installation.running() as gateway:
            yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(installation: Installation) -> AsyncIterator[Gateway]:
    """A gateway of the test's own, on each kind of store."""
    async with installation.running() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def embedded_gateway(embedded: Installation) -> AsyncIterator[Gateway]:
    """A gateway of the test's own, on SQLite."""
    async with embedded.running() as running:
        yield running


async def test_status_page_says_what_the_server_answers(embedded_gateway: Gateway) -> None:
    served: dict[str, bool] = {}
    async with embedded_gateway.channel(ADMINISTRATOR) as channel:
        for service in services():
            for method in service.methods:
                try:
                    await call_raw(channel, method)
                    code = grpc.StatusCode.OK
                except grpc.aio.AioRpcError as error:
                    code = error.code()
                served[f"{service.name}/{method.name}"] = code != grpc.StatusCode.UNIMPLEMENTED
    assert served == documented_status()


@pytest.mark.parametrize(
    ("service", "method"),
    [("ItemMappingService", "ListItemMappings"), ("FederatedRecordService", "QueryRegions")],
)
async def test_what_is_served_in_a_federation_alone_is_refused_with_words_and_reason(
    standing: Gateway, service: str, method: str
) -> None:
    async with standing.channel(ADMINISTRATOR) as channel:
        told = await refusal(call_raw(channel, of(service, method)))
    assert (told.status, told.reason) == ("UNIMPLEMENTED", "METHOD_NOT_SERVED")
    assert "federation_anchor" in told.message


async def test_served_record_is_what_was_published_metered_and_dated(gateway: Gateway) -> None:
    async with gateway.channel(PUBLISHER) as publisher, gateway.channel() as operator:
        published = draft("r-1", company(1))
        await publish(publisher, [published, draft("r-2", company(2))])
        answer = await query(operator, company(1))
    (record,) = answer.records
    assert record.content == published.content == content("r-1")
    assert record.disclosed_until == published.disclosed_until == answer.receipt.usable_until
    assert answer.receipt.charged_entries == 1
    assert answer.receipt.charged_micro_yuan == PRICE


async def test_no_method_is_reached_without_token(standing: Gateway) -> None:
    credentials = standing.credentials()
    tls = grpc.ssl_channel_credentials(
        credentials.ca.read_bytes(),
        credentials.key.read_bytes(),
        credentials.certificate.read_bytes(),
    )
    states = documented_status()
    reasons: set[str] = set()
    async with grpc.aio.secure_channel(credentials.grpc, tls) as channel:
        for service in services():
            for method in service.methods:
                if states[f"{service.name}/{method.name}"]:
                    reasons.add((await refusal(call_raw(channel, method))).reason)
    assert reasons == {"TOKEN_MISSING"}


async def test_no_method_is_reached_with_a_scope_it_does_not_ask_for(
    standing: Gateway,
) -> None:
    states = documented_status()
    wrong: list[str] = []
    # usage:read and catalogue:read are held, so methods of those are reached.
    async with standing.channel(scopes=("catalogue:read", "usage:read")) as channel:
        for service in services():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                # Those without a scope are public to whoever is authenticated.
                if not states[f"{service.name}/{method.name}"] or method_scopes()[path] in (
                    "",
                    "catalogue:read",
                    "usage:read",
                ):
                    continue
                told = await refusal(call_raw(channel, method))
                if told.reason != "SCOPE_NOT_GRANTED":
                    wrong.append(f"{path}: {told}")
    assert not wrong


async def test_connection_without_certificate_is_not_made(standing: Gateway) -> None:
    credentials = standing.credentials()
    tls = grpc.ssl_channel_credentials(credentials.ca.read_bytes())
    async with grpc.aio.secure_channel(credentials.grpc, tls) as channel:
        told = await refusal(channel.unary_unary(GET)(b"", timeout=5))
    assert told.status == "UNAVAILABLE"


async def test_token_of_another_client_does_not_work_on_this_connection(
    sqlite_store: tuple[str, Path],
) -> None:
    """Though its owner called by it in the same second: who was admitted is remembered."""
    installation = Installation(*sqlite_store, clock=StandingClock(SystemClock().now()))
    installation.furnish()
    async with installation.running() as gateway:
        stolen = AsyncTokenSource(gateway.credentials(OPERATOR_CLIENT))
        metadata = (("authorization", f"Bearer {await stolen.token()}"),)
        await stolen.close()
        owner, thief = (gateway.credentials(name) for name in (OPERATOR_CLIENT, PUBLISHER))
        told: list[str | None] = []
        for shown in (owner, thief, owner, thief):
            tls = grpc.ssl_channel_credentials(
                shown.ca.read_bytes(), shown.key.read_bytes(), shown.certificate.read_bytes()
            )
            async with grpc.aio.secure_channel(shown.grpc, tls) as channel:
                call = channel.unary_unary(GET)(b"", metadata=metadata, timeout=5)
                told.append((await refusal(call)).reason)
    installation.close()
    assert told == ["INVALID_REQUEST", "TOKEN_NOT_YOURS"] * 2


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"])
async def test_bytes_that_are_no_message_are_a_malformed_request(
    standing: Gateway, message: bytes
) -> None:
    async with standing.channel() as channel:
        told = await refusal(channel.unary_unary(GET)(message, timeout=5))
    assert (told.status, told.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert told.violations


async def test_each_malformed_field_is_named_with_its_mend(standing: Gateway) -> None:
    request = records_pb.GetSubjectRecordsRequest(
        subject="91000000000000001X", purpose=PURPOSE, request_id=" "
    )
    async with standing.channel() as channel:
        stub = records_grpc.CreditRecordServiceStub(channel)
        told = await refusal(stub.GetSubjectRecords(request))
    assert {violation.field for violation in told.violations} == {"subject", "request_id"}
    assert "91000000000000001X" not in str(told)


async def test_items_out_of_reach_are_refused_with_the_reason_and_logged(
    gateway: Gateway,
) -> None:
    reasons = {
        CONSENT_ITEM: "CONSENT_REQUIRED",
        RESTRICTED_ITEM: "ITEM_RESTRICTED",
        "unheard-of": "ITEM_NOT_ALLOWED",
    }
    async with gateway.channel() as channel:
        for item, reason in reasons.items():
            told = await refusal(query(channel, items=[item], request_id=f"r-{item}"))
            assert (told.status, told.reason) == ("PERMISSION_DENIED", reason)
    logged = refusals_logged(gateway.installation)
    assert {(row.client_id, row.request_id) for row in logged} == {
        (OPERATOR_CLIENT, f"r-{item}") for item in reasons
    }
    assert len(logged) == len(reasons)


def refusals_logged(installation: Installation) -> list[Any]:
    """Return the log of refusals."""
    with installation.engines.records.connect() as connection:
        return list(connection.execute(select(REFUSALS)))


async def test_stranger_is_refused_without_being_logged(embedded_gateway: Gateway) -> None:
    credentials = embedded_gateway.credentials()
    tls = grpc.ssl_channel_credentials(
        credentials.ca.read_bytes(),
        credentials.key.read_bytes(),
        credentials.certificate.read_bytes(),
    )
    metadata = (("authorization", "Bearer a.b.c"),)
    async with grpc.aio.secure_channel(credentials.grpc, tls) as channel:
        told = await refusal(channel.unary_unary(GET)(b"", metadata=metadata, timeout=5))
    assert told.reason == "TOKEN_INVALID"
    assert not refusals_logged(embedded_gateway.installation)


async def test_health_is_told_to_anyone_with_a_certificate(standing: Gateway) -> None:
    async with standing.channel() as channel:
        answer = await channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
    status = health_pb2.HealthCheckResponse.FromString(answer).status
    assert status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_every_service(standing: Gateway) -> None:
    async with standing.channel() as channel:
        ask = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        call = channel.stream_stream(f"/{reflection.SERVICE_NAME}/ServerReflectionInfo")
        (told,) = [message async for message in call(iter([ask]))]
    answer = reflection_pb2.ServerReflectionResponse.FromString(told)
    listed = {service.name for service in answer.list_services_response.service}
    assert listed >= {service.full_name for service in services()}


async def test_method_outside_the_contract_is_unimplemented(standing: Gateway) -> None:
    async with standing.channel() as channel:
        told = await refusal(channel.unary_unary("/creditgate.v1.Nothing/Nothing")(b""))
    assert told.status == "UNIMPLEMENTED"


async def test_request_larger_than_the_limit_is_refused(standing: Gateway) -> None:
    async with standing.channel() as channel:
        told = await refusal(channel.unary_unary(GET)(bytes(5 << 20), timeout=10))
    assert told.status == "RESOURCE_EXHAUSTED"


async def test_a_deadline_that_passed_ends_the_call(standing: Gateway) -> None:
    async with standing.channel() as channel:
        told = await refusal(query(channel, seconds=0.000_001))
    assert told.status == "DEADLINE_EXCEEDED"


async def test_error_texts_hold_no_code_of_a_subject(standing: Gateway) -> None:
    async with standing.channel() as channel:
        told = await asyncio.gather(
            refusal(query(channel, company(1)[:-1])),
            refusal(query(channel, company(1), items=["unheard-of"])),
        )
    assert not [text for text in map(str, told) if re.search(r"9100000\d", text)]


def of(service: str, method: str) -> MethodDescriptor:
    """Return a method of the contract."""
    (found,) = (each for each in services() if each.name == service)
    return found.methods_by_name[method]


@pytest.mark.parametrize(
    ("method", "status"),
    [
        pytest.param(
            of("CreditRecordService", "GetSubjectRecords"), "INVALID_ARGUMENT", id="unary"
        ),
        pytest.param(
            of("CreditRecordService", "BatchGetSubjectRecords"), "INVALID_ARGUMENT", id="answers"
        ),
        pytest.param(of("DisclosureService", "PublishRecords"), "PERMISSION_DENIED", id="requests"),
        pytest.param(of("ConformanceService", "ReconcileCopies"), "INVALID_ARGUMENT", id="both"),
        pytest.param(of("FederationService", "QueryRecords"), "UNIMPLEMENTED", id="later"),
    ],
)
async def test_any_number_of_refusals_leaves_a_connection_in_use(
    standing: Gateway, method: MethodDescriptor, status: str
) -> None:
    # More than the streams one connection may have open: none may stay open behind a refusal.
    told: set[str] = set()
    async with standing.channel() as channel:
        for _ in range(2 * STREAMS):
            told.add((await refusal(call_raw(channel, method))).status)
        assert told == {status}
        assert not (await query(channel)).records


async def test_more_calls_at_once_than_an_operator_may_have_are_answered_or_refused_with_details(
    embedded_gateway: Gateway,
) -> None:
    async with embedded_gateway.channel() as channel:
        await query(channel, company(0))
        for at_once in (150, 900):
            calls = (query(channel, company(0)) for _ in range(at_once))
            answers = await asyncio.gather(*calls, return_exceptions=True)
            ended = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
            assert {explain(error).reason for error in ended} <= {"RATE_EXCEEDED"}
            assert len(answers) - len(ended) >= min(at_once, 450)


@pytest.mark.parametrize("end", ["certificate", "token"])
async def test_a_stream_ends_with_the_authority_it_began_with(
    sqlite_store: tuple[str, Path], end: str
) -> None:
    clock = MovableClock()
    installation = Installation(*sqlite_store, clock=clock, settings={"chunk_subjects": 1})
    installation.furnish()
    request = records_pb.BatchGetSubjectRecordsRequest(
        subjects=[company(i) for i in range(5_000)], purpose=PURPOSE, request_id="r-1"
    )
    async with installation.running() as gateway, gateway.channel() as channel:
        call = records_grpc.CreditRecordServiceStub(channel).BatchGetSubjectRecords(request)
        answers = aiter(call)
        await anext(answers)
        if end == "token":
            clock.ahead = 301
        else:
            client = installation.log.history(kind=CLIENT, id=OPERATOR_CLIENT, after=0, limit=1)[0]
            rotated = {**client.document, "certificate_thumbprints": [f"{'B' * 42}A"]}
            installation.put(CLIENT, OPERATOR_CLIENT, rotated)

        async def read_on() -> None:
            async for _ in answers:
                pass

        told = await refusal(read_on())
    installation.close()
    assert told.reason == {"certificate": "CLIENT_NOT_ACTIVE", "token": "TOKEN_EXPIRED"}[end]


async def test_answer_that_waited_to_be_metered_is_refused_once_authority_is_withdrawn(
    embedded_gateway: Gateway,
) -> None:
    installation = embedded_gateway.installation
    async with embedded_gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [draft("r-1", company(1))])
    async with embedded_gateway.channel() as channel:
        with installation.engines.records.begin():
            # Nothing can be metered while another holds the store's write lock.
            asked = asyncio.create_task(refusal(query(channel)))
            await asyncio.sleep(0.2)
            installation.suspend()
            await asyncio.sleep(0.4)
        told = await asked
    assert told.reason == "OPERATOR_SUSPENDED"
    assert not usage_metered(installation)


async def test_call_given_up_while_it_waits_to_be_metered_is_not_charged(
    embedded_gateway: Gateway,
) -> None:
    installation = embedded_gateway.installation
    async with embedded_gateway.channel(PUBLISHER) as publisher:
        await publish(publisher, [draft("r-1", company(1))])
    async with embedded_gateway.channel() as channel:
        with installation.engines.records.begin():
            told = await refusal(query(channel, seconds=0.3))
            # The client's clock runs out first: the server hears of it a moment later.
            await asyncio.sleep(0.3)
        assert told.status == "DEADLINE_EXCEEDED"
        # The next call is metered after what waited before it.
        assert (await query(channel)).receipt.charged_entries == 1
    assert len(usage_metered(installation)) == 1


def usage_metered(installation: Installation) -> list[Any]:
    """Return the usage ledger."""
    with installation.engines.records.connect() as connection:
        return list(connection.execute(select(USAGE)))
