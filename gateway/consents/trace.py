"""TraceConsent: what became of a consent, every decision about it, and every use made under
it, in order (G7)."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from consent.model import Consent, ConsentChange
from consent.removals import Removal
from consent.sql import SqlConsents
from consent.states import FINAL
from creditgate.v1 import audit_service_pb2 as pb
from gateway.authenticate.caller import Caller
from gateway.consents.access import Access, Answered, Period, Place
from gateway.consents.accesses import Accesses
from gateway.consents.listing import TraceAsked, TracePlace, trace_asked
from gateway.consents.message import (
    MOST_HISTORY,
    ConsentMessages,
    again_message,
    event_message,
)
from gateway.consents.refused import RefusedCall, RefusedCalls
from gateway.consents.request import unknown_consent
from gateway.consents.trace_message import (
    acknowledged_message,
    allowed_message,
    credited_message,
    refused_message,
    usage_message,
)
from gateway.shares import Shares

# Of what happens in one second: what was served comes before the end, what was refused after.
_BEGINS, _USED, _ENDS, _REFUSED, _REMOVED = range(5)
_What = ConsentChange | Answered | Access | RefusedCall | Removal


class _Step(NamedTuple):
    at: int
    rank: int
    what: _What


class TraceService:
    """The methods of AuditService that are about consents, for administrators."""

    def __init__(
        self,
        consents: SqlConsents,
        messages: ConsentMessages,
        accesses: Accesses,
        refused: RefusedCalls,
        reads: Shares,
    ) -> None:
        self._consents = consents
        self._messages = messages
        self._accesses = accesses
        self._refused = refused
        self._reads = reads

    async def trace_consent(
        self, request: pb.TraceConsentRequest, caller: Caller
    ) -> pb.TraceConsentResponse:
        """Answer TraceConsent, whoever the administrator is; raises Refused INVALID_REQUEST,
        RESOURCE_NOT_FOUND, RATE_EXCEEDED."""
        return await self._reads.run(caller.client_id, self._trace, trace_asked(request))

    def _trace(self, asked: TraceAsked) -> pb.TraceConsentResponse:
        consent = self._consents.get(asked.consent_id)
        if consent is None:
            raise unknown_consent()
        steps = merge(
            self._changes(consent, asked),
            self._answers(consent, asked),
            self._refusals(consent, asked),
            self._removals(consent, asked),
            key=_when,
        )
        response = pb.TraceConsentResponse(consent=self._messages.whole(consent))
        place = asked.after
        for step in islice(steps, asked.page_size):
            response.steps.append(_message_of(step, consent))
            place = _after(place, step.what)
        if next(steps, None) is not None:
            response.next_page_token = asked.token(place)
        return response

    def _changes(self, consent: Consent, asked: TraceAsked) -> Iterator[_Step]:
        after = asked.after.change
        while some := self._consents.changes(
            after=after, consent_id=consent.consent_id, limit=MOST_HISTORY
        ):
            for change in some:
                if _within(asked.period, change.at):
                    rank = _ENDS if change.state in FINAL else _BEGINS
                    yield _Step(change.at, rank, change)
            after = some[-1].sequence

    def _answers(self, consent: Consent, asked: TraceAsked) -> Iterator[_Step]:
        """Yield each answer, and behind it the records it held under the consent."""
        sequence, number = asked.after.answer
        answers = self._accesses.answers(
            consent, period=asked.period, after=sequence, limit=asked.page_size + 1
        )
        uses = self._accesses.under_consent(
            consent,
            period=asked.period,
            after=Place(sequence, number - 1),
            limit=asked.page_size + 1,
        )
        steps: list[Answered | Access] = [*answers, *uses]
        for step in sorted(steps, key=_place):
            yield _Step(step.served_at, _USED, step)

    def _refusals(self, consent: Consent, asked: TraceAsked) -> Iterator[_Step]:
        for call in self._refused.naming(
            consent.name,
            period=asked.period,
            after=asked.after.refusal,
            limit=asked.page_size + 1,
        ):
            yield _Step(call.at, _REFUSED, call)

    def _removals(self, consent: Consent, asked: TraceAsked) -> Iterator[_Step]:
        """Yield each duty to remove copies that was acknowledged: in the order of their lives,
        which is that of the words."""
        after = asked.after.removal
        while some := self._consents.acknowledged(
            consent.consent_id, after=after, limit=asked.page_size + 1
        ):
            for removal in some:
                at = removal.acknowledged_at
                if at is not None and _within(asked.period, at):
                    yield _Step(at, _REMOVED, removal)
            after = some[-1].life_until


def _when(step: _Step) -> tuple[int, int]:
    return step.at, step.rank


def _place(step: Answered | Access) -> Place:
    """Return where a step stands among answers (`TracePlace.answer`)."""
    if isinstance(step, Answered):
        return Place(step.sequence, 0)
    return Place(step.place.sequence, step.place.number + 1)


def _after(place: TracePlace, told: _What) -> TracePlace:
    match told:
        case ConsentChange():
            return place._replace(change=told.sequence)
        case Answered() | Access():
            return place._replace(answer=_place(told))
        case RefusedCall():
            return place._replace(refusal=told.sequence)
        case Removal():
            return place._replace(removal=told.life_until)


def _within(period: Period, at: int) -> bool:
    return (period.from_ is None or period.from_ <= at) and (
        period.until is None or at < period.until
    )


def _message_of(step: _Step, consent: Consent) -> pb.TraceStep:
    message = pb.TraceStep(step_time=Timestamp(seconds=step.at))
    match step.what:
        case ConsentChange() as change:
            message.consent.CopyFrom(event_message(change))
        case Answered() as answer:
            message.decision.CopyFrom(allowed_message(answer))
        case Access() as use:
            message.usage.CopyFrom(usage_message(use))
            if use.again is not None:
                message.given_again.CopyFrom(again_message(use.again))
            if use.credited is not None:
                message.credited.CopyFrom(credited_message(use.credited))
        case RefusedCall() as call:
            message.decision.CopyFrom(refused_message(call, consent.name))
        case Removal() as removal:
            message.removal.CopyFrom(acknowledged_message(removal))
    return message
