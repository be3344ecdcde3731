"""What callers ask of reports, checked."""

import re
from typing import Final

from creditgate.credit_report import CHECK_CODE_PATTERN, MOST_ITEMS, ReportPeriod, ReportRequester
from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.facts import NO_END
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.report_service_pb2 import (
    GetCreditReportStatusRequest,
    IssueCreditReportRequest,
    RevokeCreditReportRequest,
)
from gateway.authenticate.caller import Caller
from gateway.note import note_faults
from gateway.reports.drafting import Asked
from gateway.reports.model import NAME_PREFIX, OPERATORS
from gateway.respond.request import COMPLETE, common_faults, payload_digest, require_subject

MOST_RECIPIENT: Final = 200
_MOST_REASON: Final = 500
_REPORT_ID: Final = re.compile(r"[0-9a-f]{10}-[0-9a-f]{24}")
_CHECK_CODE: Final = re.compile(CHECK_CODE_PATTERN)


def asked(request: IssueCreditReportRequest, caller: Caller, operator_name: str) -> Asked:
    """Return what an operator asks for. Raises Refused INVALID_REQUEST by field."""
    faults = common_faults(request.request_id, request.items, request.consent, COMPLETE)
    if not request.items or len(set(request.items)) < len(request.items):
        faults.append(Violation("items", f"from 1 to {MOST_ITEMS} item codes, each once"))
    if len(request.recipient) > MOST_RECIPIENT or not request.recipient.isprintable():
        faults.append(
            Violation("recipient", f"at most {MOST_RECIPIENT} printable characters, in one line")
        )
    period = _period(request)
    if period is None:
        faults.append(Violation("period", "whole seconds from 1970 on, start_time before end_time"))
    require_subject(request.subject, faults)
    assert period is not None, "a period that is none is a fault"
    return Asked(
        issued_by=OPERATORS + caller.operator_id,
        actor=caller.client_id,
        request_id=request.request_id,
        request_digest=payload_digest(caller.client_id, request, 0),
        subject=request.subject,
        items=tuple(request.items),
        period=period,
        purpose=request.purpose,
        consent=request.consent,
        recipient=request.recipient,
        requester=ReportRequester(
            kind="OPERATOR", operator_id=caller.operator_id, name=operator_name
        ),
    )


def report_id_of(name: str) -> str:
    """Return the id in a resource name "reports/{id}". Raises Refused INVALID_REQUEST."""
    report_id = name.removeprefix(NAME_PREFIX)
    if report_id == name or _REPORT_ID.fullmatch(report_id) is None:
        raise invalid(Violation("name", "must read reports/{report_id}"))
    return report_id


def well_formed(report_id: str, check_code: str) -> bool:
    """Tell whether these have the form of a report's id and of a check code."""
    return (
        _REPORT_ID.fullmatch(report_id) is not None
        and _CHECK_CODE.fullmatch(check_code) is not None
    )


def status_asked(request: GetCreditReportStatusRequest) -> tuple[str, str]:
    """Return (report id, check code). Raises Refused INVALID_REQUEST."""
    report_id = report_id_of(request.name)
    if not well_formed(report_id, request.check_code):
        raise invalid(Violation("check_code", "the 12 characters printed on the report"))
    return report_id, request.check_code


def revocation(request: RevokeCreditReportRequest) -> tuple[str, str]:
    """Return (report id, reason). Raises Refused INVALID_REQUEST."""
    faults = note_faults("reason", request.reason, _MOST_REASON)
    if faults:
        raise invalid(*faults)
    return report_id_of(request.name), request.reason


def unknown_report() -> Refused:
    """Return what any report is answered with that is not the caller's to know of (G11)."""
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        f"No such report ({NAME_PREFIX}…) was issued to you.",
    )


def _period(request: IssueCreditReportRequest) -> ReportPeriod | None:
    period = request.period
    bounds: dict[str, int] = {}
    for name, told, bound in (
        ("from", period.HasField("start_time"), period.start_time),
        ("until", period.HasField("end_time"), period.end_time),
    ):
        if told:
            if bound.nanos or not 0 <= bound.seconds < NO_END:
                return None
            bounds[name] = bound.seconds
    if bounds.get("from", 0) >= bounds.get("until", NO_END):
        return None
    return ReportPeriod.model_validate(bounds)
