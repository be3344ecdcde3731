"""FederatedRecordService: one question to many regions, answered as they answer."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Refused
from creditgate.v1.federated_record_service_pb2 import (
    QueryRegionsRequest,
    QueryRegionsResponse,
    RegionPlan,
)
from creditgate.v1.item_mapping_service_pb2 import MappedItem
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.conformance.throttle import Throttle
from gateway.federation.asking.asked import Asked, LeftNow
from gateway.federation.asking.claims import Decided
from gateway.federation.asking.deciding import Admitted, Deciding, use_of_question
from gateway.federation.asking.directories import Directories
from gateway.federation.asking.question import check_question, deadline_of
from gateway.federation.asking.region import NOT_ASKED, RegionAsker, closed
from gateway.federation.asking.routing import ASKED, Kept, Known, Plan, Question, planned
from gateway.federation.asking.sent import SentPlans
from gateway.federation.trust.book import RegionBook
from operators.item_mappings import Translation

_WAITING_STEPS: Final = 8
"""Steps that wait for the operator to take them; regions wait for room then."""
DOUBTED_ONE_IN: Final = 100
"""Of so many subjects that a directory left out about one is asked about all the same."""
# A name that is nobody's (RFC 2606): asked for, a book says whether it knows anything.
_NOBODY: Final = "https://nobody.invalid"


def doubted() -> bool:
    """Tell whether a subject that a directory left out is asked about all the same: one in
    `DOUBTED_ONE_IN`, so that no region knows whom it can leave out."""
    return secrets.randbelow(DOUBTED_ONE_IN) == 0


class FederatedRecordService:
    """Serves QueryRegions of creditgate.v1.FederatedRecordService.

    ``own`` is this region's entity identifier, ``doubts`` as `routing.Question` has it.
    """

    def __init__(
        self,
        deciding: Deciding,
        book: RegionBook,
        directories: Directories,
        asker: RegionAsker,
        throttle: Throttle,
        clock: Clock,
        own: str,
        sent: SentPlans,
        doubts: Callable[[], bool] = doubted,
    ) -> None:
        self._deciding = deciding
        self._book = book
        self._directories = directories
        self._asker = asker
        self._throttle = throttle
        self._clock = clock
        self._own = own
        self._sent = sent
        self._doubts = doubts

    async def query_regions(
        self, request: QueryRegionsRequest, caller: Caller
    ) -> AsyncIterator[QueryRegionsResponse | bytes]:
        """Answer QueryRegions; raises Refused.

        Of what concerns one region alone nothing is raised: its closing statement says it.
        """
        await check_question(request)
        self._throttle.require(caller.operator_id, len(request.subjects))
        use = use_of_question(caller, request)
        # Before it is metered: where nothing can be known of any region, nothing was asked.
        _require_known(self._book)
        decided, admitted = await self._deciding.admitted(use, request.subjects)
        asked = Asked(request, use, decided, admitted, deadline_of(request), LeftNow())
        # Before all else: whatever breaks the answer, what was metered has its receipt.
        yield QueryRegionsResponse(question=admitted.receipt)
        kept = await self._kept(caller.operator_id, request, admitted)
        plans = self._planned(request, decided, kept)
        for plan in plans:
            yield QueryRegionsResponse(plan=_plan_message(plan))
        for plan in plans:
            if plan.not_asked != ASKED:
                yield QueryRegionsResponse(closing=closed(plan, NOT_ASKED, admitted))
        to_ask = [each for each in plans if each.not_asked == ASKED]
        asked = asked._replace(regions=max(1, len(to_ask)))
        async for step in self._steps(to_ask, asked):
            # However long the regions take, authority is that of now (G4).
            await self._deciding.require(use, request.subjects)
            yield step
        asked.left.tell()

    async def _kept(
        self, operator_id: str, request: QueryRegionsRequest, admitted: Admitted
    ) -> Mapping[str, Kept]:
        """Return what regions were asked under the id of a retry."""
        if not admitted.receipt.replayed:
            return {}
        sent = await asyncio.to_thread(self._sent.of, operator_id, request.request_id)
        return {
            region: Kept(
                Translation(each.pairs, (), each.mapping_version),
                each.indexes,
                each.directory_time,
                each.proof,
            )
            for region, each in sent.items()
        }

    def _planned(
        self, request: QueryRegionsRequest, decided: Decided, kept: Mapping[str, Kept]
    ) -> list[Plan]:
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
            kept=kept,
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

    async def _steps(
        self, plans: Sequence[Plan], asked: Asked
    ) -> AsyncIterator[QueryRegionsResponse | bytes]:
        """Yield the parts of all regions as they come, and of each its closing statement."""
        steps: asyncio.Queue[QueryRegionsResponse | bytes] = asyncio.Queue(_WAITING_STEPS)

        async def ask(plan: Plan) -> None:
            closing = await self._asker.asked(plan, asked, steps.put)
            await steps.put(QueryRegionsResponse(closing=closing))

        tasks = [asyncio.create_task(ask(plan), name="region-question") for plan in plans]
        try:
            open_ = len(plans)
            while open_:
                step = await _next_of(steps, tasks)
                open_ -= isinstance(step, QueryRegionsResponse)
                yield step
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _next_of(
    steps: "asyncio.Queue[QueryRegionsResponse | bytes]", tasks: Sequence["asyncio.Task[None]"]
) -> QueryRegionsResponse | bytes:
    """Return the next step. Raises what a task failed with, since nothing would come of it."""
    getting = asyncio.ensure_future(steps.get())
    try:
        while True:
            running = [task for task in tasks if not task.done()]
            await asyncio.wait([getting, *running], return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
            for task in tasks:
                if task.done() and (error := task.exception()) is not None:
                    raise error
    finally:
        getting.cancel()


def _require_known(book: RegionBook) -> None:
    """Raise Refused FEDERATION_UNKNOWN where nothing can be known of any region."""
    if book.regions():
        return
    try:
        book.region(_NOBODY)
    except Refused as refused:
        if refused.reason == RefusalReason.REFUSAL_REASON_FEDERATION_UNKNOWN:
            raise


def _plan_message(plan: Plan) -> RegionPlan:
    translation = plan.translation
    message = RegionPlan(
        region=plan.region,
        not_asked=plan.not_asked,
        items=[MappedItem(item=here, region_item=there) for here, there in translation.pairs],
        mapping_version=str(translation.version) if translation.version else "",
        subjects=plan.subjects,
    )
    if plan.directory_time is not None:
        message.directory_time.CopyFrom(Timestamp(seconds=plan.directory_time))
    return message
