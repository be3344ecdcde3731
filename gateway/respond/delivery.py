"""A delivery: chunks metered, sent as far as the window allows, and acknowledged.

What waits for the window may not be there any more when its time comes, or may not be given any
more (guarantees G4, G9): what was metered a while ago is decided anew before it is sent, as a
retry is, and where that gives something else the call ends, to be taken up from this chunk on.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, NamedTuple

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    DeliverSubjectRecordsRequest,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.meter.delivery import Delivering, Reached
from gateway.respond.acknowledged import Acknowledged
from gateway.respond.answer import Selection
from gateway.respond.batch import Piece
from gateway.respond.delivery_turns import DeliveryLimits, Turn
from gateway.respond.holding import holding, require_same
from gateway.respond.receipted import Served
from gateway.respond.under_way import require_under_way

_LAST_SECONDS: Final = 1.0
# Several messages fit into the window, so that it need not run dry.
_MESSAGES_A_WINDOW: Final = 4


Serve = Callable[[int, Delivering], Awaitable[tuple[Selection, Served]]]
"""Meters a chunk by its number, once, however often it is asked."""


class ChunkParts(NamedTuple):
    """How chunks are made: ``serve`` meters one, ``checked`` does so without making proofs;
    ``standing`` gives what tells whether authority is still as it was; ``pieces`` are a chunk's
    messages of so many records."""

    serve: Serve
    checked: Serve
    standing: Callable[[], Callable[[], bool]]
    pieces: Callable[[int, Selection, Served, int], Iterator[Piece]]


async def opening(
    messages: AsyncIterator[DeliverSubjectRecordsRequest],
) -> BatchGetSubjectRecordsRequest:
    """Return what a delivery is opened with. Raises Refused INVALID_REQUEST, and what
    ``messages`` raise."""
    async for message in messages:
        if message.WhichOneof("step") == "open":
            return message.open
        break
    raise invalid(Violation("open", "required: the first message opens the delivery"))


class Delivery:
    """The chunks of a delivery as one call gives them; see the module."""

    def __init__(self, turn: Turn, limits: DeliveryLimits, clock: Clock, parts: ChunkParts) -> None:
        self._turn = turn
        self._limits = limits
        self._clock = clock
        self._parts = parts
        self._acknowledged = Acknowledged(limits.window_records, turn.reached)

    async def messages(
        self, chunks: range, heard: AsyncIterator[DeliverSubjectRecordsRequest]
    ) -> AsyncGenerator[bytes]:
        """Yield the messages of ``chunks``, and end when all of them are acknowledged.

        Raises Refused: INVALID_REQUEST for what is no acknowledgement, or where they end too
        early; REQUEST_ID_REUSED where the delivery is another call's, or settled;
        DISCLOSURE_CHANGING; and what metering and ``heard`` raise.
        """
        acknowledged = self._acknowledged
        hearing = asyncio.create_task(acknowledged.hear(heard), name="acknowledgements")
        try:
            for number in chunks:
                await self._wait(hearing, lambda: acknowledged.has_room(1))
                async for message in self._chunk(number, hearing):
                    yield message
            await self._wait(hearing, lambda: acknowledged.is_whole)
            await self._turn.finish(Reached(chunks.stop, 0))
        except Refused:
            await self._hear_out(hearing)
            raise
        finally:
            hearing.cancel()
            await asyncio.wait((hearing,))
            if not hearing.cancelled():
                # Whatever it was, the call ends by it or by something else.
                hearing.exception()
            await self._turn.leave(acknowledged.reached)

    async def _chunk(self, number: int, hearing: "asyncio.Task[None]") -> AsyncIterator[bytes]:
        acknowledged, turn = self._acknowledged, self._turn
        stands, begun_at = self._standing(), self._clock.now()
        selection, served = await self._metered(self._parts.serve, number)
        if served.replayed:
            places = await turn.comes_again(number, selection.sequences)
        else:
            places = [Reached(number, count) for count in range(1, len(selection.sequences) + 1)]
        most = max(1, acknowledged.most // _MESSAGES_A_WINDOW)
        first = 0
        for piece in self._parts.pieces(number, selection, served, most):
            await self._wait(hearing, lambda: acknowledged.has_room(piece.records))  # noqa: B023
            require_under_way(begun_at, self._clock.now())
            if not stands():
                stands = self._standing()
                await self._check(number, selection)
            acknowledged.send(places[first : first + piece.records])
            first += piece.records
            yield piece.message

    def _standing(self) -> Callable[[], bool]:
        return holding(self._clock, self._parts.standing())

    async def _check(self, number: int, selection: Selection) -> None:
        """Decide anew on a chunk; raises Refused as metering does, and DISCLOSURE_CHANGING where
        it is another by now."""
        again, _ = await self._metered(self._parts.checked, number)
        require_same(again, selection)

    async def _metered(self, serve: Serve, number: int) -> tuple[Selection, Served]:
        reached = self._acknowledged.reached
        try:
            return await serve(number, self._turn.at(reached))
        except Refused as refused:
            if refused.reason == RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED:
                # It tells better why, where it is because the delivery is over.
                await self._turn.keep(reached)
            raise

    async def _hear_out(self, hearing: "asyncio.Task[None]") -> None:
        """Wait for the acknowledgements of what is under way, as long as they keep coming.

        They count; and a client that sends to a call that has ended may be told that failure
        by gRPC, and not why the call has ended.
        """
        acknowledged = self._acknowledged
        while not (hearing.done() or acknowledged.is_whole):
            if not await acknowledged.moves(_LAST_SECONDS):
                return

    async def _wait(self, hearing: "asyncio.Task[None]", until: Callable[[], bool]) -> None:
        """Wait for acknowledgements, telling meanwhile that the call is there."""
        if hearing.done():
            hearing.result()
        while not until():
            if hearing.done():
                hearing.result()
                raise _ended_early()
            if not await self._acknowledged.moves(self._limits.beat_seconds):
                await self._turn.keep(self._acknowledged.reached)


def _ended_early() -> Refused:
    return invalid(
        Violation("step", "acknowledge every record before you end your side of the call")
    )
