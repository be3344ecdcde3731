"""One call of a delivery for tests: what it is sent, and what it acknowledges."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from creditgate.refusal import Refused
from creditgate.v1 import credit_record_service_pb2 as pb
from gateway.authenticate.caller import Caller
from gateway.meter.decisions import DecisionIds
from gateway.meter.settler import DeliverySettler
from tests.meter.world import company
from tests.respond.world import ALPHA, DELIVERY_LIMITS, PURPOSE, World

GRACE: Final = DELIVERY_LIMITS.grace_seconds
WINDOW: Final = DELIVERY_LIMITS.window_records
_PATIENCE_SECONDS = 10
_TURNS = 20
_QUIET_SECONDS = 0.05


class Call:
    """A call that delivers the records of invented companies, in a task as the transport has
    it; it acknowledges all that comes, at once, where it is ``eager``."""

    def __init__(
        self,
        world: World,
        numbers: Sequence[int],
        *,
        request_id: str = "same",
        asking: Caller = ALPHA,
        eager: bool = False,
        **fields: Any,
    ) -> None:
        self._said: asyncio.Queue[int | None] = asyncio.Queue()
        self._came = asyncio.Event()
        self._eager = eager
        self.got: list[pb.BatchGetSubjectRecordsResponse] = []
        self.bytes: list[bytes] = []
        asked: dict[str, Any] = {"purpose": PURPOSE, "request_id": request_id}
        request = pb.BatchGetSubjectRecordsRequest(
            subjects=[company(number) for number in numbers], **asked | fields
        )
        self.sent = request.SerializeToString()
        answers = world.service.deliver_subject_records(request, self._heard(), asking)
        self._served = asyncio.create_task(self._serve(answers))

    @property
    def records(self) -> int:
        """How many records came."""
        return sum(len(each.records) for each in self.got)

    @property
    def names(self) -> list[str]:
        """The ids of the records that came, in order."""
        return [
            record.name.removeprefix("records/") for each in self.got for record in each.records
        ]

    async def has(self, records: int) -> None:
        """Wait until so many records came, and see that no more do."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while self.records < records and not self._served.done():
                self._came.clear()
                await self._came.wait()
        await asyncio.sleep(_QUIET_SECONDS)
        assert self.records == records

    def say(self, records: int) -> None:
        """Acknowledge so many records of this call."""
        self._said.put_nowait(records)

    def end(self) -> None:
        """End the client's side."""
        self._said.put_nowait(None)

    async def over(self) -> None:
        """Wait for the end. Raises Refused."""
        await asyncio.wait_for(self._served, _PATIENCE_SECONDS)

    async def cut(self) -> None:
        """Break the call off, once what was said is heard."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self._served.cancel()
        with contextlib.suppress(asyncio.CancelledError, Refused):
            await self._served

    async def _serve(self, answers: Any) -> None:
        try:
            async for answer in answers:
                chunk = pb.DeliverSubjectRecordsResponse.FromString(answer).chunk
                self.bytes.append(chunk.SerializeToString())
                self.got.append(chunk)
                self._came.set()
                if self._eager:
                    self.say(self.records)
        finally:
            await answers.aclose()
            self._came.set()

    async def _heard(self) -> AsyncIterator[pb.DeliverSubjectRecordsRequest]:
        while (records := await self._said.get()) is not None:
            yield pb.DeliverSubjectRecordsRequest(
                acknowledgement=pb.DeliveryAcknowledgement(records=records)
            )


def settler(world: World, per_day: int = 1_000) -> DeliverySettler:
    """Return a settler of the world's deliveries."""
    return DeliverySettler(
        world.engine, world.clock, DecisionIds(), grace_seconds=GRACE, per_day=per_day
    )
