"""The plans of a question: of each region whether it is asked, and what, as far as it may be now.

A retry asks what was asked first, and of what was not asked yet no more than a new question may.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from consent.relied import is_limited
from consent.states import EXHAUSTED
from creditgate.refusal import Refused
from creditgate.v1.federated_record_service_pb2 import QueryRegionsRequest
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.federation.asking.claims import Decided
from gateway.federation.asking.counted import RegionsCounted
from gateway.federation.asking.deciding import Admitted
from gateway.federation.asking.directories import Directories
from gateway.federation.asking.routing import ASKED, Kept, Known, Plan, Question, planned
from gateway.federation.asking.sent import SentPlans
from gateway.federation.trust.book import RegionBook
from operators.item_mappings import Translation

FirstCharged = Callable[[str, Collection[str]], Collection[str]]
"""Gives, by operator, those of requests to regions whose first chunk was charged; blocks, and raises
what the store raises."""
_log = logging.getLogger(__name__)


class _Before(NamedTuple):
    """What a retry has from its first: as `Question` has it."""

    kept: Mapping[str, Kept]
    counted: frozenset[str] | None


_NOTHING: Final = _Before({}, None)


class Planning:
    """Plans questions; one event loop's own.

    ``own`` is this region's entity identifier, ``doubts`` as `routing.Question` has it.
    """

    def __init__(
        self,
        book: RegionBook,
        directories: Directories,
        sent: SentPlans,
        counted: RegionsCounted,
        first_charged: FirstCharged,
        clock: Clock,
        own: str,
        doubts: Callable[[], bool],
    ) -> None:
        self._book = book
        self._directories = directories
        self._sent = sent
        self._counted = counted
        self._first_charged = first_charged
        self._clock = clock
        self._own = own
        self._doubts = doubts

    async def count(self, request: QueryRegionsRequest, decided: Decided, decision_id: str) -> bool:
        """Keep for which regions a use of a consent is about to be counted, where that limits its
        uses, and tell whether it is to be: a question of which no region is asked is none. Raises
        Refused TEMPORARILY_UNAVAILABLE where it cannot be kept: nothing may be counted then."""
        consent = decided.consent
        # Under one that is used up there are retries alone.
        if consent is None or not is_limited(consent) or consent.state == EXHAUSTED:
            return True
        plans = self._plans(request, decided, _NOTHING)
        regions = [plan.region for plan in plans if plan.not_asked == ASKED]
        if not regions:
            return False
        operator_id = decided.passage.allow.operator_id
        try:
            await asyncio.to_thread(self._counted.keep, operator_id, decision_id, regions)
        except SQLAlchemyError as error:
            _log.error("for whom a consent is used is not kept: %s", failure_kind(error))
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The question could not be kept, so nothing is asked or counted; try again.",
                retry_after=1,
            ) from None
        return True

    async def plans(
        self, request: QueryRegionsRequest, decided: Decided, admitted: Admitted
    ) -> list[Plan]:
        """Return the plan of every region. Raises what the store raises."""
        before = _NOTHING
        if admitted.receipt.replayed:
            before = await asyncio.to_thread(self._before, request, decided, admitted)
        return self._plans(request, decided, before)

    def _before(
        self, request: QueryRegionsRequest, decided: Decided, admitted: Admitted
    ) -> _Before:
        operator_id = decided.passage.allow.operator_id
        sent = self._sent.of(operator_id, request.request_id)
        there = {each.region_request_id for each in sent.values()}
        charged = self._first_charged(operator_id, there) if there else ()
        kept = {
            region: Kept(
                Translation(each.pairs, (), each.mapping_version),
                each.indexes,
                each.directory_time,
                each.proof,
                each.region_request_id in charged,
            )
            for region, each in sent.items()
        }
        if decided.consent is None or not is_limited(decided.consent):
            return _Before(kept, None)
        # What was asked was counted, also by versions that kept nothing else of it.
        counted = self._counted.of(operator_id, admitted.decision_id)
        return _Before(kept, counted.union(kept))

    def _plans(self, request: QueryRegionsRequest, decided: Decided, before: _Before) -> list[Plan]:
        now = self._clock.now()
        known = {
            region.entity_id: Known(
                region.entity_id,
                region.codes,
                self._directories.standing(region.entity_id, now),
            )
            for region in self._book.regions()
        }
        question = Question(
            subjects=request.subjects,
            items=tuple(request.items),
            reach=decided.reach,
            consented=None if decided.consent is None else decided.consent.terms.regions,
            named=frozenset(request.regions),
            every=request.every_region,
            kept=before.kept,
            counted=before.counted,
            doubts=self._doubts,
        )
        authority = decided.passage.view.authority
        mappings = authority.item_mappings
        plans = planned(list(known.values()), mappings, question)
        # Named, or known and not standing now: asking says why not.
        named = request.regions or sorted(
            each.entity_id for each in authority.regions.known.values()
        )
        plans += (
            Plan(region, ASKED, mappings.translated(region, request.items))
            for region in named
            if region not in known and region != self._own
        )
        return plans
