"""GetRegionStatement: a region's signed word of itself, and the chain that makes it believed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.trust.chain import TrustChain
from gateway.federation.trust.resolver import UNREACHABLE, ChainResolver
from gateway.federation.trust.standing import StandingRegions

_KEPT_SECONDS: Final = 60


class RegionStatements:
    """Serves the method; one event loop's own. ``configuration`` gives this region's own
    entity configuration, signed; ``path`` the
    intermediates between an entity and the anchor."""

    def __init__(
        self,
        own: str,
        configuration: Callable[[], str],
        resolver: ChainResolver,
        regions: StandingRegions,
        path: Callable[[str], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._own = own
        self._configuration = configuration
        self._resolver = resolver
        self._regions = regions
        self._path = path
        self._clock = clock
        self._kept: dict[str, tuple[int, TrustChain]] = {}
        self._turn = asyncio.Lock()

    async def get_region_statement(
        self, request: pb.GetRegionStatementRequest, caller: Caller
    ) -> pb.GetRegionStatementResponse:
        """Answer GetRegionStatement.

        Raises Refused INVALID_REQUEST, REGION_NOT_TRUSTED and FEDERATION_UNKNOWN for another
        region, TEMPORARILY_UNAVAILABLE where its chain cannot be fetched now. Its own
        configuration is given in any case, without a chain where there is none.
        """
        del caller  # every region may read what is public elsewhere
        if len(request.entity_id) > 255:
            raise invalid(Violation("entity_id", "use an entity identifier of 255 characters"))
        entity_id = request.entity_id or self._own
        if entity_id != self._own:
            self._regions.region(entity_id)
        try:
            chain = await self._chain(entity_id)
        except UNREACHABLE as error:
            if entity_id == self._own:
                return pb.GetRegionStatementResponse(entity_statement=self._configuration())
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The trust chain cannot be fetched now; try again.",
                retry_after=5,
            ) from error
        response = pb.GetRegionStatementResponse(
            entity_statement=chain.statements[0], trust_chain=chain.statements
        )
        response.expire_time.seconds = chain.expires_at
        return response

    async def _chain(self, entity_id: str) -> TrustChain:
        # One at a time: whoever asks for the same next finds it kept.
        async with self._turn:
            known = self._kept.get(entity_id)
            now = self._clock.now()
            if known is not None and known[0] <= now < min(
                known[0] + _KEPT_SECONDS, known[1].expires_at
            ):
                return known[1]
            chain = await asyncio.to_thread(
                self._resolver.chain, entity_id, path=self._path(entity_id)
            )
            self._kept[entity_id] = (now, chain)
            return chain
