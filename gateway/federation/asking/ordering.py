"""One chunk ordered of a region: judged and held room for, asked for, kept and charged.

It runs in a task of its own (`gateway.federation.asking.orders`): once the region is asked it
comes to its end whoever waits for it, since what the region meters is owed to it.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from consent.served import Changed
from creditgate.refusal import Refused
from creditgate.transparency.usage import region_records_digest
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.disclose.model import Line
from gateway.federation.asking.answers import Chunk, Place
from gateway.federation.asking.asked import Asked
from gateway.federation.asking.believing import Question
from gateway.federation.asking.budget import Budget
from gateway.federation.asking.calls import RegionCalls, Verified
from gateway.federation.asking.charging import Charging, Given
from gateway.federation.asking.claims import Charge, ChargedAs, Decided
from gateway.federation.asking.deciding import Deciding
from gateway.federation.asking.endings import Ended
from gateway.federation.asking.hiding import Hiding
from gateway.federation.asking.keeping import Charged, Keeping
from gateway.federation.asking.orders import Orders
from gateway.federation.asking.owed import OwedShare
from gateway.federation.asking.ports import Witnesses
from gateway.federation.asking.routing import Plan, require_mapped
from gateway.federation.asking.uses import RegionUse
from gateway.federation.trust.book import RegionBook
from gateway.meter.holds import Hold
from gateway.respond.refusals import changing

_R: Final = RefusalReason
# What callers bring about by themselves while a region is asked: they hang up, in other words.
_CALLERS_OWN: Final = frozenset(
    {
        _R.REFUSAL_REASON_TOKEN_REVOKED,
        _R.REFUSAL_REASON_TOKEN_EXPIRED,
        _R.REFUSAL_REASON_CLIENT_NOT_ACTIVE,
        _R.REFUSAL_REASON_USAGE_UNSIGNED,
    }
)
_ATTEMPTS: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.3


class Ordering(NamedTuple):
    """What is asked of one region: planned, as admitted, and as it is sent; ``own_items`` are the
    items here by those there."""

    plan: Plan
    asked: Asked
    question: Question
    own_items: Mapping[str, str]
    budget: Budget

    def charged_as(self, first: int) -> ChargedAs:
        """Return what the chunk that begins at the subject ``first`` is charged as."""
        return ChargedAs(self.question.query.request_id, first)

    def subjects_from(self, first: int) -> int:
        """Return how many subjects there are from the subject ``first`` on."""
        return len(self.plan.subjects) - first


class Orderer:
    """Orders chunks of regions; one event loop's own."""

    def __init__(
        self,
        book: RegionBook,
        deciding: Deciding,
        charging: Charging,
        witnesses: Witnesses,
        calls: RegionCalls,
        keeping: Keeping,
        orders: Orders,
        hiding: Hiding,
        owed: OwedShare,
    ) -> None:
        self._book = book
        self._deciding = deciding
        self._charging = charging
        self._witnesses = witnesses
        self._calls = calls
        self._keeping = keeping
        self._orders = orders
        self._hiding = hiding
        self._owed = owed

    async def ordered(self, ordering: Ordering, place: Place) -> tuple[Verified, Given]:
        """Return the chunk at a place of the answer, kept and charged.

        Raises Refused and Ended where it is not to be had; where the region was asked all the
        same, it is kept as owed as far as it came.
        """
        asked, charged = ordering.asked, ordering.charged_as(place.first)
        # Before the region is asked, which would charge it.
        decided = await self._decided(asked, charged)
        hold = await self._held(ordering, decided, charged)
        try:
            if decided.consent is not None:
                await self._keeping.asking(decided.consent, ordering.plan.region)
            late, subjects = ordering.budget.late, ordering.subjects_from(place.first)
            async with self._charging.eased_when_late(hold, late, subjects, asked.regions):
                verified = await self._called(ordering, place)
            # Cut off, or its log distrusted, since it was asked: nothing more of it is believed.
            self._witnesses.require_trusted(self._book.region(ordering.plan.region))
            await self._hiding.look(ordering.plan.directory, ordering.question, verified)
            given = await self._kept(ordering, verified, decided, hold)
        except BaseException:
            if hold is not None:
                await self._charging.give_back(hold)
            raise
        return verified, given

    async def _decided(self, asked: Asked, charged: ChargedAs) -> Decided:
        return await self._deciding.decided(asked.use, asked.request.subjects, charged)

    async def _held(self, ordering: Ordering, decided: Decided, charged: ChargedAs) -> Hold | None:
        """Return the room held for a chunk, None for one that was charged before."""
        asked, budget = ordering.asked, ordering.budget
        operator_id = decided.passage.allow.operator_id
        self._orders.require_room(operator_id)
        again = asked.admitted.receipt.replayed
        if again and await self._charging.is_charged(operator_id, charged):
            return None
        # What was not given yet is asked for by the mapping of now.
        require_mapped(ordering.plan, decided.passage.view.authority.item_mappings)
        subjects = ordering.subjects_from(charged.chunk)
        waited, pause = 0.0, _FIRST_PAUSE_SECONDS
        while not budget.over and waited <= budget.seconds:
            hold = await self._charging.hold(
                asked.use, decided, ordering.plan.region, subjects, asked.regions
            )
            if hold is not None:
                return hold
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _LONGEST_PAUSE_SECONDS)
        raise Refused(
            RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
            "What is left of the day's quota or of a limit is held for answers under way; try"
            " again with the same request_id after the delay told.",
            retry_after=1,
        )

    async def _called(self, ordering: Ordering, place: Place) -> Verified:
        """Return the chunk, verified; where it does not come, keep what was charged for it."""
        try:
            return await self._calls.chunk(ordering.question, place, ordering.budget)
        except Ended as ended:
            if ended.metered is not None:
                withheld = await self._may_not(ordering)
                await self._keeping.lost(
                    _charged(ordering), ended.metered, place.first, withheld=withheld
                )
                await self._owed.look(ordering.question.region)
            raise

    async def _may_not(self, ordering: Ordering) -> bool:
        """Tell whether this region itself would give nobody what was asked for by now, whatever has
        become of the caller's token."""
        asked = ordering.asked
        self._deciding.forget(asked.use)
        try:
            use = asked.use._replace(revocable=frozenset())
            await self._deciding.decided(use, asked.request.subjects)
        except Refused as refused:
            return refused.reason not in _CALLERS_OWN
        except SQLAlchemyError:
            # What was charged is kept all the same; nobody is suspected for what could not be asked.
            return True
        return False

    async def _kept(
        self, ordering: Ordering, verified: Verified, before: Decided, hold: Hold | None
    ) -> Given:
        """Make a chunk durable, charge it, and return what was charged.

        ``before`` is what was decided when its region was asked. Raises Refused: what may not be
        had any more, and TEMPORARILY_UNAVAILABLE where it cannot be kept; Ended UNVERIFIED for a
        chunk that was kept as another. Nothing is passed on then.
        """
        asked, chunk = ordering.asked, verified.chunk
        charged_as = ordering.charged_as(chunk.first)
        refused: Refused | None = None
        for _ in range(_ATTEMPTS):
            refused = None
            try:
                # However long the region took, authority and prices are those of now (G4).
                decided = await self._decided(asked, charged_as)
            except Refused as error:
                if error.reason not in _CALLERS_OWN:
                    # The region charged it all the same.
                    await self._keeping.withheld(_charged(ordering), chunk)
                    raise
                decided, refused = before, error
            uses = _uses(ordering.own_items, chunk, decided)
            try:
                await self._keeping.given(_charged(ordering), chunk, uses, decided.consent)
                break
            except Changed:
                self._deciding.forget(asked.use)
        else:
            await self._keeping.withheld(_charged(ordering), chunk)
            raise refused or changing()
        counts = Counter(Line(use.own_item, use.source, use.region_code) for use in uses)
        digest = region_records_digest([use.own_item for use in uses], chunk.records)
        charge = Charge(charged_as, counts, chunk.subject_count, digest)
        region = ordering.plan.region
        given = await self._charging.charged(asked.use, decided, region, charge, hold)
        if chunk.gone:
            await self._owed.look(ordering.question.region)
        if refused is not None:
            raise refused
        if given.receipt.replayed and uses:
            await self._keeping.given_again(_charged(ordering), chunk.first, uses)
        return given


def _uses(own_items: Mapping[str, str], chunk: Chunk, decided: Decided) -> list[RegionUse]:
    return [
        RegionUse.of(
            record,
            own_item := own_items[record.item],
            chunk.price(record),
            decided.prices[own_item],
            opened=decided.opens(record, own_item),
        )
        for record in chunk.records
    ]


def _charged(ordering: Ordering) -> Charged:
    return Charged(ordering.asked, ordering.plan, ordering.question.query.request_id)
