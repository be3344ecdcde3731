"""TraceConsent: what became of a consent, and every use made under it, in order (G7)."""

import asyncio
from collections.abc import Iterator
from heapq import merge
from itertools import chain, islice
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from consent.model import Consent, ConsentChange
from consent.queries import Removal
from consent.sql import SqlConsents
from consent.states import FINAL
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import RemovalAcknowledgement
from creditgate.v1.usage_service_pb2 import UsageEntry
from gateway.authenticate.caller import Caller
from gateway.consents.accesses import Access, Accesses, Period
from gateway.consents.listing import TraceAsked, trace_asked
from gateway.consents.message import MOST_HISTORY, ConsentMessages, event_message
from gateway.consents.request import unknown_consent

_BEGINS, _USED, _ENDS = range(3)


class _Step(NamedTuple):
    # Of what happens in one second, uses come before the end.
    at: int
    rank: int
    change: ConsentChange | None = None
    use: Access | None = None
    removal: Removal | None = None


class TraceService:
    """The methods of AuditService that are about consents, for administrators."""

    def __init__(
        self, consents: SqlConsents, messages: ConsentMessages, accesses: Accesses
    ) -> None:
        self._consents = consents
        self._messages = messages
        self._accesses = accesses

    async def trace_consent(
        self, request: pb.TraceConsentRequest, caller: Caller
    ) -> pb.TraceConsentResponse:
        """Answer TraceConsent; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        del caller  # administrators trace every consent
        return await asyncio.to_thread(self._trace, trace_asked(request))

    def _trace(self, asked: TraceAsked) -> pb.TraceConsentResponse:
        consent = self._consents.get(asked.consent_id)
        if consent is None:
            raise unknown_consent()
        change, use = asked.after_change, asked.after_use
        uses = self._accesses.under_consent(
            consent, period=asked.period, after=use, limit=asked.page_size + 1
        )
        happened = merge(
            self._changes(consent, asked),
            (_Step(each.served_at, _USED, use=each) for each in uses),
            key=_when,
        )
        # Nothing comes after that copies are gone, so pages need not remember it.
        steps = chain(happened, self._removal(consent, asked.period))
        response = pb.TraceConsentResponse(consent=self._messages.of(consent))
        for step in islice(steps, asked.page_size):
            response.steps.append(_message_of(step))
            change = change if step.change is None else step.change.sequence
            use = use if step.use is None else step.use.place
        if next(steps, None) is not None:
            response.next_page_token = asked.token(change, use)
        return response

    def _changes(self, consent: Consent, asked: TraceAsked) -> Iterator[_Step]:
        after = asked.after_change
        while some := self._consents.changes(
            after=after, consent_id=consent.consent_id, limit=MOST_HISTORY
        ):
            for change in some:
                if _within(asked.period, change.at):
                    rank = _ENDS if change.state in FINAL else _BEGINS
                    yield _Step(change.at, rank, change=change)
            after = some[-1].sequence

    def _removal(self, consent: Consent, period: Period) -> Iterator[_Step]:
        removal = self._consents.removals([consent.consent_id]).get(consent.consent_id)
        at = None if removal is None else removal.acknowledged_at
        if at is not None and _within(period, at):
            yield _Step(at, _ENDS, removal=removal)


def _when(step: _Step) -> tuple[int, int]:
    return step.at, step.rank


def _within(period: Period, at: int) -> bool:
    return (period.from_ is None or period.from_ <= at) and (
        period.until is None or at < period.until
    )


def _message_of(step: _Step) -> pb.TraceStep:
    message = pb.TraceStep(step_time=Timestamp(seconds=step.at))
    if step.change is not None:
        message.consent.CopyFrom(event_message(step.change))
    if step.use is not None:
        message.usage.CopyFrom(_usage_message(step.use))
    if step.removal is not None:
        message.removal.CopyFrom(_removal_message(step.removal))
    return message


def _removal_message(removal: Removal) -> pb.RemovalTrace:
    message = pb.RemovalTrace(
        operator_id=removal.operator_id,
        removal=RemovalAcknowledgement(consent=f"consents/{removal.consent_id}"),
    )
    if removal.removed_at is not None:
        message.removal.remove_time.seconds = removal.removed_at
    return message


def _usage_message(use: Access) -> UsageEntry:
    return UsageEntry(
        name=use.usage_name,
        client_id=use.client_id,
        request_id=use.request_id,
        record=f"records/{use.record_id}",
        revision=use.revision,
        item=use.item,
        source=use.source,
        region=use.region,
        purpose=use.purpose,
        licence=use.licence,
        consent=use.consent,
        serve_time=Timestamp(seconds=use.served_at),
        fee_micro_yuan=use.fee,
        decision_id=use.decision_id,
    )
