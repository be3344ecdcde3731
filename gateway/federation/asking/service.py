"""FederatedRecordService: one question to many regions, answered as they answer."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from functools import partial
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
from gateway.conformance.throttle import Throttle
from gateway.federation.asking.asked import Asked, LeftNow
from gateway.federation.asking.deciding import Deciding, use_of_question
from gateway.federation.asking.planning import Planning
from gateway.federation.asking.question import check_question, deadline_of
from gateway.federation.asking.region import NOT_ASKED, RegionAsker, closed
from gateway.federation.asking.routing import ASKED, Plan
from gateway.federation.trust.book import RegionBook
from gateway.respond.in_time import now_judged

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
    """Serves QueryRegions of creditgate.v1.FederatedRecordService."""

    def __init__(
        self,
        deciding: Deciding,
        book: RegionBook,
        planning: Planning,
        asker: RegionAsker,
        throttle: Throttle,
    ) -> None:
        self._deciding = deciding
        self._book = book
        self._planning = planning
        self._asker = asker
        self._throttle = throttle

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
        count = partial(self._planning.count, request)
        decided, admitted = await self._deciding.admitted(use, request.subjects, count)
        asked = Asked(request, use, decided, admitted, deadline_of(request), LeftNow())
        # Before all else: whatever breaks the answer, what was metered has its receipt.
        yield QueryRegionsResponse(question=admitted.receipt)
        plans = await self._planning.plans(request, decided, admitted)
        for plan in plans:
            yield QueryRegionsResponse(plan=_plan_message(plan))
        for plan in plans:
            if plan.not_asked != ASKED:
                yield QueryRegionsResponse(closing=closed(plan, NOT_ASKED, admitted))
        to_ask = [each for each in plans if each.not_asked == ASKED]
        asked = asked._replace(regions=max(1, len(to_ask)))
        async for step in self._steps(to_ask, asked):
            # However long the regions take, authority is that of now (G4).
            now_judged()
            await self._deciding.require(use, request.subjects)
            yield step
        asked.left.tell()

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
