"""Scenes of a special credit report (专项信用报告、信用代证): issued, verified offline, overtaken."""

from typing import Final

from creditgate.v1 import report_service_pb2 as pb
from creditgate.v1.disclosure_service_pb2 import CorrectRecordRequest, CorrectRecordResponse
from gateway.cli.output import several
from gateway.clock import SystemClock
from gateway.demo.account import Section, Step
from gateway.demo.cast import DISHONESTY, PENALTY, REGISTRATION
from gateway.demo.enrolment import REASON
from gateway.demo.invented import CORRECTED, penalty_content
from gateway.demo.pinned import Pinned
from gateway.demo.stage import CHECK, Stage
from sdk.documents import DocumentRefused
from sdk.reports import verified_report, verified_status
from sdk.request_ids import new_request_id

_LOWEST_FINE: Final = 200_000
_FORGED: Final = "It was altered, or signed by another key."


async def reported(stage: Stage) -> Section:
    """Have a report issued, verify it as its reader does, and correct what it states."""
    alpha = stage.alpha
    issued = await alpha.gateway.ask(
        pb.IssueCreditReportRequest(
            subject=CORRECTED,
            items=[REGISTRATION, PENALTY, DISHONESTY],
            purpose=CHECK,
            request_id=new_request_id(),
            recipient="示例采购中心（虚构）",
        ),
        pb.IssueCreditReportResponse,
    )
    report = issued.report
    alpha.charges.count(
        report.issue_time.seconds, issued.charged_entries, issued.charged_micro_yuan
    )
    reader = await Pinned.fetched(stage)
    stated = _read(reader, report.document)
    forged = _read(reader, _forged(report.document))
    before = await _status(stage, reader, report)
    draft = stage.invented.to_correct
    correction = CorrectRecordRequest(
        name=f"records/{draft.record_id}",
        expected_revision=2,
        content=penalty_content(draft.disclosed_from.seconds, _LOWEST_FINE),
        reason=REASON,
    )
    await stage.publisher.ask(correction, CorrectRecordResponse)
    after = await _status(stage, reader, report)
    steps = (
        Step(
            "alpha",
            "has a report on a company issued, as JWS and as PDF",
            "2 records charged",
            f"{issued.charged_entries} records charged",
        ),
        Step(
            "its reader",
            "verifies it offline, by two keys it keeps",
            f"{REGISTRATION}: 1, {PENALTY}: 1, {DISHONESTY}: none, which is proved",
            stated,
        ),
        Step("its reader", "is given one that was changed", _FORGED, forged),
        Step("its reader", "follows the QR code: does it still hold?", "current", before),
        Step(
            "its reader",
            "asks again, once the penalty was corrected",
            "superseded",
            after,
        ),
    )
    return Section("A credit report is verified anywhere, and says when it is overtaken", steps)


def _read(reader: Pinned, document: str) -> str:
    try:
        found = verified_report(document, reader.keys, reader.issuer, reader.log)
    except DocumentRefused as refused:
        return str(refused)
    items = several(f"{each.item}: {each.records or 'none'}" for each in found.report.items)
    return f"{items}, which is proved"


async def _status(stage: Stage, reader: Pinned, report: pb.CreditReport) -> str:
    """Return a report's state by the gateway's signed word."""
    answer = await stage.beta.gateway.ask(
        pb.GetCreditReportStatusRequest(name=report.name, check_code=report.check_code),
        pb.GetCreditReportStatusResponse,
    )
    status = verified_status(
        answer.statement, report.document, reader.keys, reader.issuer, SystemClock().now()
    )
    return status.state.lower()


def _forged(document: str) -> str:
    """Return the document with one letter of what it says changed."""
    header, payload, signature = document.split(".")
    other = "A" if payload[-8] != "A" else "B"
    return f"{header}.{payload[:-8]}{other}{payload[-7:]}.{signature}"
