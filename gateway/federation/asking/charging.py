"""What another region gives an operator, held room for before it is asked for, and charged.

Records of other regions count against the day's quota and the limits of rates as this region's
do. How many an answer has is known once its region has metered it, and then it is charged here in
any case. So it is judged before, by room that is held for it (`gateway.meter.holds`): as much as
such an answer has as a rule, or half of what is left. While nothing is left that is not held, nothing
more is asked for; an answer with more records than were held goes beyond the quota by as many.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from math import ceil
from secrets import token_hex
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from creditgate.v1.credit_record_service_pb2 import Receipt
from gateway.clock import Clock
from gateway.failure_kind import failure_kind
from gateway.federation.asking.budget import OVERTIME_SECONDS
from gateway.federation.asking.claims import Charge, ChargedAs, Decided, claim_of, receipt_of
from gateway.federation.asking.lines import NumberedLines
from gateway.federation.asking.question import MOST_DEADLINE
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.holds import Hold, HoldKey, Room
from gateway.meter.model import (
    Busy,
    Charged,
    Held,
    Left,
    LineCount,
    NotCharged,
    Replayed,
    TooFast,
    UsageClaim,
)
from gateway.meter.quota_holds import QuotaHolds
from gateway.respond.rates import record_debits, too_fast
from gateway.respond.refusals import changing, not_charged
from gateway.respond.use import Use
from operators.limits import Limit

RECORDS_A_SUBJECT: Final = 20
"""Room for so many records a subject is held, or for as many as a region's chunks had of late."""
LEAST_A_SUBJECT: Final = 2
"""So many are held where what is left has to be shared among the regions of a question, and of an
answer that is late."""
USUAL_SUBJECTS: Final = 500
"""As many subjects a chunk has as a rule, at most."""
_HOLD_SECONDS: Final = int(MOST_DEADLINE + OVERTIME_SECONDS) + 30
_log = logging.getLogger(__name__)


class Given(NamedTuple):
    """What was charged: this gateway's receipt; what is left of the quota and of limits, None for
    what was charged before; and the limits that reach the operator."""

    receipt: Receipt
    left: Left | None
    limits: Sequence[Limit]


