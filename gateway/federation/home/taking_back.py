"""TellTakenBack: what subjects have taken back in other regions, told by those.

It is no more than the caller's own: what it gave under consents that are kept here. Of consents
that it was never asked under, and of those there are none of, the same is said (G10, G11).
"""

from collections.abc import Callable, Sequence
from typing import Final

from consent.model import NAME_PREFIX
from consent.parts import SqlConsentParts
from consent.sql import SqlConsents
from creditgate.refusal import Violation, invalid
from creditgate.v1.federation_service_pb2 import TellTakenBackRequest, TellTakenBackResponse
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.trust.book import Region
from gateway.respond.request import names_a_consent
from gateway.shares import Shares
from operators.shapes import common_regions

_MOST: Final = 1_000


class TakingBack:
    """Serves TellTakenBack.

    ``region_of`` gives the region of a client id, and raises Refused where it is none that stands.
    """

    def __init__(
        self,
        consents: SqlConsents,
        parts: SqlConsentParts,
        region_of: Callable[[str], Region],
        shares: Shares,
        clock: Clock,
    ) -> None:
        self._consents = consents
        self._parts = parts
        self._region_of = region_of
        self._shares = shares
        self._clock = clock

    async def tell_taken_back(
        self, request: TellTakenBackRequest, caller: Caller
    ) -> TellTakenBackResponse:
        """Answer TellTakenBack; raises Refused INVALID_REQUEST, RATE_EXCEEDED, and as
        ``region_of``."""
        region = self._region_of(caller.client_id)
        names = [each.consent for each in request.consents]
        if not 1 <= len(names) <= _MOST:
            raise invalid(Violation("consents", f"name 1 to {_MOST}"))
        if not all(map(names_a_consent, names)):
            raise invalid(Violation("consents", "each must read consents/{id}"))
        await self._shares.run(caller.asker, self._take, names, region)
        return TellTakenBackResponse()

    def _take(self, names: Sequence[str], region: Region) -> None:
        ids = {name.removeprefix(NAME_PREFIX) for name in names}
        for consent_id, consent in self._consents.readable(ids).items():
            if consent.kept_elsewhere:
                continue
            codes = common_regions(consent.terms.regions, frozenset(region.codes))
            self._parts.taken_back(consent_id, region.entity_id, codes, self._clock.now())
