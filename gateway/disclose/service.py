"""DisclosureService: the publisher's feed, and the changes that end or replace records."""

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from hashlib import sha256
from typing import Final, Protocol

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.catalogue.admission import AdmissionRules, Admitted
from gateway.catalogue.model import CatalogueBook
from gateway.catalogue.rejection import Rejection, RejectionReason
from gateway.clock import Clock
from gateway.disclose.model import Batch, BatchOutcome, Correction, Ended, rejected
from gateway.disclose.request import record_id_of, require_batch
from gateway.disclose.store import DisclosureStore, Permit
from operators.authority import Authority
from operators.rules import require_call

PUBLISH: Final = "disclosure:publish"
CORRECT: Final = "disclosure:correct"
REPAIR: Final = "disclosure:repair"
WITHDRAW: Final = "disclosure:withdraw"
MOST_REJECTIONS: Final = 1_000
# What a correction can change; the rest stays as published.
_CORRECTED: Final = ("content", "severity", "disclosed_from", "disclosed_until")


class DisclosureView(Protocol):
    """What is needed of a view of authority."""

    @property
    def authority(self) -> Authority:
        """Clients and their grants."""
        ...

    @property
    def catalogue(self) -> CatalogueBook:
        """What may be disclosed."""
        ...


class DisclosureFeed(Protocol):
    """What is needed of the authority feed."""

    def current(self) -> DisclosureView:
        """Return the view; raises Refused AUTHORITY_UNKNOWN when it is too old."""
        ...


def _nobody() -> None:
    """Tell nobody."""


class DisclosureService:
    """Publishes, corrects, repairs and withdraws records for publishers.

    ``disclosed`` is called after each commit, on the event loop: what follows the disclosure
    may look at once.
    """

    def __init__(
        self,
        store: DisclosureStore,
        feed: DisclosureFeed,
        clock: Clock,
        disclosed: Callable[[], None] = _nobody,
    ) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._disclosed = disclosed
        self._catalogue = CatalogueBook.empty()
        self._rules = AdmissionRules(self._catalogue)
        # The store's writers queue anyway: let one thread of this process wait, not many.
        self._turn = asyncio.Lock()

    async def publish_records(
        self, requests: AsyncIterable[pb.PublishRecordsRequest], caller: Caller
    ) -> pb.PublishRecordsResponse:
        """Answer PublishRecords: each batch is committed before the next is read.

        A stream may be long, so each batch is judged by the authority and the catalogue
        of its own moment (G4). Raises Refused; batches before that stay committed.
        """
        answer = pb.PublishRecordsResponse()
        async for request in requests:
            require_batch(request)
            async with self._turn:
                rules, now = self._present_rules(), self._clock.now()
                outcome = await asyncio.to_thread(self._take, request, rules, caller, now)
            self._disclosed()
            _add(answer, outcome)
        answer.disclosure_sequence = await asyncio.to_thread(self._store.head)
        return answer

    async def correct_record(
        self, request: pb.CorrectRecordRequest, caller: Caller
    ) -> pb.CorrectRecordResponse:
        """Answer CorrectRecord.

        Raises Refused INVALID_REQUEST, also for what admission rejects,
        RESOURCE_NOT_FOUND, ETAG_MISMATCH and STATE_CONFLICT.
        """
        record_id = record_id_of(request)
        async with self._turn:
            record = await asyncio.to_thread(
                self._correct,
                record_id,
                request,
                self._present_rules(),
                caller,
                self._clock.now(),
            )
        self._disclosed()
        return pb.CorrectRecordResponse(record=record)

    async def repair_record(
        self, request: pb.RepairRecordRequest, caller: Caller
    ) -> pb.RepairRecordResponse:
        """Answer RepairRecord.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_CONFLICT.
        """
        kind = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED
        ended = await self._end(request, kind, request.decision_reference, caller, REPAIR)
        answer = pb.RepairRecordResponse(event_sequence=ended.sequence)
        answer.repair_time.seconds = ended.at
        return answer

    async def withdraw_record(
        self, request: pb.WithdrawRecordRequest, caller: Caller
    ) -> pb.WithdrawRecordResponse:
        """Answer WithdrawRecord; raises Refused as `repair_record`."""
        kind = DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN
        ended = await self._end(request, kind, request.reason, caller, WITHDRAW)
        answer = pb.WithdrawRecordResponse(event_sequence=ended.sequence)
        answer.withdraw_time.seconds = ended.at
        return answer

    def _permit(self, caller: Caller, scope: str) -> Permit:
        """Return what raises Refused unless ``caller`` may use ``scope`` when it is asked."""

        def permit() -> None:
            require_call(
                self._feed.current().authority,
                caller.client_id,
                scope,
                caller.token_scopes,
                self._clock.now(),
            )

        return permit

    def _present_rules(self) -> AdmissionRules:
        catalogue = self._feed.current().catalogue
        if catalogue is not self._catalogue:
            self._catalogue, self._rules = catalogue, AdmissionRules(catalogue)
        return self._rules

    def _take(
        self, request: pb.PublishRecordsRequest, rules: AdmissionRules, caller: Caller, now: int
    ) -> BatchOutcome:
        publisher, permit = caller.client_id, self._permit(caller, PUBLISH)
        permit()
        digest = sha256(request.SerializeToString(deterministic=True)).digest()
        earlier = self._store.earlier_outcome(publisher, request.batch_id, digest)
        if earlier is not None:
            return earlier
        admitted: list[tuple[int, Admitted]] = []
        rejections: list[pb.RejectedRecord] = []
        outcomes = [rules.admit(draft, now) for draft in request.records]
        self._keep_regions(request.records, outcomes, rules, now)
        for index, (draft, outcome) in enumerate(zip(request.records, outcomes, strict=True)):
            if isinstance(outcome, Admitted):
                admitted.append((index, outcome))
            else:
                rejections.append(rejected(request.batch_id, index, draft.record_id, outcome))
        batch = Batch(publisher, request.batch_id, digest, tuple(admitted), tuple(rejections))
        return self._store.commit_batch(batch, now, permit=permit)

    def _keep_regions(
        self,
        drafts: Sequence[pb.RecordDraft],
        outcomes: list[Admitted | Rejection],
        rules: AdmissionRules,
        now: int,
    ) -> None:
        """Judge anew the drafts of records that are disclosed with a region no new one may have:
        what is loaded again as it was is unchanged."""
        refused = [at for at, outcome in enumerate(outcomes) if _is_of_region(outcome)]
        if not refused:
            return
        regions = self._store.regions([drafts[at].record_id for at in refused])
        for at in refused:
            region = regions.get(drafts[at].record_id, "")
            outcomes[at] = rules.admit(drafts[at], now, kept_region=region)

    def _correct(
        self,
        record_id: str,
        request: pb.CorrectRecordRequest,
        rules: AdmissionRules,
        caller: Caller,
        now: int,
    ) -> DisclosedRecord:
        stored = self._store.record(record_id)
        outcome = rules.admit(
            _corrected(record_id, stored.record, request),
            now,
            stored.first_start,
            stored.record.region,
        )
        if isinstance(outcome, Rejection):
            raise _not_admitted(outcome)
        correction = Correction(outcome, request.expected_revision, request.reason)
        permit = self._permit(caller, CORRECT)
        return self._store.correct(correction, caller.client_id, now, permit=permit)

    async def _end(
        self,
        request: pb.RepairRecordRequest | pb.WithdrawRecordRequest,
        kind: DisclosureEventKind.ValueType,
        note: str,
        caller: Caller,
        scope: str,
    ) -> Ended:
        record_id = record_id_of(request)
        async with self._turn:
            ended = await asyncio.to_thread(
                self._store.end,
                record_id,
                request.expected_revision,
                kind,
                note,
                caller.client_id,
                self._clock.now(),
                permit=self._permit(caller, scope),
            )
        self._disclosed()
        return ended


