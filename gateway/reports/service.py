"""ReportService: special credit reports for operators, and their status for everybody.

A report is issued by the record calls' own path: authority, consent, completeness and
metering are decided there, and only there (G3, G5). One that rests on a consent is given by
that path alone, so that nobody is given it whom the subject is not told of (G7): its issuance
is the one delivery, which the request repeated is a retry of, and whoever had it issued keeps it.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.credit_report import stated_in
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import report_service_pb2 as pb
from creditgate.v1.credit_record_service_pb2 import (
    GetSubjectRecordsRequest,
    GetSubjectRecordsResponse,
)
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.rate import Rate
from gateway.reports.delivery import ReportDelivery
from gateway.reports.issuing import ReportIssuer
from gateway.reports.model import OPERATORS, IssuedReport, Standing
from gateway.reports.opening import opened
from gateway.reports.printing import ReportPrinter
from gateway.reports.request import (
    asked,
    report_id_of,
    revocation,
    status_asked,
    unknown_report,
)
from gateway.reports.status import ReportStatus
from gateway.reports.store import SqlReports
from gateway.respond.proof_asks import NotEverywhere
from gateway.shares import Shares

_LOOK_SECONDS: Final = 0.2
_LOOKS_AT_ONCE: Final = 20

Records = Callable[[GetSubjectRecordsRequest, Caller], Awaitable[bytes]]
"""Answers GetSubjectRecords: `gateway.respond.service.CreditRecordService`."""


class ReportService:
    """The methods of ReportService; ``records`` is the path every record call goes."""

    def __init__(
        self,
        records: Records,
        reports: SqlReports,
        issuer: ReportIssuer,
        status: ReportStatus,
        delivery: ReportDelivery,
        printer: ReportPrinter,
        shares: Shares,
        feed: AuthorityFeed,
        clock: Clock,
    ) -> None:
        self._records = records
        self._reports = reports
        self._issuer = issuer
        self._status = status
        self._delivery = delivery
        self._printer = printer
        self._shares = shares
        self._feed = feed
        self._clock = clock
        self._looks = Rate(_LOOK_SECONDS, _LOOKS_AT_ONCE)

    async def issue_credit_report(
        self, request: pb.IssueCreditReportRequest, caller: Caller
    ) -> pb.IssueCreditReportResponse:
        """Answer IssueCreditReport; raises Refused as GetSubjectRecords with a COMPLETE proof,
        and as `ReportIssuer.issue`. A report is given again as records are: to a retry, while
        that is answered with all it was made of; REQUEST_SUPERSEDED where it is answered with less."""
        operator = self._feed.current().authority.operators.get(caller.operator_id)
        wanted = asked(request, caller, "" if operator is None else operator.display_name)
        earlier = await self._shares.run(
            caller.asker,
            self._reports.requested,
            wanted.issued_by,
            wanted.request_id,
            wanted.request_digest,
        )
        if earlier is not None and not (found := await self._standing(earlier, caller)).holds:
            return pb.IssueCreditReportResponse(report=_told(earlier, found))
        try:
            answer = await self._answer(request, caller)
        except NotEverywhere:
            raise (_not_everywhere() if earlier is None else _no_longer_everywhere()) from None
        issued = earlier or await self._shares.run(
            caller.asker,
            self._issuer.issue,
            wanted,
            answer,
            self._delivery.regions(wanted, caller),
        )
        _require_answered(issued, answer)
        return pb.IssueCreditReportResponse(
            report=await self._message(issued, caller),
            charged_entries=answer.receipt.charged_entries,
            charged_micro_yuan=answer.receipt.charged_micro_yuan,
        )

    async def _answer(
        self, request: pb.IssueCreditReportRequest, caller: Caller
    ) -> GetSubjectRecordsResponse:
        wanted = GetSubjectRecordsRequest(
            subject=request.subject,
            items=request.items,
            purpose=request.purpose,
            request_id=request.request_id,
            consent=request.consent,
            proof=ProofKind.PROOF_KIND_COMPLETE,
        )
        return GetSubjectRecordsResponse.FromString(await self._records(wanted, caller))

    async def get_credit_report(
        self, request: pb.GetCreditReportRequest, caller: Caller
    ) -> pb.GetCreditReportResponse:
        """Answer GetCreditReport, without the document: whoever could have that again without
        a use need not keep what it attests. Raises Refused INVALID_REQUEST,
        RESOURCE_NOT_FOUND."""
        report = await self._own(report_id_of(request.name), caller)
        found = await self._standing(report, caller)
        return pb.GetCreditReportResponse(report=_told(report, found))

    async def get_credit_report_status(
        self, request: pb.GetCreditReportStatusRequest, caller: Caller
    ) -> pb.GetCreditReportStatusResponse:
        """Answer GetCreditReportStatus; raises Refused INVALID_REQUEST, RATE_EXCEEDED, and
        RESOURCE_NOT_FOUND, alike for an unknown report and another code."""
        report_id, check_code = status_asked(request)
        self._require_rate(caller)
        now = self._clock.now()
        report = opened(
            await self._shares.run(caller.asker, self._reports.get, report_id), check_code
        )
        if report is None:
            raise unknown_report()
        found = await self._shares.run(caller.asker, self._status.of, report, now)
        statement = await self._shares.run(caller.asker, self._status.statement, report, found, now)
        response = pb.GetCreditReportStatusResponse(
            state=found.state, check_time=Timestamp(seconds=now), statement=statement
        )
        if found.since is not None:
            response.since_time.seconds = found.since
        return response

    async def revoke_credit_report(
        self, request: pb.RevokeCreditReportRequest, caller: Caller
    ) -> pb.RevokeCreditReportResponse:
        """Answer RevokeCreditReport; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND."""
        report_id, reason = revocation(request)
        if caller.role != ClientRole.CLIENT_ROLE_ADMINISTRATOR:
            await self._own(report_id, caller)
        by = caller.principal or caller.client_id
        report = await self._shares.run(
            caller.asker, self._reports.revoke, report_id, by, reason, self._clock.now()
        )
        if report is None:
            raise unknown_report()
        found = await self._standing(report, caller)
        message = _told(report, found)
        if caller.role == ClientRole.CLIENT_ROLE_ADMINISTRATOR:
            # It opens what the report states: its requester gives it to whom it will.
            message.ClearField("check_code")
        return pb.RevokeCreditReportResponse(report=message)

    async def _own(self, report_id: str, caller: Caller) -> IssuedReport:
        report = await self._shares.run(caller.asker, self._reports.get, report_id)
        if report is None or report.issued_by != OPERATORS + caller.operator_id:
            raise unknown_report()
        return report

    async def _message(self, report: IssuedReport, caller: Caller) -> pb.CreditReport:
        """Return a report as callers get it: with its document only while it holds (G9).

        Raises Refused as `ReportDelivery.require` where the document may not be given.
        """
        found = await self._standing(report, caller)
        message = _told(report, found)
        if found.holds and report.document:
            message.pdf = await self._printer.pdf(report.document)
            # Printing may take its time: what changed meanwhile is not given out.
            found = await self._standing(report, caller)
            if not found.holds:
                return _told(report, found)
            await self._delivery.require(report, caller)
            message.document = report.document
        return message

    async def _standing(self, report: IssuedReport, caller: Caller) -> Standing:
        return await self._shares.run(caller.asker, self._status.of, report, self._clock.now())

    def _require_rate(self, caller: Caller) -> None:
        wait = self._looks.wait(caller.client_id, time.monotonic())
        if wait:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
                "Reports are looked up faster than the gateway takes; slow down.",
                retry_after=wait,
            )


def _require_answered(report: IssuedReport, answer: GetSubjectRecordsResponse) -> None:
    """Raise Refused REQUEST_SUPERSEDED where a report states or names more than what may be served
    now: the bounds of the licence, a grant or the token were narrowed since.

    A retry is answered with nothing that the first answer had not, so what the period leaves out,
    which the report's proof names all the same, is there if as many records are.
    """
    served = {record.event_sequence for record in answer.records}
    outside = stated_in(report.document).outside_period if report.document else 0
    if not served.issuperset(report.stated) or len(served) < len(report.stated) + outside:
        superseded = RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED
        raise Refused(
            superseded,
            "You may not be served any more all that this report tells of; ask anew with a fresh"
            " request_id.",
        )


def _not_everywhere() -> Refused:
    """Return what a report is refused with that could not be complete: a report has no other
    proof to ask for."""
    return invalid(
        Violation(
            "items",
            "a report over an item that needs consent takes a licence, a grant and a consent for"
            " all regions; leave the item or the consent out",
        )
    )


def _no_longer_everywhere() -> Refused:
    """Return what a report that was given is refused with, where it could not be made now."""
    return Refused(
        RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED,
        "This report was made when the licence, the grant and the consent held in all regions;"
        " one of them no longer does. Ask with a fresh request_id for what needs no consent, or"
        " have that mended first.",
    )


def _told(report: IssuedReport, found: Standing) -> pb.CreditReport:
    return pb.CreditReport(
        name=report.name,
        issue_time=Timestamp(seconds=report.issued_at),
        expire_time=Timestamp(seconds=report.expires_at),
        state=found.state,
        check_code=report.check_code,
    )
