"""Hedged questions, over real gRPC: whichever call begins first is taken, and no other stays."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from gateway.federation.asking.beginning import begun
from gateway.federation.asking.endings import Ended
from gateway.federation.asking.hedging import LEAST_SAMPLES, Hedging


@dataclass
class Region(grpc.GenericRpcHandler):
    """Answers each call after the next of ``delays``; a negative one fails it."""

    delays: list[float]
    calls: int = 0
    ended: int = 0
    channels: list[grpc.aio.Channel] = field(default_factory=list[grpc.aio.Channel])

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        del handler_call_details
        return grpc.unary_stream_rpc_method_handler(self.answer)

    async def answer(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        number, self.calls = self.calls, self.calls + 1
        try:
            delay = self.delays[number]
            if delay < 0:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
            await asyncio.sleep(delay)
            yield b"answer %d to " % number + request
            await asyncio.sleep(60)
        finally:
            self.ended += 1


@asynccontextmanager
async def region(*delays: float) -> AsyncGenerator[Region]:
    """Serve a region on the loopback, with two channels to it."""
    made = Region(list(delays))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((made,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
    made.channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(2)
    ]
    try:
        yield made
    finally:
        for channel in made.channels:
            await channel.close()
        await server.stop(None)


def quick() -> Hedging:
    """Return what is known of a region that always began to answer at once."""
    hedging = Hedging()
    for _ in range(LEAST_SAMPLES):
        hedging.began(0.02)
    return hedging


async def all_ended(served: Region) -> bool:
    for _ in range(100):
        if served.ended == served.calls:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_question_that_begins_in_time_is_asked_once() -> None:
    async with region(0.0) as served:
        answering, first = await begun(served.channels, b"q", "token", Hedging())
        assert first == b"answer 0 to q"
        answering.call.cancel()
        assert served.calls == 1
        assert await all_ended(served)


async def test_a_slow_question_is_asked_once_more_and_the_quicker_answer_is_taken() -> None:
    async with region(30.0, 0.0) as served:
        answering, first = await begun(served.channels, b"q", "token", quick())
        assert first == b"answer 1 to q"
        assert served.calls == 2
        answering.call.cancel()
        # The one that was not taken was cancelled, or it would stay for half a minute.
        assert await all_ended(served)


async def test_a_hedge_that_fails_does_not_fail_the_question() -> None:
    async with region(0.3, -1.0) as served:
        answering, first = await begun(served.channels, b"q", "token", quick())
        assert first == b"answer 0 to q"
        answering.call.cancel()


async def test_where_every_call_fails_the_question_does() -> None:
    async with region(-1.0) as served:
        with pytest.raises(Ended):
            await begun(served.channels, b"q", "token", quick())


async def test_a_question_that_is_given_up_leaves_no_call_behind() -> None:
    async with region(30.0, 30.0) as served:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await begun(served.channels, b"q", "token", quick())
        assert served.calls == 2
        assert await all_ended(served)
