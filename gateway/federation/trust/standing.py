"""Which regions stand: what their chains say, under what the anchor was heard to say last."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.federation.trust.book import LogPurpose, Region
from gateway.federation.trust.description import speaks_for_itself
from gateway.federation.trust.news import News
from operators.authority import Authority
from operators.regions import KnownRegion, region_client_id

Condition = Callable[[str], bool]
"""Tells of a region, by entity id, whether something more that it needs holds now."""


class StandingRegions:
    """`gateway.federation.trust.book.RegionBook` of one process; any thread.

    ``authority`` gives the state of the moment, ``news`` what was heard from the anchor: each
    raises Refused where that is older than its lease. ``own`` is this region's entity id.
    """

    def __init__(
        self,
        own: str,
        authority: Callable[[], Authority],
        news: Callable[[], News],
        clock: Clock,
    ) -> None:
        self._own = own
        self._authority = authority
        self._news = news
        self._clock = clock
        self._conditions: list[Condition] = []
        self._made: dict[str, tuple[KnownRegion, str, Region]] = {}

    def require_too(self, condition: Condition) -> None:
        """Let regions stand only where ``condition`` holds besides."""
        self._conditions.append(condition)

    def regions(self) -> Sequence[Region]:
        """Return every other region that stands; see `RegionBook.regions`."""
        try:
            news = self._news()
            standing = [self._standing(each, news) for each in sorted(news.regions)]
        except Refused:
            # The anchor was not heard, or authority is not known: then nobody is.
            return ()
        return [each for each in standing if each is not None and each.entity_id != self._own]

    def region(self, entity_id: str) -> Region:
        """Return a region that stands; see `RegionBook.region`."""
        # First whether anything can be known at all.
        news = self._news()
        region = None if entity_id == self._own else self._standing(entity_id, news)
        if region is None:
            raise not_trusted()
        return region

    def stands(self, entity_id: str) -> bool:
        """Tell whether a region stands now; see `RegionBook.stands`."""
        try:
            self.region(entity_id)
        except Refused:
            return False
        return True

    def own(self) -> Region:
        """Return this region as its own chain has it: with the codes that the anchor gave it.

        Raises Refused as `region`.
        """
        region = self._standing(self._own, self._news())
        if region is None:
            raise not_trusted()
        return region

    def require_client(self, client_id: str) -> Region:
        """Return the region of that client id. Raises Refused as `region`."""
        known = self._authority().regions.known.get(client_id)
        if known is None:
            # First whether anything can be known at all.
            self._news()
            raise not_trusted()
        return self.region(known.entity_id)

    def _standing(self, entity_id: str, news: News) -> Region | None:
        client_id = region_client_id(entity_id)
        regions = self._authority().regions
        known = regions.known.get(client_id)
        if (
            known is None
            or not speaks_for_itself(known)
            or known.stands_until <= self._clock.now()
            or not news.stands(entity_id, known.revision)
            or not all(condition(entity_id) for condition in self._conditions)
        ):
            return None
        admission = regions.admission(client_id)
        operator_id = "" if admission is None else admission.operator_id
        made = self._made.get(client_id)
        if made is None or made[0] is not known or made[1] != operator_id:
            made = (known, operator_id, _region(known, operator_id))
            self._made[client_id] = made
        return made[2]


def not_trusted() -> Refused:
    """Return the refusal of what a region that does not stand would be asked, or asks."""
    return Refused(
        RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED,
        "The region is not one that this gateway trusts now: it must be enrolled with the trust"
        " anchor, not cut off, and its trust chain must hold.",
    )


def _region(known: KnownRegion, operator_id: str) -> Region:
    keys = cast("dict[LogPurpose, str]", cast(Any, known.log_keys))
    return Region(
        entity_id=known.entity_id,
        operator_id=operator_id,
        client_id=known.client_id,
        grpc=known.grpc,
        issuer=known.issuer,
        roots=known.roots.encode(),
        certificate_thumbprints=known.certificate_thumbprints,
        codes=known.codes,
        log_keys=keys,
        jwks=known.jwks,
        document_keys=known.document_keys,
        catalogue=known.catalogue,
        catalogue_version=known.catalogue_version,
        stands_until=known.stands_until,
        log_links=cast("dict[LogPurpose, tuple[str, ...]]", cast(Any, known.log_links)),
    )
