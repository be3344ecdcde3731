"""CreditRecordService: authorise → disclose → meter → respond, for one ask or many.

Authentication is done before; each step here is one call into its own module.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    GetRecordRequest,
    GetSubjectRecordsRequest,
)
from gateway.authenticate.caller import Caller
from gateway.authenticate.token import require_standing
from gateway.authorise.bounds import (
    Bounds,
    Ground,
    record_bounds,
    subject_bounds,
)
from gateway.authorise.gate import Gate, Passage
from gateway.authority.feed import AuthorityFeed
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.disclose.lookup import DisclosureLookup, Found
from gateway.disclose.model import Line, LiveRevision
from gateway.meter.committer import GroupCommitter
from gateway.meter.decisions import DecisionIds
from gateway.meter.model import (
    Charged,
    NotCharged,
    Replayed,
    UsageClaim,
    pack_entries,
)
from gateway.respond.answer import (
    Selection,
    Served,
    UnknownLine,
    answer_bytes,
    require_prices,
    select_served,
)
from gateway.respond.batch import check_covered, check_subjects, chunk_tail, parts_of
from gateway.respond.refusals import changing, not_charged, require_size
from gateway.respond.request import (
    common_faults,
    payload_digest,
    record_id_of,
    require_subject,
)
from gateway.respond.use import Use
from gateway.telemetry.traces import step
from operators.rules import Ask

SCOPE: Final = "credit.records:read"
_ATTEMPTS: Final = 8
# How long an answer may wait to be metered before authority, disclosure and period are
# looked at again: so that a store that is slow does not stretch what was true before.
_GOOD_SECONDS: Final = 2
# More than a receipt and the tail of a chunk can take.
_RECEIPT_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """Sizes the record calls keep to: bytes of one message, subjects of one batch,
    subjects of one chunk, seconds a request id answers retries."""

    answer_bytes: int
    batch_subjects: int
    chunk_subjects: int
    replay_seconds: int


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
        self._record_bytes = limits.answer_bytes - _RECEIPT_BYTES
        self._lines: dict[int, Line] = {}

    async def get_subject_records(self, request: GetSubjectRecordsRequest, caller: Caller) -> bytes:
        """Answer GetSubjectRecords; raises Refused."""
        subject = request.subject
        require_subject(subject, common_faults(request.request_id, request.items, request.consent))
        use = _use(caller, request, frozenset(request.items), most_bytes=self._record_bytes)
        selection, served = await self._serve(
            use, (subject,), 0, partial(self._lookup.of_subject, subject)
        )
        return answer_bytes(selection.frames, served)

    async def get_record(self, request: GetRecordRequest, caller: Caller) -> bytes:
        """Answer GetRecord; raises Refused, RECORD_NOT_DISCLOSED for all that is not served."""
        record_id = record_id_of(
            request.name, common_faults(request.request_id, (), request.consent)
        )
        use = _use(
            caller,
            request,
            frozenset(),
            answer_may_be_empty=False,
            most_bytes=self._record_bytes,
        )
        selection, served = await self._serve(
            use, None, 0, partial(self._lookup.of_record, record_id)
        )
        return answer_bytes(selection.frames, served)

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
        await check_covered(subjects, caller.details, request.consent)
        request.ClearField("resume_from")
        use = _use(caller, request, frozenset(request.items), chunk_size=size)
        for first in range(start, len(subjects), size):
            chunk = tuple(subjects[first : first + size])
            read = partial(self._lookup.of_subjects, chunk)
            selection, served = await self._serve(use, chunk, first // size, read)
            parts = parts_of(selection.frames, self._record_bytes)
            for part in parts[:-1]:
                tail = chunk_tail(first, len(chunk), complete=False)
                yield answer_bytes(part, served.uncharged(), tail)
            yield answer_bytes(parts[-1], served, chunk_tail(first, len(chunk), complete=True))

    async def _serve(
        self,
        use: Use,
        subjects: tuple[str, ...] | None,
        chunk: int,
        read: Callable[[], Awaitable[Found]],
    ) -> tuple[Selection, Served]:
        """Return what may be served, metered; ``subjects`` None: those of what is found.

        All is decided for one instant. Where the ledger finds that something has changed
        since, it is decided anew, for a later one.
        """
        for _ in range(_ATTEMPTS):
            now = self._clock.now()
            view = self._feed.current()
            require_standing(use.revocable, view.revocations)
            bounds = None
            if use.details:
                bounds = self._bounds(use, Ground(view, self._lines, now), subjects)
                passage = bounds.passage
            else:
                passage = self._gate.passage(view, self._lines, use.ask, now)
            require_prices(passage)
            step("authorised")
            found = await read()
            step("disclosed")
            if bounds is not None:
                passage, within = bounds.applied(found.revisions)
                found = found._replace(revisions=within)
            try:
                selection = select_served(
                    self._consented(use, passage, found, subjects, now), passage, now
                )
            except UnknownLine:
                await self._read_lines()
                continue
            if use.most_bytes is not None:
                require_size(selection, use.most_bytes)
            claim = self._claim(use, passage, found.head, chunk, selection, now)
            outcome = await self._committer.charge(claim)
            step("metered")
            match outcome:
                case Charged(fee):
                    return selection, _served(claim, selection, fee)
                case Replayed(decision_id):
                    return selection, _replayed(claim, selection, decision_id)
                case NotCharged(reason, retry_after):
                    raise not_charged(reason, retry_after)
                case _:
                    pass
        raise changing()

    def _bounds(self, use: Use, ground: Ground, subjects: tuple[str, ...] | None) -> Bounds:
        if subjects is None:
            return record_bounds(self._gate, ground, use.ask, use.details, use.consent)
        return subject_bounds(self._gate, ground, use.ask, use.details, subjects, use.consent)

    async def _read_lines(self) -> None:
        lines = await self._lookup.lines()
        # Calls that met the same new line read it one after the other; passages are
        # remembered for the object, so only the first of them changes it.
        if lines != self._lines:
            self._lines = lines

    def _consented(
        self,
        use: Use,
        passage: Passage,
        found: Found,
        subjects: tuple[str, ...] | None,
        now: int,
    ) -> Sequence[LiveRevision]:
        if not passage.consent_items:
            return found.revisions
        # Those asked for, found or not: a refusal must not tell who has records.
        withheld = {
            subject: self._gate.withheld(passage, subject, use.consent, use.purpose, now)
            for subject in subjects or {row[0] for row in found.revisions}
        }
        return [row for row in found.revisions if row[2] not in withheld[row[0]]]

    def _claim(
        self,
        use: Use,
        passage: Passage,
        head: int,
        chunk: int,
        selection: Selection,
        now: int,
    ) -> UsageClaim:
        allow = passage.allow
        return UsageClaim(
            operator_id=allow.operator_id,
            client_id=use.ask.client_id,
            request_id=use.request_id,
            chunk=chunk,
            payload_digest=use.digest,
            licence=allow.licence,
            consent=use.consent,
            purpose=use.purpose,
            decision_id=self._decisions.next(),
            served_at=now,
            disclosure_sequence=head,
            entries=pack_entries(selection.sequences),
            lines=selection.lines,
            daily_quota=allow.daily_record_quota,
            replay_seconds=self._limits.replay_seconds,
            good_until=min(now + _GOOD_SECONDS, selection.usable_until, allow.stands_until),
            may_be_empty=use.answer_may_be_empty,
            stands=self._standing(passage.view, use.revocable),
        )

    def _standing(self, view: AuthorityView, revocable: frozenset[str]) -> Callable[[], bool]:
        """Return what tells whether an answer decided by ``view`` may still be given.

        It holds nothing of the claim: a cycle would keep the answer until the collector comes.
        """
        holds, task = self._feed.holds, asyncio.current_task()
        assert task is not None, "answers are made by calls"
        return lambda: holds(view, revocable) and not task.cancelling()


def _use(
    caller: Caller,
    request: GetSubjectRecordsRequest | BatchGetSubjectRecordsRequest | GetRecordRequest,
    items: frozenset[str],
    *,
    answer_may_be_empty: bool = True,
    most_bytes: int | None = None,
    chunk_size: int = 1,
) -> Use:
    return Use(
        ask=Ask(
            client_id=caller.client_id,
            scope=SCOPE,
            token_scopes=caller.token_scopes,
            items=items,
            purpose=request.purpose,
        ),
        details=caller.details,
        revocable=caller.revocable,
        request_id=request.request_id,
        purpose=request.purpose,
        consent=request.consent,
        digest=payload_digest(caller.client_id, request, chunk_size),
        answer_may_be_empty=answer_may_be_empty,
        most_bytes=most_bytes,
    )


def _served(claim: UsageClaim, selection: Selection, fee: int) -> Served:
    return Served(
        decision_id=claim.decision_id,
        served_at=claim.served_at,
        usable_until=selection.usable_until,
        disclosure_sequence=claim.disclosure_sequence,
        charged_entries=claim.entry_count,
        fee=fee,
        replayed=False,
    )


def _replayed(claim: UsageClaim, selection: Selection, decision_id: str) -> Served:
    return _served(claim, selection, 0)._replace(
        decision_id=decision_id, charged_entries=0, replayed=True
    )
