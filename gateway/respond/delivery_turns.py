"""Deliveries for the event loop: a call's turn at one, on threads that wait for the store."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, ParamSpec, TypeVar

from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.meter.deliveries import AlreadySettled, Deliveries, OtherPayload
from gateway.meter.delivery import Delivering, DeliveryKey, Reached
from gateway.meter.model import NotCharged
from gateway.respond.refusals import delivery_over, not_charged

_THREADS: Final = 4
_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """What deliveries keep to: records sent and not acknowledged, subjects of one chunk, and
    seconds a broken one is waited for."""

    window_records: int
    chunk_subjects: int
    grace_seconds: int

    @property
    def beat_seconds(self) -> float:
        """How often a call that waits says that it is there."""
        return min(5.0, self.grace_seconds / 4)


class DeliveryTurns:
    """Gives calls their turns at deliveries; one event loop's own."""

    def __init__(self, deliveries: Deliveries, clock: Clock, limits: DeliveryLimits) -> None:
        self.limits = limits
        self._deliveries = deliveries
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="deliveries")

    async def take_up(self, key: DeliveryKey, payload_digest: bytes) -> "Turn":
        """Begin a delivery, or go on with it. Raises Refused REQUEST_ID_REUSED, and what the
        store raises."""
        try:
            taken = await self.run(self._deliveries.take_up, key, payload_digest, self._clock.now())
        except AlreadySettled:
            raise delivery_over() from None
        except OtherPayload:
            raise not_charged(NotCharged(RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED)) from None
        return Turn(self, self._deliveries, self._clock, key, taken.turn, taken.reached)

    async def run(
        self, work: Callable[_P, _Answer], *args: _P.args, **kwargs: _P.kwargs
    ) -> _Answer:
        """Return what ``work`` returns, from a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    def close(self) -> None:
        """Wait for what is under way."""
        self._threads.shutdown()


class Turn:
    """A call's turn at a delivery. Methods raise Refused REQUEST_ID_REUSED once it is another's
    or settled, and what the store raises."""

    def __init__(
        self,
        turns: DeliveryTurns,
        deliveries: Deliveries,
        clock: Clock,
        key: DeliveryKey,
        number: int,
        reached: Reached,
    ) -> None:
        self._turns = turns
        self._deliveries = deliveries
        self._clock = clock
        self._key = key
        self._number = number
        self._is_over = False
        self.reached = reached
        """How far earlier calls were acknowledged."""

    def at(self, reached: Reached) -> Delivering:
        """Return what goes with a claim of the delivery."""
        return Delivering(self._number, reached)

    async def comes_again(self, chunk: int, sequences: Sequence[int]) -> list[Reached]:
        """Return what each record of a chunk reaches that was charged before."""
        places = await self._turns.run(
            self._deliveries.comes_again, self._key, self._number, chunk, sequences
        )
        if places is None:
            raise delivery_over()
        return places

    async def keep(self, reached: Reached) -> None:
        """Write how far the delivery is acknowledged, and that its call is there."""
        if not await self._acknowledge(reached):
            raise delivery_over()

    async def finish(self, reached: Reached) -> None:
        """End the delivery, of which all is acknowledged."""
        if not await self._acknowledge(reached, is_last=True):
            raise delivery_over()
        self._is_over = True

    async def leave(self, reached: Reached) -> None:
        """Write how far the delivery is acknowledged, where its call breaks off; of one that is
        not its own any more, or is finished, nothing. Raises nothing: where it cannot be
        written, it is as if the last acknowledgements had not come."""
        if self._is_over:
            return
        try:
            # What ends the call may end it again meanwhile.
            await asyncio.shield(self._acknowledge(reached))
        except Exception as error:
            _log.error("acknowledgements could not be kept: %s", failure_kind(error))

    async def _acknowledge(self, reached: Reached, *, is_last: bool = False) -> bool:
        return await self._turns.run(
            self._deliveries.acknowledge,
            self._key,
            self._number,
            reached,
            self._clock.now(),
            is_last=is_last,
        )
