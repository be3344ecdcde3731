"""CreditRecordService: authorise → disclose → meter → respond, for one ask or many.

Authentication is done before; each step here is one call into its own module.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    GetRecordRequest,
    GetSubjectRecordsRequest,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authenticate.caller import Caller
from gateway.authorise.gate import Gate, Passage
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.disclose.lookup import DisclosureLookup, Found
from gateway.disclose.model import Line
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.model import Charged, NotCharged, Replayed, UsageClaim, pack_entries
from gateway.respond.answer import (
    Selection,
    Served,
    UnknownLine,
    answer_bytes,
    select_served,
)
from gateway.respond.batch import check_subjects, chunk_tail, parts_of
from gateway.respond.request import (
    common_faults,
    payload_digest,
    record_id_of,
    require_subject,
)
from operators.rules import Ask

SCOPE: Final = "credit.records:read"
_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """Sizes the record calls keep to: bytes of one answer, subjects of one batch,
    subjects of one chunk, seconds a request id answers retries."""

    answer_bytes: int
    batch_subjects: int
    chunk_subjects: int
    replay_seconds: int


@dataclass(frozen=True, slots=True)
class _Use:
    """What stays the same over all chunks of one call."""

    caller: Caller
    ask: Ask
    request_id: str
    purpose: Purpose.ValueType
    consent: str
    digest: bytes


class CreditRecordService:
    """Serves operators the records they may have."""

    def __init__(
        self,
        *,
        feed: AuthorityFeed,
        gate: Gate,
        lookup: DisclosureLookup,
        committer: GroupCommitter,
        decisions: DecisionIds,
        clock: Clock,
        limits: RecordLimits,
    ) -> None:
        self._feed = feed
        self._gate = gate
        self._lookup = lookup
        self._committer = committer
        self._decisions = decisions
        self._clock = clock
        self._limits = limits
        self._lines: dict[int, Line] = {}

    async def get_subject_records(self, request: GetSubjectRecordsRequest, caller: Caller) -> bytes:
        """Answer GetSubjectRecords; raises Refused."""
        subject = request.subject
        require_subject(subject, common_faults(request.request_id, request.items, request.consent))
        use = _use(caller, request, frozenset(request.items))
        subjects = (subject,)
        for _ in range(_ATTEMPTS):
            passage = self._passage(use)
            found = await self._lookup.of_subject(subject)
            served = await self._serve(use, passage, found, subjects, 0)
            if served is not None:
                selection, receipt = served
                self._require_size(selection)
                return answer_bytes(selection.frames, receipt)
        raise _changing()

    async def get_record(self, request: GetRecordRequest, caller: Caller) -> bytes:
        """Answer GetRecord; raises Refused, RECORD_NOT_DISCLOSED for all that is not served."""
        record_id = record_id_of(
            request.name, common_faults(request.request_id, (), request.consent)
        )
        use = _use(caller, request, frozenset())
        for _ in range(_ATTEMPTS):
            passage = self._passage(use)
            found = await self._lookup.of_record(record_id)
            subjects = tuple(revision[0] for revision in found.revisions)
            served = await self._serve(use, passage, found, subjects, 0, empty_allowed=False)
            if served is not None:
                selection, receipt = served
                return answer_bytes(selection.frames, receipt)
        raise _changing()

    async def batch_get_subject_records(
        self, request: BatchGetSubjectRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        """Answer BatchGetSubjectRecords chunk by chunk; raises Refused."""
        size = self._limits.chunk_subjects
        start = request.resume_from
        subjects: Sequence[str] = request.subjects
        await check_subjects(
            subjects,
            common_faults(request.request_id, request.items, request.consent),
            most=self._limits.batch_subjects,
            resume_from=start,
            chunk=size,
        )
        request.ClearField("resume_from")
        use = _use(caller, request, frozenset(request.items))
        for first in range(start, len(subjects), size):
            chunk = tuple(subjects[first : first + size])
            selection, served = await self._serve_chunk(use, chunk, first // size)
            parts = parts_of(selection.frames, self._limits.answer_bytes)
            for part in parts[:-1]:
                tail = chunk_tail(first, len(chunk), complete=False)
                yield answer_bytes(part, served.uncharged(), tail)
            yield answer_bytes(parts[-1], served, chunk_tail(first, len(chunk), complete=True))

    async def _serve_chunk(
        self, use: _Use, chunk: tuple[str, ...], number: int
    ) -> tuple[Selection, Served]:
        for _ in range(_ATTEMPTS):
            passage = self._passage(use)
            found = await self._lookup.of_subjects(chunk)
            served = await self._serve(use, passage, found, chunk, number)
            if served is not None:
                return served
        raise _changing()

    def _passage(self, use: _Use) -> Passage:
        return self._gate.passage(self._feed.current(), self._lines, use.ask, self._clock.now())

    async def _serve(
        self,
        use: _Use,
        passage: Passage,
        found: Found,
        subjects: tuple[str, ...],
        chunk: int,
        *,
        empty_allowed: bool = True,
    ) -> tuple[Selection, Served] | None:
        """Meter what may be served; None when it changed meanwhile and must be read again."""
        now = self._clock.now()
        try:
            selection = select_served(
                self._consented(use, passage, found, subjects, now), passage, now
            )
        except UnknownLine:
            self._lines = await self._lookup.lines()
            return None
        if not selection.sequences and not empty_allowed:
            raise _not_disclosed()
        claim = self._claim(use, passage, found.head, subjects, chunk, selection, now)
        match await self._committer.charge(claim):
            case Charged(fee):
                return selection, _served(claim, claim.decision_id, selection, fee, replayed=False)
            case Replayed(decision_id):
                return selection, _served(claim, decision_id, selection, 0, replayed=True)
            case NotCharged(reason, retry_after):
                raise _not_charged(reason, retry_after)
            case _:
                return None

    def _consented(
        self,
        use: _Use,
        passage: Passage,
        found: Found,
        subjects: tuple[str, ...],
        now: int,
    ) -> Sequence[tuple[str, int, int, int, int, bytes]]:
        if not passage.consent_items:
            return found.revisions
        withheld = {
            subject: self._gate.withheld(passage, subject, use.consent, use.purpose, now)
            for subject in subjects
        }
        return [row for row in found.revisions if row[2] not in withheld[row[0]]]

    def _claim(
        self,
        use: _Use,
        passage: Passage,
        head: int,
        subjects: tuple[str, ...],
        chunk: int,
        selection: Selection,
        now: int,
    ) -> UsageClaim:
        allow = passage.allow
        return UsageClaim(
            operator_id=allow.operator_id,
            client_id=use.caller.client_id,
            request_id=use.request_id,
            chunk=chunk,
            payload_digest=use.digest,
            licence=allow.licence,
            consent=use.consent,
            purpose=use.purpose,
            decision_id=self._decisions.next(),
            served_at=now,
            disclosure_sequence=head,
            subjects=subjects,
            entries=pack_entries(selection.sequences),
            lines=selection.lines,
            daily_quota=allow.daily_record_quota,
            replay_seconds=self._limits.replay_seconds,
        )

    def _require_size(self, selection: Selection) -> None:
        if sum(map(len, selection.frames)) > self._limits.answer_bytes:
            raise Refused(
                RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE,
                "The answer would pass the size of one message; name fewer items, or ask by"
                " BatchGetSubjectRecords.",
            )


def _use(
    caller: Caller,
    request: GetSubjectRecordsRequest | BatchGetSubjectRecordsRequest | GetRecordRequest,
    items: frozenset[str],
) -> _Use:
    return _Use(
        caller=caller,
        ask=Ask(
            client_id=caller.client_id,
            scope=SCOPE,
            token_scopes=caller.token_scopes,
            items=items,
            purpose=request.purpose,
        ),
        request_id=request.request_id,
        purpose=request.purpose,
        consent=request.consent,
        digest=payload_digest(caller.client_id, request),
    )


def _served(
    claim: UsageClaim, decision_id: str, selection: Selection, fee: int, *, replayed: bool
) -> Served:
    return Served(
        decision_id=decision_id,
        served_at=claim.served_at,
        usable_until=selection.usable_until,
        disclosure_sequence=claim.disclosure_sequence,
        charged_entries=0 if replayed else claim.entry_count,
        fee=fee,
        replayed=replayed,
    )


def _not_charged(reason: RefusalReason.ValueType, retry_after: int) -> Refused:
    messages = {
        RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED: (
            "The licence's daily quota of records does not cover this answer; it starts anew"
            " at 00:00 UTC."
        ),
        RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED: (
            "request_id was used before, with another payload or too long ago to be a retry;"
            " use a fresh one."
        ),
        RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED: (
            "The disclosure has changed since this request_id was metered; ask anew with a"
            " fresh one."
        ),
    }
    return Refused(reason, messages[reason], retry_after=retry_after or None)


def _changing() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_DISCLOSURE_CHANGING,
        "The disclosure kept changing while the answer was prepared; try again with the same"
        " request_id.",
        retry_after=1,
    )


def _not_disclosed() -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RECORD_NOT_DISCLOSED,
        "No such record is disclosed to you now.",
    )
