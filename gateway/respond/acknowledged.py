"""What of a delivery is under way: records sent and not acknowledged yet."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from creditgate.refusal import Violation, invalid
from creditgate.v1.credit_record_service_pb2 import DeliverSubjectRecordsRequest
from gateway.meter.delivery import Reached


class Acknowledged:
    """How far one call of a delivery is acknowledged; one event loop's own.

    ``most`` records may be under way; ``reached`` is where earlier calls came to.
    """

    def __init__(self, most: int, reached: Reached) -> None:
        self.most = most
        self.reached = reached
        self._under_way: deque[Reached] = deque()
        self._acknowledged = 0
        self._moved = asyncio.Event()

    @property
    def is_whole(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return not self._under_way

    def has_room(self, records: int) -> bool:
        """Tell whether so many records may be sent now."""
        return len(self._under_way) + records <= self.most

    def send(self, places: Iterable[Reached]) -> None:
        """Take note of records about to be sent: what each of them reaches, in order."""
        self._under_way.extend(places)

    async def hear(self, messages: AsyncIterator[DeliverSubjectRecordsRequest]) -> None:
        """Take in acknowledgements until no more come.

        Raises Refused INVALID_REQUEST for what is none, or of what was not sent, and what
        ``messages`` raise.
        """
        try:
            async for message in messages:
                if message.WhichOneof("step") != "acknowledgement":
                    raise invalid(
                        Violation("step", "after the first message send acknowledgements only")
                    )
                self._take(message.acknowledgement.records)
        finally:
            self._moved.set()

    async def moves(self, seconds: float) -> bool:
        """Return True when something is heard, False after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            return False
        self._moved.clear()
        return True

    def _take(self, records: int) -> None:
        sent = self._acknowledged + len(self._under_way)
        if not self._acknowledged <= records <= sent:
            raise invalid(
                Violation(
                    "acknowledgement.records",
                    f"from {self._acknowledged}, acknowledged before, to {sent}, sent so far",
                )
            )
        for _ in range(records - self._acknowledged):
            # Of what came again some was acknowledged by an earlier call, perhaps.
            self.reached = max(self.reached, self._under_way.popleft())
        self._acknowledged = records
        self._moved.set()