class Charging:
    """Holds room and charges; one event loop's own.

    ``was_charged`` tells whether a chunk was charged before, by operator, request id and number.
    """

    def __init__(
        self,
        committer: GroupCommitter,
        decisions: DecisionIds,
        lines: NumberedLines,
        holds: QuotaHolds,
        was_charged: Callable[[str, str, int], bool],
        clock: Clock,
        replay_seconds: int,
    ) -> None:
        self._committer = committer
        self._decisions = decisions
        self._lines = lines
        self._holds = holds
        self._was_charged = was_charged
        self._clock = clock
        self._replay_seconds = replay_seconds
        self._most_a_subject: dict[str, float] = {}

    async def is_charged(self, operator_id: str, charged: ChargedAs) -> bool:
        """Tell whether a chunk was charged before: it is given again for nothing. Raises what the
        store raises."""
        return await asyncio.to_thread(self._was_charged, operator_id, *charged)

    async def hold(
        self, use: Use, decided: Decided, region: str, subjects: int, among: int
    ) -> Hold | None:
        """Return the room that is held for the next chunk of ``region`` about at most so many
        ``subjects``, of a question that ``among`` regions are asked; None while what is left is
        held for others.

        Raises Refused QUOTA_EXHAUSTED and RATE_EXCEEDED where nothing is left.
        """
        limits, now = _limits_of(decided), self._clock.now()
        subjects = min(subjects, USUAL_SUBJECTS)
        a_subject = max(RECORDS_A_SUBJECT, self._most_a_subject.get(region, 0.0))
        hold = Hold(
            decided.passage.allow.operator_id,
            token_hex(8),
            ceil(a_subject * subjects),
            now + _HOLD_SECONDS,
        )
        claim = self._claim(use, decided, ChargedAs(use.request_id, 0))._replace(
            takes=Room(hold, _least(subjects), among),
            debits=record_debits(limits, use, decided.passage, Counter(), least=1),
        )
        outcome = await self._committer.charge(claim)
        match outcome:
            case Held():
                return hold
            case Busy():
                return None
            case TooFast():
                raise too_fast(outcome, limits)
            case NotCharged():
                raise not_charged(outcome)
            case _:
                raise changing()

    @asynccontextmanager
    async def eased_when_late(
        self, hold: Hold | None, late: asyncio.Event, subjects: int, among: int
    ) -> AsyncGenerator[None]:
        """While the context lasts, have ``hold`` keep the least room once its answer is ``late``,
        which is read on then; ``subjects`` and ``among`` are those it was held for."""
        if hold is None:
            yield
            return
        easing = asyncio.create_task(self._ease_when_late(hold, late, subjects, among))
        try:
            yield
        finally:
            easing.cancel()
            await asyncio.gather(easing, return_exceptions=True)

    async def _ease_when_late(
        self, hold: Hold, late: asyncio.Event, subjects: int, among: int
    ) -> None:
        await late.wait()
        key, least = HoldKey(hold.operator_id, hold.hold_id), _least(subjects)
        ease = partial(self._holds.ease, key, least, self._clock.now(), needed=among == 1)
        try:
            await asyncio.to_thread(ease)
        except SQLAlchemyError as error:
            _log.error("a hold could not be eased: %s", failure_kind(error))

    async def give_back(self, hold: Hold) -> None:
        """End a hold of which nothing was charged; it ends by itself where that fails."""
        key = HoldKey(hold.operator_id, hold.hold_id)
        try:
            await asyncio.to_thread(self._holds.give_back, key)
        except SQLAlchemyError as error:
            _log.error("a hold could not be given back: %s", failure_kind(error))

    async def charged(
        self, use: Use, decided: Decided, region: str, charge: Charge, hold: Hold | None
    ) -> Given:
        """Charge records of ``region`` by this gateway's prices, and end ``hold``.

        ``decided`` is what was decided last. Whatever has changed since, what a region has
        metered is charged. Raises Refused where it cannot be.
        """
        numbers = await self._lines.numbered(charge.counts)
        limits = _limits_of(decided)
        records: Counter[str] = Counter()
        for line, count in charge.counts.items():
            records[line.item] += count
        self._remember(region, records.total() / max(1, charge.subjects))
        claim = self._claim(use, decided, charge.charged)._replace(
            payload_digest=sha256(use.digest + charge.charged.request_id.encode()).digest(),
            lines=tuple(
                LineCount(numbers[line], count, decided.prices[line.item])
                for line, count in sorted(charge.counts.items())
            ),
            records_digest=charge.records_digest,
            debits=record_debits(limits, use, decided.passage, records),
            owed=True,
            gives_back="" if hold is None else hold.hold_id,
        )
        outcome = await self._committer.charge(claim)
        match outcome:
            case Charged(fee, receipt, left):
                return Given(receipt_of(claim, claim.decision_id, fee, receipt), left, limits)
            case Replayed(decision_id, receipt):
                again = receipt_of(claim, decision_id, 0, receipt, replayed=True)
                return Given(again, None, limits)
            case NotCharged():
                raise not_charged(outcome)
            case _:
                raise changing()

    def _claim(self, use: Use, decided: Decided, charged: ChargedAs) -> UsageClaim:
        now = self._clock.now()
        return claim_of(
            use,
            decided,
            charged,
            self._decisions.next(),
            now,
            self._replay_seconds,
            now + _HOLD_SECONDS,
            _stands,
        )

    def _remember(self, region: str, a_subject: float) -> None:
        """Remember about how many records a subject the chunks of a region had that had many."""
        before = self._most_a_subject.get(region, 0.0)
        self._most_a_subject[region] = max(a_subject, before * 7 / 8)


def _least(subjects: int) -> int:
    return LEAST_A_SUBJECT * min(subjects, USUAL_SUBJECTS)


def _limits_of(decided: Decided) -> Sequence[Limit]:
    passage = decided.passage
    return passage.view.authority.limits.reaching(passage.allow.operator_id)


def _stands() -> bool:
    """Tell that a claim stands: what its region has metered is owed."""
    return True
