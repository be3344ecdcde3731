"""Reports that companies have issued about themselves (信用代证), free of charge.

Nobody else's authority is needed, and nothing is metered: the subject is told what is
disclosed of it, whole, and what of it takes its consent. It is proved like any answer.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.credit_report import ReportPeriod, ReportRequester
from creditgate.refusal import Refused
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse, Receipt
from creditgate.v1.disclosure_proof_pb2 import DisclosureProof
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.authorise.stopping import require_running
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.disclose.frame import unframe
from gateway.disclose.lookup import DisclosureLookup
from gateway.reports.drafting import Asked, Numbers, status_path
from gateway.reports.issuing import ReportIssuer
from gateway.reports.model import SUBJECTS, IssuedReport
from gateway.reports.printing import ReportPrinter
from gateway.reports.status import ReportStatus
from gateway.reports.store import PAGE, SqlReports
from gateway.reports.words import STATE_NAMES
from gateway.respond.proof_sets import Serving
from gateway.respond.proofs import AnswerProofs, ProofLate
from gateway.respond.refusals import changing
from gateway.shares import Shares
from gateway.subject.own_reports import OwnReport, OwnReportAsked
from gateway.transparency.map_sets import SubjectAsk

MOST_A_DAY: Final = 20
"""Most reports of one company about itself within 24 hours."""
_DAY: Final = 86_400
_ATTEMPTS: Final = 8
_RETRY_SECONDS: Final = 3_600
_TAKEN_BACK: Final = "by the subject"


class SubjectReports:
    """Issues and keeps companies' own reports; one event loop's own.

    ``most_bytes`` is the most that the records of one report may take.
    """

    def __init__(
        self,
        lookup: DisclosureLookup,
        proofs: AnswerProofs,
        reports: SqlReports,
        issuer: ReportIssuer,
        status: ReportStatus,
        printer: ReportPrinter,
        shares: Shares,
        feed: AuthorityFeed,
        clock: Clock,
        most_bytes: int,
    ) -> None:
        self._lookup = lookup
        self._proofs = proofs
        self._reports = reports
        self._issuer = issuer
        self._status = status
        self._printer = printer
        self._shares = shares
        self._feed = feed
        self._clock = clock
        self._most_bytes = most_bytes

    async def issue(self, asked: OwnReportAsked) -> str:
        """As `OwnReports.issue`."""
        wanted = _asked(asked)
        earlier = await self._shares.run(
            asked.subject,
            self._reports.requested,
            wanted.issued_by,
            wanted.request_id,
            wanted.request_digest,
        )
        if earlier is not None:
            return earlier.report_id
        await self._shares.run(asked.subject, self._require_few, wanted)
        answer = await self._answer(wanted)
        report = await self._shares.run(asked.subject, self._issuer.issue, wanted, answer, {})
        return report.report_id

    async def listed(self, subject: str, before: str) -> tuple[Sequence[OwnReport], str]:
        """As `OwnReports.listed`."""
        return await self._shares.run(subject, self._listed, subject, before)

    async def document(self, subject: str, report_id: str) -> str | None:
        """As `OwnReports.document`."""
        return await self._shares.run(subject, self._standing, subject, report_id)

    async def pdf(self, subject: str, report_id: str) -> bytes | None:
        """As `OwnReports.pdf`."""
        document = await self.document(subject, report_id)
        if document is None:
            return None
        printed = await self._printer.pdf(document)
        # Printing may take its time: what changed meanwhile is not given out (G9).
        return None if await self.document(subject, report_id) is None else printed

    async def revoke(self, subject: str, report_id: str, principal: str) -> bool:
        """As `OwnReports.revoke`."""
        return await self._shares.run(subject, self._revoke, subject, report_id, principal)

    async def _answer(self, asked: Asked) -> GetSubjectRecordsResponse:
        """Return what is disclosed of the subject, proved complete."""
        patience = self._proofs.patience()
        catalogue = self._feed.current().catalogue
        protected = [
            code
            for code in sorted(asked.items)
            if catalogue[code].openness != Openness.OPENNESS_PUBLIC
        ]
        ask = SubjectAsk(
            asked.subject, frozenset(asked.items).difference(protected) or None, False, protected
        )
        for _ in range(_ATTEMPTS):
            now = self._clock.now()
            found = await self._lookup.of_subjects([asked.subject])
            lines = await self._lookup.lines()
            frames = {
                row[1]: row[5]
                for row in found.revisions
                if lines[row[2]].item in asked.items and row[3] <= now < row[4]
            }
            self._require_size(frames.values())
            try:
                proof = await self._proofs.complete(
                    [ask], Serving(found.head, found.revisions, frames), now, patience
                )
            except ProofLate:
                continue
            return GetSubjectRecordsResponse(
                records=map(unframe, frames.values()),
                receipt=Receipt(serve_time=Timestamp(seconds=now), disclosure_sequence=found.head),
                proof=DisclosureProof.FromString(proof),
            )
        raise changing()

    def _require_size(self, frames: Collection[bytes]) -> None:
        if sum(map(len, frames)) > self._most_bytes:
            raise Refused(
                RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE,
                "The report would be too long; ask for fewer items.",
            )

    def _require_few(self, asked: Asked) -> None:
        since = self._clock.now() - _DAY
        if self._reports.issued_since(asked.issued_by, asked.subject, since) >= MOST_A_DAY:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                f"{MOST_A_DAY} reports were issued within a day; wait.",
                retry_after=_RETRY_SECONDS,
            )

    def _listed(self, subject: str, before: str) -> tuple[Sequence[OwnReport], str]:
        found = self._reports.issued_by(SUBJECTS + subject, subject, before=before)
        now = self._clock.now()
        more = found[-1].report_id if len(found) == PAGE else ""
        return [self._own(report, now) for report in found], more

    def _own(self, report: IssuedReport, now: int) -> OwnReport:
        standing = self._status.of(report, now)
        return OwnReport(
            report_id=report.report_id,
            items=report.items,
            issued_at=report.issued_at,
            expires_at=report.expires_at,
            state=STATE_NAMES[standing.state],
            since=standing.since,
            revocable=standing.holds,
            status_path=status_path(Numbers(report.report_id, report.check_code)),
        )

    def _standing(self, subject: str, report_id: str) -> str | None:
        report = self._found(subject, report_id)
        if report is None or not self._status.of(report, self._clock.now()).holds:
            return None
        require_running(self._feed.current().authority.brakes, "", report.items)
        return report.document or None

    def _revoke(self, subject: str, report_id: str, principal: str) -> bool:
        report = self._found(subject, report_id)
        if report is None:
            return False
        self._reports.revoke(report_id, principal, _TAKEN_BACK, self._clock.now())
        return True

    def _found(self, subject: str, report_id: str) -> IssuedReport | None:
        report = self._reports.get(report_id)
        return report if report is not None and report.issued_by == SUBJECTS + subject else None


def _asked(asked: OwnReportAsked) -> Asked:
    told = "\n".join((asked.subject, " ".join(asked.items), asked.recipient))
    return Asked(
        issued_by=SUBJECTS + asked.subject,
        actor=asked.principal,
        request_id=asked.request_id,
        request_digest=sha256(told.encode()).digest(),
        subject=asked.subject,
        items=asked.items,
        period=ReportPeriod(),
        purpose=0,
        consent="",
        recipient=asked.recipient,
        requester=ReportRequester(kind="SUBJECT"),
    )
