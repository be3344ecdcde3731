"""Gateways that keep to a script, for what a real one does only when something is wrong."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc

from creditgate.going_on import GO_ON
from creditgate.v1.conformance_service_pb2 import (
    AttestCopiesRequest,
    AttestCopiesResponse,
    ReconcileCopiesRequest,
    ReconcileCopiesResponse,
)
from sdk.conformance import Conformance

Turns = AsyncIterator[ReconcileCopiesRequest]
Reconciling = Callable[[Turns], AsyncIterator[ReconcileCopiesResponse]]
Attesting = Callable[[AsyncIterator[AttestCopiesRequest]], "AsyncIterator[AttestCopiesResponse]"]
_SERVICE = "creditgate.v1.ConformanceService"


async def unasked(turns: Turns) -> AsyncIterator[ReconcileCopiesResponse]:
    """End at once."""
    await anext(turns)
    return
    yield


@asynccontextmanager
async def scripted(
    reconcile: Reconciling = unasked, attest: Attesting | None = None
) -> AsyncGenerator[Conformance]:
    """Serve a script, and give the SDK connected to it; checks that no task of it is left."""
    before = asyncio.all_tasks()

    async def reconciling(
        turns: Turns, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[ReconcileCopiesResponse]:
        del context
        async for answer in reconcile(turns):
            yield answer

    async def attesting(
        parts: AsyncIterator[AttestCopiesRequest],
        context: grpc.aio.ServicerContext[object, object],
    ) -> AttestCopiesResponse:
        assert attest is not None

        async def taken() -> AsyncIterator[AttestCopiesRequest]:
            # As the transport does: see gateway/server/transport.py.
            yield await anext(aiter(parts))
            await context.send_initial_metadata((GO_ON,))
            async for part in parts:
                yield part

        try:
            return await anext(attest(taken()))
        except PermissionError:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "a test")

    handlers = {
        "ReconcileCopies": grpc.stream_stream_rpc_method_handler(
            reconciling,
            request_deserializer=ReconcileCopiesRequest.FromString,
            response_serializer=ReconcileCopiesResponse.SerializeToString,
        ),
        "AttestCopies": grpc.stream_unary_rpc_method_handler(
            attesting,
            request_deserializer=AttestCopiesRequest.FromString,
            response_serializer=AttestCopiesResponse.SerializeToString,
        ),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Conformance(channel)
    finally:
        await server.stop(None)
    left = asyncio.all_tasks() - before
    if left:
        _, left = await asyncio.wait(left, timeout=5)
    assert not left
