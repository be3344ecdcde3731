"""Limits over the wire: what is left behind each answer, and when to come again."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from creditgate.v1 import credit_record_service_pb2 as records_pb
from creditgate.v1 import credit_record_service_pb2_grpc as records_grpc
from creditgate.v1 import limit_service_pb2 as limits_pb
from creditgate.v1 import limit_service_pb2_grpc as limits_grpc
from creditgate.v1.limit_service_pb2 import LimitPer, LimitUnit
from creditgate.v1.operator_service_pb2 import ClientRole
from tests.examples import rarely_on_postgresql
from tests.installation import (
    ADMINISTRATOR,
    PUBLISHER,
    PURPOSE,
    Gateway,
    Installation,
    company,
)
from tests.server.calls import draft, publish, query

pytestmark = rarely_on_postgresql

BURST = 3


async def limited(channel: grpc.aio.Channel) -> None:
    """Let each operator ask once a second, three times at once."""
    limit = limits_pb.Limit(
        limit_id="slow",
        per=LimitPer.LIMIT_PER_OPERATOR,
        unit=LimitUnit.LIMIT_UNIT_LOOKUPS,
        count=1,
        period_seconds=1,
        burst=BURST,
    )
    await limits_grpc.LimitServiceStub(channel).CreateLimit(
        limits_pb.CreateLimitRequest(limit=limit, reason="a test")
    )


def delay(error: grpc.aio.AioRpcError) -> float:
    """Return the delay of a refusal's RetryInfo, in seconds."""
    (details,) = (
        value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"
    )
    assert isinstance(details, bytes)
    retry = error_details_pb2.RetryInfo()
    assert any(any_.Unpack(retry) for any_ in status_pb2.Status.FromString(details).details)
    return retry.retry_delay.ToNanoseconds() / 1e9


async def test_who_is_too_fast_is_told_the_moment_and_served_then(gateway: Gateway) -> None:
    async with gateway.channel(ADMINISTRATOR) as office, gateway.channel() as channel:
        await limited(office)
        refused = None
        for _ in range(20 * BURST):
            try:
                await query(channel)
            except grpc.aio.AioRpcError as error:
                refused = error
                break
        assert refused is not None
        trailers = {key: str(value) for key, value in refused.trailing_metadata() or ()}
        assert trailers["ratelimit-policy"] == '"slow";q=1;w=1'
        assert trailers["ratelimit"].startswith('"slow";r=0;t=')
        assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        told = delay(refused)
        assert 0 < told < 1
        await asyncio.sleep(told)
        await query(channel)


@pytest.mark.parametrize("in_parts", [False, True])
async def test_what_is_left_stands_behind_each_answer(
    embedded_gateway: Gateway, in_parts: bool
) -> None:
    async with (
        embedded_gateway.channel(ADMINISTRATOR) as office,
        embedded_gateway.channel() as channel,
    ):
        await limited(office)
        stub = records_grpc.CreditRecordServiceStub(channel)
        request_id = str(uuid4())
        many = records_pb.BatchGetSubjectRecordsRequest(
            subjects=[company(1)], purpose=PURPOSE, request_id=request_id
        )
        one = records_pb.GetSubjectRecordsRequest(
            subject=company(1), purpose=PURPOSE, request_id=request_id
        )
        if in_parts:
            call = stub.BatchGetSubjectRecords(many, timeout=10)
            assert [answer async for answer in call]
        else:
            call = stub.GetSubjectRecords(one, timeout=10)
            await call
        assert await call.code() == grpc.StatusCode.OK
        told = {key: str(value) for key, value in await call.trailing_metadata()}
    assert '"slow";q=1;w=1' in told["ratelimit-policy"]
    assert f'"slow";r={BURST - 1};t=1' in told["ratelimit"]
    assert '"daily-records";r=' in told["ratelimit"]


async def trailers_of(call: Any) -> dict[str, str]:
    """Return what stands behind the answers of a call, or its refusal."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError:
        pass
    return {key: str(value) for key, value in await call.trailing_metadata()}


async def test_a_caller_that_asks_hears_what_is_left_behind_any_answer(
    embedded_gateway: Gateway,
) -> None:
    async with embedded_gateway.channel() as channel:
        stub: Any = records_grpc.CreditRecordServiceStub(channel)

        def asked(*metadata: tuple[str, str]) -> Any:
            request = records_pb.GetSubjectRecordsRequest(
                subject=company(1), purpose=PURPOSE, request_id=uuid4().hex
            )
            return stub.GetSubjectRecords(request, timeout=10, metadata=metadata)

        assert "ratelimit" not in await trailers_of(asked())
        assert "ratelimit" not in await trailers_of(asked(("want-ratelimit", "?0")))
        told = await trailers_of(asked(("want-ratelimit", "?1")))
        assert re.fullmatch(r'"daily-records";q=\d+;w=86400', told["ratelimit-policy"])
        assert re.fullmatch(r'"daily-records";r=\d+;t=\d+', told["ratelimit"])


async def test_a_stream_tells_what_is_left_though_much_is(embedded_gateway: Gateway) -> None:
    async with embedded_gateway.channel() as channel:
        stub: Any = records_grpc.CreditRecordServiceStub(channel)
        many = records_pb.BatchGetSubjectRecordsRequest(
            subjects=[company(1)], purpose=PURPOSE, request_id=uuid4().hex
        )
        assert (
            "daily-records" in (await trailers_of(stub.BatchGetSubjectRecords(many)))["ratelimit"]
        )


async def test_a_refusal_by_quota_tells_what_is_left_of_it(
    installation: Installation,
) -> None:
    installation.license("small", "L-SMALL", quota=1)
    installation.enrol("small-client", ClientRole.CLIENT_ROLE_OPERATOR, "small")
    async with (
        installation.running() as gateway,
        gateway.channel(PUBLISHER) as publisher,
        gateway.channel("small-client") as channel,
    ):
        await publish(publisher, [draft("r-1", company(1)), draft("r-2", company(1))])
        stub: Any = records_grpc.CreditRecordServiceStub(channel)
        codes: list[grpc.StatusCode] = []
        for _ in range(2):
            request = records_pb.GetSubjectRecordsRequest(
                subject=company(1), purpose=PURPOSE, request_id=uuid4().hex
            )
            call = stub.GetSubjectRecords(request)
            told = await trailers_of(call)
            codes.append(await call.code())
            # Also where the last answer went beyond it.
            assert told["ratelimit-policy"] == '"daily-records";q=1;w=86400'
            assert told["ratelimit"].startswith('"daily-records";r=0;t=')
        assert codes == [grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED]
