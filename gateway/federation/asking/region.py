"""One region asked for one operator: from the plan to the closing statement.

What the region answered is kept durably before it is passed on (guarantee G5), and what becomes
of the question is said whatever happens (G10).
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from sqlalchemy.exc import SQLAlchemyError

from creditgate.federated_query import consent_elsewhere, region_request_id
from creditgate.refusal import Refused
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.federated_record_service_pb2 import (
    QueryRegionsResponse,
    RegionClosing,
    RegionOutcome,
    RegionPart,
)
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.clock import Clock
from gateway.disclose.frame import field
from gateway.failure_kind import failure_kind
from gateway.federation.asking.answers import Place
from gateway.federation.asking.asked import Asked
from gateway.federation.asking.believing import Question
from gateway.federation.asking.budget import Budget
from gateway.federation.asking.calls import Verified
from gateway.federation.asking.claims import Decided
from gateway.federation.asking.deciding import Admitted
from gateway.federation.asking.endings import REFUSED, Ended
from gateway.federation.asking.ordering import Orderer, Ordering
from gateway.federation.asking.orders import Orders
from gateway.federation.asking.ports import Credentials, OwnRegion, Witnesses
from gateway.federation.asking.routing import Plan
from gateway.federation.asking.sent import SentPlan, subject_bits, subjects_digest
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.trust.standing import not_trusted
from operators.authorization_details import PURPOSE_NAMES, TYPE
from operators.shapes import ALL_REGIONS

ANSWERED: Final = RegionOutcome.REGION_OUTCOME_ANSWERED
EMPTY: Final = RegionOutcome.REGION_OUTCOME_EMPTY
NOT_ASKED: Final = RegionOutcome.REGION_OUTCOME_NOT_ASKED
DECISION: Final = "decisions/"
_ANSWER: Final = RegionPart.ANSWER_FIELD_NUMBER
_PART: Final = QueryRegionsResponse.PART_FIELD_NUMBER

ChargedBefore = Callable[[str, str, int], Sequence[bytes]]
"""Gives receipts of what was charged, serialised; blocks, and raises what the store raises."""
_log = logging.getLogger(__name__)

Emit = Callable[[bytes], Awaitable[None]]
"""Takes a serialised QueryRegionsResponse; returns once there is room for the next."""


class _Passed:
    """What was passed on of one region so far."""

    def __init__(self) -> None:
        self.chunks = 0
        self.subjects = 0
        self.records = 0
        self.fee = 0
        self.complete = True
        self.withheld = 0


class RegionAsker:
    """Asks single regions; one event loop's own.

    ``charged_before`` gives the receipts of chunks that were charged, by operator, request id and
    the least number of a chunk. ``issuer`` is this gateway's.
    """

    def __init__(
        self,
        own: OwnRegion,
        book: RegionBook,
        credentials: Credentials,
        witnesses: Witnesses,
        orderer: Orderer,
        orders: Orders,
        charged_before: ChargedBefore,
        issuer: str,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = own
        self._book = book
        self._credentials = credentials
        self._witnesses = witnesses
        self._orderer = orderer
        self._orders = orders
        self._charged_before = charged_before
        self._issuer = issuer
        self._clock = clock
        self._monotonic = monotonic

    async def asked(self, plan: Plan, asked: Asked, emit: Emit) -> RegionClosing:
        """Ask the region of ``plan``, pass its parts to ``emit``, and return how it ended."""
        started = self._monotonic()
        passed = _Passed()
        try:
            await self._ask(plan, asked, emit, passed)
            # That it has none is said where it is proved alone.
            is_empty = passed.complete and not passed.records
            outcome, ended = (EMPTY if is_empty else ANSWERED), None
        except Refused as refused:
            wait = None if refused.retry_after is None else float(refused.retry_after)
            ended = Ended(REFUSED, refused.reason, retry_after=wait)
            outcome = ended.outcome
        except Ended as error:
            outcome, ended = error.outcome, error
        closing = closed(plan, outcome, asked.admitted)
        closing.subjects_answered = passed.subjects
        closing.records = passed.records
        closing.charged_micro_yuan = passed.fee
        closing.complete = ended is None and passed.complete
        closing.withheld_records = passed.withheld
        closing.elapsed.CopyFrom(_duration(self._monotonic() - started))
        if ended is not None:
            closing.refusal = ended.refusal
            if ended.retry_after is not None:
                closing.retry_delay.CopyFrom(_duration(ended.retry_after))
            closing.charged_before.extend(await self._lost(plan, asked, passed.subjects))
        return closing

    async def _lost(self, plan: Plan, asked: Asked, first: int) -> list[UsageReceipt]:
        """Return the receipts of what the operator was charged before from the subject ``first``
        on, none where they cannot be read: they are asked for again."""
        operator_id = asked.decided.passage.allow.operator_id
        charged_as = region_request_id(operator_id, asked.request.request_id, plan.region)
        try:
            found = await asyncio.to_thread(self._charged_before, operator_id, charged_as, first)
        except (SQLAlchemyError, LookupError) as error:
            _log.error("what was charged before cannot be read: %s", failure_kind(error))
            return []
        return [UsageReceipt.FromString(receipt) for receipt in found]

    async def _ask(self, plan: Plan, asked: Asked, emit: Emit, passed: _Passed) -> None:
        region = self._book.region(plan.region)
        self._witnesses.require_trusted(region)
        if not plan.subjects:
            # It did not stand when the question was planned; it is not asked half-way.
            raise not_trusted()
        question = self._question(region, plan, asked)
        own_items = {there: here for here, there in plan.translation.pairs}
        budget = Budget(asked.deadline, self._monotonic)
        operator_id = asked.decided.passage.allow.operator_id
        ordering = Ordering(plan, asked, question, own_items, budget)
        while passed.subjects < len(plan.subjects):
            order = self._orderer.ordered(ordering, Place(passed.subjects, passed.chunks))
            verified, given = await self._orders.result(operator_id, budget, order)
            if given.left is not None:
                asked.left.found(given.left, given.limits)
            for step in _steps(plan.region, verified, own_items, given.receipt):
                await emit(step)
            passed.chunks += 1
            passed.subjects = verified.chunk.first + verified.chunk.subject_count
            passed.records += len(verified.chunk.records)
            passed.fee += given.receipt.charged_micro_yuan
            passed.complete &= verified.chunk.complete
            passed.withheld += verified.chunk.withheld

    def _question(self, region: Region, plan: Plan, asked: Asked) -> Question:
        request, allow = asked.request, asked.decided.passage.allow
        consent = asked.decided.consent
        items = [there for _, there in plan.translation.pairs]
        query = QueryRecordsRequest(
            asking_region=self._own.entity_id,
            licence_credential=self._credentials.of(allow.operator_id, allow.licence),
            subjects=[request.subjects[index] for index in plan.subjects],
            items=items,
            mapping_version=str(plan.translation.version),
            purpose=request.purpose,
            consent_receipt=consent.receipt if consent is not None else "",
            request_id=region_request_id(allow.operator_id, request.request_id, region.entity_id),
            asking_decision_id=DECISION + asked.admitted.decision_id,
        )
        if plan.proof:
            query.proof = ProofKind.ValueType(plan.proof)
        elif consent is not None and not (
            ALL_REGIONS in consent.terms.regions and ALL_REGIONS in plan.reach
        ):
            # What such a consent leaves out cannot be told of, so neither that there is no more.
            query.proof = ProofKind.PROOF_KIND_INCLUSION
        details: dict[str, Any] = {
            "type": TYPE,
            "items": sorted(items),
            "purposes": [PURPOSE_NAMES[request.purpose]],
            "regions": sorted(plan.reach),
        }
        name = "" if consent is None else consent_elsewhere(self._issuer, consent.name)
        sent = SentPlan(
            allow.operator_id,
            request.request_id,
            region.entity_id,
            query.request_id,
            subject_bits(plan.subjects),
            subjects_digest(query.subjects),
            json.dumps(plan.translation.pairs, ensure_ascii=False),
            plan.translation.version,
            query.proof or ProofKind.PROOF_KIND_COMPLETE,
            plan.directory_time,
            self._clock.now(),
        )
        return Question(region, query, name, details, sent, _opened(plan, asked.decided))


def _opened(plan: Plan, decided: Decided) -> dict[str, frozenset[str]]:
    """Return, by item there, the fields that the consent relied on opens of what is had under it."""
    if decided.consent is None:
        return {}
    opened = decided.consent.terms.fields_by_item
    return {
        there: opened.get(here, frozenset())
        for here, there in plan.translation.pairs
        if here in decided.passage.consent_items
    }


def closed(plan: Plan, outcome: RegionOutcome.ValueType, admitted: Admitted) -> RegionClosing:
    """Return the closing statement of a region, without what was passed on."""
    return RegionClosing(
        region=plan.region,
        outcome=outcome,
        not_asked=plan.not_asked,
        decision=DECISION + admitted.decision_id,
    )


def _steps(
    region: str, verified: Verified, own_items: Mapping[str, str], receipt: Receipt
) -> Iterator[bytes]:
    """Yield the steps that pass a chunk on, in the bytes that were verified."""
    items = [own_items[record.item] for record in verified.chunk.records]
    start, last = 0, len(verified.parts) - 1
    for number, (part, count) in enumerate(zip(verified.parts, verified.chunk.counts, strict=True)):
        whole = RegionPart(items=items[start : start + count])
        if number == last:
            whole.receipt.CopyFrom(receipt)
        start += count
        yield field(
            _PART,
            RegionPart(region=region).SerializeToString()
            + field(_ANSWER, part)
            + whole.SerializeToString(deterministic=True),
        )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(max(0, int(seconds * 1e9)))
    return duration
