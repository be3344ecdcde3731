"""A gateway whose process ends is called again: it cancels what it has received and not begun."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest

from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    BatchGetSubjectRecordsResponse,
)
from creditgate.v1.disclosure_service_pb2 import PublishRecordsRequest, PublishRecordsResponse
from gateway.cli.batch import chunks
from gateway.cli.calls import Gateway
from gateway.federation.asking.endings import of_call
from sdk.following import Following
from sdk.loading.feed import Feed


class _Ending:
    """Its first call is cancelled, as a process that ends does."""

    def __init__(self) -> None:
        self._calls = 0

    async def _begin(self, context: Any) -> None:
        self._calls += 1
        if self._calls == 1:
            await context.abort(grpc.StatusCode.CANCELLED)

    async def publish(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        await self._begin(context)
        batches = [PublishRecordsRequest.FromString(each) async for each in requests]
        published = sum(len(each.records) for each in batches)
        return PublishRecordsResponse(published_records=published).SerializeToString()

    async def batch(self, _: bytes, context: Any) -> AsyncIterator[bytes]:
        await self._begin(context)
        yield BatchGetSubjectRecordsResponse(
            subject_count=2, chunk_complete=True
        ).SerializeToString()

    async def watch(self, _: bytes, context: Any) -> AsyncIterator[bytes]:
        await self._begin(context)
        yield b"7"


@asynccontextmanager
async def _served() -> AsyncGenerator[grpc.aio.Channel]:
    server, ending = grpc.aio.server(), _Ending()
    handlers = {
        "creditgate.v1.DisclosureService": {
            "PublishRecords": grpc.stream_unary_rpc_method_handler(ending.publish)
        },
        "creditgate.v1.CreditRecordService": {
            "BatchGetSubjectRecords": grpc.unary_stream_rpc_method_handler(ending.batch)
        },
        "test.Watching": {"Watch": grpc.unary_stream_rpc_method_handler(ending.watch)},
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(*each) for each in handlers.items()]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


async def test_a_stream_is_taken_up_again() -> None:
    async with _served() as channel:
        watch: Any = channel.unary_stream("/test.Watching/Watch")
        following = Following[bytes](
            name="test",
            watch=lambda _: watch(b""),
            position=int,
            silence_seconds=30,
            pause_seconds=0,
        )
        async with aclosing(following.after(0)) as answers:
            assert await anext(answers) == b"7"


async def test_a_batch_is_sent_again() -> None:
    async with _served() as channel:
        request = PublishRecordsRequest(batch_id="b-1")
        request.records.add()
        assert (await Feed(channel, 30, lambda _: None).publish(request)).published == 1


async def test_a_batch_of_subjects_is_asked_for_again() -> None:
    async with _served() as channel:
        request = BatchGetSubjectRecordsRequest(subjects=["a", "b"])
        assert [each.subjects async for each in chunks(Gateway(channel), request)] == [2]


async def test_a_region_is_asked_again() -> None:
    async with _served() as channel:
        watch: Any = channel.unary_stream("/test.Watching/Watch")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await anext(aiter(watch(b"")))
        assert of_call(ended.value).again
