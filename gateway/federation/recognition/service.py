"""RecognitionService, the part of operators: documents of other regions, verified and accepted."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from secrets import token_hex
from typing import Final

from consent.model import Consent
from creditgate.recognition import RECOGNITION_TYPE, RecognitionStatement
from creditgate.refusal import Refused, Violation
from creditgate.signed_document import PURPOSES
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint
from creditgate.v1 import recognition_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.federation.recognition.consented import ConsentedUses
from gateway.federation.recognition.home import HomeRegion
from gateway.federation.recognition.judging import Judged, RecognitionAsk, judged, rule_of
from gateway.federation.recognition.request import (
    Request,
    answer_faults,
    recognition_message,
    report_faults,
    request_digest,
    require_form,
    statement_of,
)
from gateway.federation.recognition.rules import (
    Document,
)
from gateway.federation.recognition.store import MadeRecognition, SqlRecognitions
from gateway.federation.recognition.verifying import (
    grades_of,
    report_of,
    require_current,
    require_disclosed,
)
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.trust.log_keys import log_keys
from gateway.federation.witness.belief import Belief
from gateway.oauth.signing import SigningKeys
from gateway.respond.refusals import changing
from gateway.shares import Shares

_REPORTS: Final = "credit.recognitions:recognise"
_GRADES: Final = "credit.recognitions:grade"
_ATTEMPTS: Final = 4
_PAUSE_SECONDS: Final = 0.5


class RecognitionDesk:
    """The methods of creditgate.v1.RecognitionService that recognise.

    ``issuer`` is this gateway's own URL, whose ``keys`` sign what is recognised.
    """

    def __init__(
        self,
        recognitions: SqlRecognitions,
        book: RegionBook,
        belief: Belief,
        home: HomeRegion,
        uses: ConsentedUses,
        feed: AuthorityFeed,
        keys: SigningKeys,
        issuer: str,
        clock: Clock,
        shares: Shares,
    ) -> None:
        self._recognitions = recognitions
        self._book = book
        self._belief = belief
        self._home = home
        self._uses = uses
        self._feed = feed
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self._shares = shares

    async def recognise_report(
        self, request: pb.RecogniseReportRequest, caller: Caller
    ) -> pb.RecogniseReportResponse:
        """Answer RecogniseReport.

        Raises Refused INVALID_REQUEST for what is no report of the region, STATE_CONFLICT for
        one that does not hold any more, REGION_NOT_ALLOWED where no mapping table is in force,
        PURPOSE_NOT_ALLOWED, ITEM_NOT_MAPPED, ITEM_NOT_ALLOWED, REQUEST_SUPERSEDED where an earlier
        try was given what is not recognised any more, EMERGENCY_BRAKE, as
        `RegionBook.region` and `Belief.require_trusted`, CONSENT_REQUIRED and the other reasons of
        consents, and TEMPORARILY_UNAVAILABLE where the region does not answer or too few witnesses
        have cosigned.
        """

        async def verified(ask: RecognitionAsk) -> Document:
            now = self._clock.now()
            found = await self._shares.run(
                caller.asker, report_of, request.document, ask.region, ask.log, now
            )
            report = found.report
            status = await self._home.report_status(ask.region, report.report, report.check_code)
            require_current(status, request.document, ask.region, self._clock.now())
            await self._require_witnessed(ask.region, found.verified.checkpoint)
            return found.verified.document

        made = await self._made(request, caller, _REPORTS, report_faults(request), verified)
        return pb.RecogniseReportResponse(recognition=recognition_message(made))

    async def recognise_grades(
        self, request: pb.RecogniseGradesRequest, caller: Caller
    ) -> pb.RecogniseGradesResponse:
        """Answer RecogniseGrades; raises as RecogniseReport."""
        parts: Sequence[bytes] = tuple(request.answer)

        async def verified(ask: RecognitionAsk) -> Document:
            now = self._clock.now()
            found = await self._shares.run(
                caller.asker, grades_of, parts, request.request, ask.log, now
            )
            document = found.verified.document
            if found.public:
                proof = await self._home.subject_proof(ask.region, document.subject)
                require_disclosed(found.public, proof, document.subject, ask.log, self._clock.now())
            await self._require_witnessed(ask.region, found.verified.checkpoint)
            return document

        made = await self._made(request, caller, _GRADES, answer_faults(request), verified)
        return pb.RecogniseGradesResponse(recognition=recognition_message(made))

    async def _made(
        self,
        request: Request,
        caller: Caller,
        scope: str,
        faults: list[Violation],
        verified: Callable[[RecognitionAsk], Awaitable[Document]],
    ) -> MadeRecognition:
        if caller.role != ClientRole.CLIENT_ROLE_OPERATOR:
            raise Refused(
                RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                "Only operators have documents recognised.",
            )
        require_form(request, faults)
        digest = request_digest(request)
        # Whatever a retry was given before is judged anew: what does not hold any more is not stated
        # again. Only that it asks for the same is looked at first, for verifying takes long.
        await self._shares.run(
            caller.asker,
            self._recognitions.requested,
            caller.operator_id,
            request.request_id,
            digest,
        )
        ask = self._ask(request, caller, digest, scope)
        document = await verified(ask)
        for _ in range(_ATTEMPTS):
            consent = await self._uses.consent(ask.consent)
            found = await self._shares.run(caller.asker, self._judged, ask, document, consent)
            if found.under is None or await self._uses.used(
                found.under, caller, ask.request_id, digest, ask.purpose
            ):
                return await self._shares.run(caller.asker, self._keep, ask, document, found)
        raise changing()

    def _ask(
        self,
        request: Request,
        caller: Caller,
        digest: bytes,
        scope: str,
    ) -> RecognitionAsk:
        region = self._book.region(request.region)
        self._belief.require_trusted(region)
        # By a former key it would be of a log that ended: of no history that witnesses see grow.
        log = log_keys(region, "disclosure").present
        rule_of(self._feed.current(), region, request.purpose)
        return RecognitionAsk(
            caller,
            region,
            log,
            request.purpose,
            request.request_id,
            digest,
            request.transfer_id,
            request.consent,
            scope,
        )

    async def _require_witnessed(self, region: Region, checkpoint: Checkpoint) -> None:
        """Check that the log's history as witnesses know it has ``checkpoint`` in it."""
        for attempt in range(1, _ATTEMPTS + 1):
            later = await self._home.later_state(region, checkpoint.size)
            try:
                await self._belief.require_extended(
                    region, checkpoint, later.note, later.consistency_proof
                )
            except ProofInvalid:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED,
                    "The document is not of the history that the region shows to others.",
                    metadata={"why": "not_in_history"},
                ) from None
            except Refused as refused:
                if refused.retry_after is None or attempt == _ATTEMPTS:
                    raise
                # The newest state may want its cosignatures yet.
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    def _judged(self, ask: RecognitionAsk, document: Document, consent: Consent | None) -> Judged:
        return judged(self._feed.current(), ask, document, consent, self._clock.now())

    def _keep(self, ask: RecognitionAsk, document: Document, found: Judged) -> MadeRecognition:
        """Sign what is recognised, keep it, and return it, or what an earlier try has made.

        Raises Refused REQUEST_SUPERSEDED where that states what is not recognised any more.
        """
        now, transfer, operator_id = found.at, found.transfer, ask.caller.operator_id
        recognition_id = f"{now:010x}-{token_hex(12)}"
        statement = RecognitionStatement(
            iss=self._issuer,
            iat=now,
            exp=found.expires_at,
            schema_version="1",
            recognition=f"recognitions/{recognition_id}",
            region=ask.region.entity_id,
            document_digest=document.digest,
            subject=document.subject,
            operator_id=operator_id,
            purpose=PURPOSES[ask.purpose],
            rule_version=found.rule_version,
            parts=tuple(found.parts),
            destination="" if transfer is None else transfer.destination,
            recipient="" if transfer is None else transfer.recipient,
        )
        kept = self._recognitions.add(
            MadeRecognition(
                recognition_id=recognition_id,
                operator_id=operator_id,
                request_id=ask.request_id,
                request_digest=ask.digest,
                client_id=ask.caller.client_id,
                region=ask.region.entity_id,
                document_digest=document.digest,
                subject=document.subject,
                transfer_id=ask.transfer_id,
                recognised_at=now,
                expires_at=found.expires_at,
                statement=self._keys.sign(
                    self._feed.current().signing_keys, statement.as_json(), RECOGNITION_TYPE, now
                ),
            )
        )
        # What it states besides, nobody has judged now: it may take a consent that is over.
        stands = set(statement_of(kept).parts) <= set(statement.parts)
        if not stands or kept.expires_at > found.expires_at:
            raise Refused(
                RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED,
                "What was recognised by this request_id is not recognised any more; use a fresh one.",
            )
        return kept
