"""A gateway that takes a batch and does not answer, as one on a host that hangs."""

import asyncio
from typing import Any

import grpc
import pytest

from creditgate.v1.disclosure_service_pb2 import PublishRecordsRequest
from sdk.loading import feed
from sdk.loading.feed import Feed
from sdk.refusals import Refusal, explain


async def _hang(_: Any, __: Any) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_batch_that_is_not_answered_is_told_of_and_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "_TOLD_AFTER", 0.2)
    server, told = grpc.aio.server(), list[Refusal]()
    hanging = {"PublishRecords": grpc.stream_unary_rpc_method_handler(_hang)}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("creditgate.v1.DisclosureService", hanging)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async with asyncio.timeout(20):
                await Feed(channel, 1, told.append).publish(PublishRecordsRequest(batch_id="b-1"))
    await server.stop(0)
    assert explain(ended.value).status == "DEADLINE_EXCEEDED"
    assert [(why.status, why.message) for why in told] == [
        ("DEADLINE_EXCEEDED", "it has not answered so far")
    ]
