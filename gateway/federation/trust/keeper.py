"""The keeper: follows the chains of all regions and writes what they say to the authority log.

One process of an installation at a time does it. What is written acts on every process as any
other change of authority does. A region's own configuration is fetched every minute, so that
keys it publishes are known before they sign; the anchor's statement when the news tell of a
new one, or half of its life is over.
"""

import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from creditgate.refusal import Refused
from gateway.clock import Clock
from gateway.federation.trust.chain import TrustChain
from gateway.federation.trust.description import known_region
from gateway.federation.trust.news import News
from gateway.federation.trust.places import require_own_places
from gateway.federation.trust.resolver import Asked, ChainResolver
from gateway.federation.trust.statement import StatementInvalid
from operators.authority import Authority
from operators.log import AuthorityLog, Draft
from operators.regions import REGION, KnownRegion, region_client_id

AGAIN_SECONDS: Final = 60.0
"""How often a region's configuration is looked at."""

_RETRY_SECONDS: Final = 2.0
_WRITER: Final = "federation"
_REASON: Final = "what its trust chain says"
_log = logging.getLogger(__name__)


class ChainKeeper:
    """Keeps the regions of the news known; `step` is one thread's own.

    ``news`` gives what the anchor was heard to say, None before that. This region is one of
    them: what the anchor allows of its own words counts here too.
    """

    def __init__(
        self,
        log: AuthorityLog,
        authority: Callable[[], Authority],
        resolver: ChainResolver,
        news: Callable[[], News | None],
        clock: Clock,
    ) -> None:
        self._log = log
        self._authority = authority
        self._resolver = resolver
        self._news = news
        self._clock = clock
        self._due: dict[str, float] = {}

    def step(self) -> bool:
        """Look at the regions that are due; never tells of more to do at once.

        Raises what the log raises when it cannot be written.
        """
        news = self._news()
        if news is None:
            return False
        known = self._authority().regions.known
        due = [
            Asked(entity_id, revision, news.path(entity_id))
            for entity_id, revision in news.regions.items()
            if entity_id not in news.cut_off and self._is_due(known, entity_id, revision)
        ]
        for entity_id, chain in self._resolver.resolved(due).items():
            self._look(known, entity_id, chain, news)
        return False

    def look_anew(self, entity_id: str) -> None:
        """Look at the chain of one region now, whenever it is due; any thread.

        Raises as `step`.
        """
        news = self._news()
        if news is None or entity_id in news.cut_off or entity_id not in news.regions:
            return
        asked = Asked(entity_id, news.regions[entity_id], news.path(entity_id))
        known = self._authority().regions.known
        for name, chain in self._resolver.resolved([asked]).items():
            self._look(known, name, chain, news)

    def _is_due(self, known: Mapping[str, KnownRegion], entity_id: str, revision: int) -> bool:
        if monotonic() >= self._due.get(entity_id, 0.0):
            return True
        region = known.get(region_client_id(entity_id))
        return region is not None and region.revision < revision

    def _look(
        self,
        known: Mapping[str, KnownRegion],
        entity_id: str,
        chain: TrustChain | Exception,
        news: News,
    ) -> None:
        try:
            if isinstance(chain, Exception):
                raise chain
            region = known_region(chain)
            require_own_places(region, news.regions)
        except Exception as error:
            # Its chain from before holds until it expires, or the news tell otherwise.
            _log.warning("the chain of %s: %s", entity_id, _told(error))
            self._due[entity_id] = monotonic() + _RETRY_SECONDS
            return
        self._due[entity_id] = monotonic() + AGAIN_SECONDS
        before = known.get(region.client_id)
        if before is None or self._says_more(before, region):
            self._write(region, 0 if before is None else before.version)

    def _says_more(self, before: KnownRegion, after: KnownRegion) -> bool:
        """Tell whether ``after`` says something else, or stands much longer."""
        if _described(before) != _described(after):
            return True
        now = self._clock.now()
        return before.stands_until - now < (after.stands_until - now) // 2

    def _write(self, region: KnownRegion, version: int) -> None:
        draft = Draft(REGION, region.client_id, version, region.as_document())
        try:
            self._log.append(
                [draft], changed_by=_WRITER, changed_at=self._clock.now(), reason=_REASON
            )
        except Refused:
            # Written meanwhile; looked at again with the next step.
            self._due[region.entity_id] = 0.0


def _described(region: KnownRegion) -> dict[str, object]:
    changing = {"version", "changed_at", "chain_digest", "stands_until"}
    return region.model_dump(exclude=changing)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, StatementInvalid) else type(error).__name__
