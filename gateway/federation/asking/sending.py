"""Chunks that are about to be asked for, kept first."""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from creditgate.refusal import Refused
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.federation.asking.sent import AskedBefore, Asking, SentPlan, SentPlans
from gateway.storage.together import Together

_log = logging.getLogger(__name__)


class Sending:
    """Keeps what is about to be sent; one event loop's own.

    The regions of a question come to this at about the same time, and questions at once with them:
    so there is one write for them all, not one for each region.
    """

    def __init__(self, plans: SentPlans, clock: Clock) -> None:
        self._plans = plans
        self._clock = clock
        self._together = Together[Asking, AskedBefore]("sent-plans", plans.keep)

    async def keep(self, asking: Asking) -> AskedBefore:
        """Make durable that a chunk is asked for, and tell what was before.

        Raises Refused TEMPORARILY_UNAVAILABLE where that cannot be kept, or where the region is
        being asked for something else under the same id: nothing may be sent then.
        """
        try:
            before = await self._together.written(asking)
        except SQLAlchemyError as error:
            _log.error("what is asked of regions is not kept: %s", failure_kind(error))
            raise _later("What is asked of a region could not be kept.") from None
        if not before.plan.is_as(asking.plan):
            # A retry that came before this one's first had been sent.
            raise _later("The same request is under way; try again with the same request_id.")
        return before

    async def disbelieve(self, plan: SentPlan) -> None:
        """Keep that the region told of what nobody had asked for; as `SentPlans.disbelieve`."""
        try:
            await asyncio.to_thread(self._plans.disbelieve, plan, self._clock.now())
        except SQLAlchemyError as error:
            _log.error("a region's word could not be kept: %s", failure_kind(error))

    async def close(self) -> None:
        """Wait for what is being written."""
        await self._together.close()


class Attempts:
    """The attempts to have one chunk of a region."""

    def __init__(self, sending: Sending, asking: Asking) -> None:
        self._sending = sending
        self._asking = asking
        self._before: AskedBefore | None = None

    async def begin(self) -> None:
        """Keep that the chunk is asked for, before it is. Raises as `Sending.keep`."""
        if self._before is None:
            self._before = await self._sending.keep(self._asking)
        else:
            self._before = self._before._replace(before=True)

    def require_believed(self) -> None:
        """Raise ProofInvalid where the region told before of what nobody had asked for."""
        assert self._before is not None, "a region answers what it was asked"
        if not self._before.believed:
            raise ProofInvalid("it told before of what nobody had asked for")

    def asked_before(self, *, twice: bool) -> bool:
        """Tell whether the chunk was asked for before this attempt; ``twice`` says that this attempt
        was sent twice."""
        assert self._before is not None, "a region answers what it was asked"
        return self._before.before or twice

    @property
    def since(self) -> int:
        """When its region was asked first (seconds, UTC)."""
        assert self._before is not None, "a region answers what it was asked"
        return self._before.plan.asked_at

    async def disbelieve(self) -> None:
        """Believe no word of what was charged before under this id any more."""
        await self._sending.disbelieve(self._asking.plan)


def _later(detail: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE, detail, retry_after=1)
