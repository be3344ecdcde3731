"""What a region that is asked to clear requires of who asks, and how it refuses."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.clearing.clerk import OTHERWISE
from gateway.federation.clearing.own_side import OwnSide, OwnSides, TooMany
from gateway.federation.clearing.rules import SETTLED_SECONDS
from gateway.federation.trust.book import Region
from gateway.shares import Shares

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Asked:
    """The region ``own``, asked by others; one event loop's own. ``region_of`` gives the region of
    a client id, or raises Refused."""

    def __init__(
        self,
        sides: OwnSides,
        region_of: Callable[[str], Region],
        shares: Shares,
        clock: Clock,
        own: str,
    ) -> None:
        self._sides = sides
        self._region_of = region_of
        self._shares = shares
        self._clock = clock
        self.own = own

    def proposing(self, caller: Caller) -> Region:
        """Return the region that a caller is. Raises Refused STATE_CONFLICT where it is this one
        that proposes."""
        region = self._region_of(caller.client_id)
        if region.entity_id > self.own:
            raise conflict("Of two regions the one whose identifier comes first proposes.", "order")
        return region

    def side(self, region: str, start: int, until: int) -> OwnSide:
        """Return this region's side; see `OwnSides.of`. Raises Refused ANSWER_TOO_LARGE."""
        try:
            return self._sides.of(region, start, until)
        except TooMany:
            raise too_large("There are too many entries; clear a shorter period.") from None

    def now(self) -> int:
        """Return seconds since the epoch, UTC."""
        return self._clock.now()

    def require_until(self, until: int) -> None:
        """Raise Refused TEMPORARILY_UNAVAILABLE unless a period that ends then is over."""
        if until > self._clock.now() - SETTLED_SECONDS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The period is not over here yet.",
                retry_after=SETTLED_SECONDS,
            )

    async def run(
        self, caller: Caller, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Return what blocking work does in the caller's share of threads."""
        return await self._shares.run(caller.asker, work, *args, **kwargs)


def conflict(message: str, why: str, **more: str) -> Refused:
    """Return the refusal STATE_CONFLICT, with what of it."""
    return Refused(
        RefusalReason.REFUSAL_REASON_STATE_CONFLICT, message, metadata={"why": why, **more}
    )


def agreed_otherwise() -> Refused:
    """Return the refusal of a clearing of a period that another one is signed of."""
    return conflict("The period, or a part of it, is cleared otherwise.", OTHERWISE)


def too_large(message: str) -> Refused:
    """Return the refusal ANSWER_TOO_LARGE."""
    return Refused(RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE, message)
