"""The beginning of a region's answer: a question, hedged by a second one where it is slow."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, NamedTuple

import grpc

from gateway.federation.asking.endings import of_call
from gateway.federation.asking.hedging import Hedging
from gateway.telemetry.traces import carried

_METHOD: Final = "/creditgate.v1.FederationService/QueryRecords"
_LONGEST_CALL_SECONDS: Final = 600


class Answering(NamedTuple):
    """A call, and the messages it is answered with; ``twice`` tells whether the question was sent
    a second time. Cancel it in the end."""

    call: "grpc.aio.UnaryStreamCall[bytes, bytes]"
    messages: AsyncIterator[bytes]
    twice: bool = False

    async def next(self) -> bytes | None:
        """Return the next message, None after the last. Raises Ended."""
        try:
            return await anext(self.messages, None)
        except grpc.aio.AioRpcError as error:
            raise of_call(error) from None


Begun = tuple[Answering, bytes | None]
"""A call that began to answer, and its first message."""


async def begun(
    channels: Sequence[grpc.aio.Channel],
    query: bytes,
    token: str,
    hedging: Hedging,
    monotonic: Callable[[], float] = time.monotonic,
) -> Begun:
    """Return the call that began to answer first.

    ``channels`` are one for the question and one for its hedge. Raises Ended where none began.
    """
    started = monotonic()
    hedging.asked()
    begun, twice = [_beginning(channels[0], query, token)], False
    try:
        done, waiting = await asyncio.wait(begun, timeout=hedging.delay())
        if not done and hedging.take():
            begun.append(_beginning(channels[-1], query, token))
            waiting.add(begun[-1])
            twice = True
        while True:
            for beginning in done:
                if beginning.exception() is None:
                    hedging.began(monotonic() - started)
                    begun.remove(beginning)
                    answering, first = beginning.result()
                    return answering._replace(twice=twice), first
            if not waiting:
                # All failed; how the last one did says it.
                return begun[-1].result()
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for beginning in begun:
            _abandon(beginning)


def _beginning(channel: grpc.aio.Channel, query: bytes, token: str) -> asyncio.Task[Begun]:
    method: Any = channel.unary_stream(_METHOD)
    metadata = (("authorization", f"Bearer {token}"), *carried())
    call: Any = method(query, metadata=metadata, timeout=_LONGEST_CALL_SECONDS)
    answering = Answering(call, aiter(call))

    async def begin() -> Begun:
        try:
            return answering, await answering.next()
        except BaseException:
            call.cancel()
            raise

    return asyncio.create_task(begin(), name="region-call")


def _abandon(beginning: asyncio.Task[Begun]) -> None:
    """End a call that is not taken, however far it is."""
    if not beginning.done():
        beginning.cancel()
    elif not beginning.cancelled() and beginning.exception() is None:
        beginning.result()[0].call.cancel()