def _is_of_region(outcome: Admitted | Rejection) -> bool:
    return isinstance(outcome, Rejection) and outcome.reason is RejectionReason.REGION_INVALID


def _add(answer: pb.PublishRecordsResponse, outcome: BatchOutcome) -> None:
    """Count a batch. What a skipped one published then is already disclosed now, so that
    published, unchanged and rejected together are always the records sent."""
    if outcome.skipped:
        answer.skipped_batches += 1
        answer.unchanged_records += outcome.published + outcome.unchanged
    else:
        answer.committed_batches += 1
        answer.published_records += outcome.published
        answer.unchanged_records += outcome.unchanged
    answer.rejected_records += len(outcome.rejections)
    answer.rejections.extend(outcome.rejections[: MOST_REJECTIONS - len(answer.rejections)])


def _corrected(
    record_id: str, present: DisclosedRecord, request: pb.CorrectRecordRequest
) -> pb.RecordDraft:
    draft = pb.RecordDraft(
        record_id=record_id,
        subject=present.subject,
        item=present.item,
        source=present.source,
        region=present.region,
        severity=request.severity or present.severity,
        content=request.content,
    )
    for period in (present, request):
        if period.HasField("disclosed_from"):
            draft.disclosed_from.CopyFrom(period.disclosed_from)
        if period.HasField("disclosed_until"):
            draft.disclosed_until.CopyFrom(period.disclosed_until)
    return draft


def _not_admitted(rejection: Rejection) -> Refused:
    reason = rejection.reason
    if rejection.field.split(".")[0] not in _CORRECTED:
        return Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            f"The catalogue no longer allows this record ({reason.name}): withdraw it, or have"
            " the catalogue item changed.",
            metadata={"rejection": reason.name},
        )
    refused = invalid(Violation(rejection.field, reason.value))
    refused.metadata["rejection"] = reason.name
    return refused
