"""A company's own credit reports (信用代证): issued by itself, kept, taken back."""

import secrets
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness
from gateway.consents.plain import item_name
from gateway.pages.moments import moment
from gateway.pages.rendering import GUARDS
from gateway.pages.troubles import NotShown
from gateway.pages.words import joined, said
from gateway.subject.naming import report_id_of
from gateway.subject.own_reports import OwnReport, OwnReportAsked
from gateway.subject.visit import CompanyVisit

MOST_RECIPIENT: Final = 200
_ITEM: Final = "item-"
_FAULTS: Final[Mapping[RefusalReason.ValueType, str]] = {
    RefusalReason.REFUSAL_REASON_RATE_EXCEEDED: "many",
    RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE: "large",
}


async def show(visit: CompanyVisit) -> Response:
    """Show the reports there are, and how to have one issued."""
    return await _page(visit, _new_request(visit), None, "")


async def issue(visit: CompanyVisit) -> Response:
    """Have a report issued; who signed in long ago is asked to again."""
    _require_power(visit)
    request_id = report_id_of(visit.request.path_params.get("request_id", ""))
    form = await visit.form(visit.purpose("issue-report", request_id))
    if not visit.fresh:
        return visit.sent_on("/reports")
    items = tuple(code for code, _ in _offered(visit) if f"{_ITEM}{code}" in form)
    recipient = form.get("recipient", "").strip()
    if not items:
        return await _page(visit, request_id, form, "items")
    if len(recipient) > MOST_RECIPIENT or not recipient.isprintable():
        return await _page(visit, request_id, form, "recipient")
    try:
        report_id = await visit.parts.reports.issue(
            OwnReportAsked(
                visit.acting.subject, visit.acting.principal, request_id, items, recipient
            )
        )
    except Refused as refused:
        if refused.reason not in _FAULTS:
            raise
        return await _page(visit, request_id, form, _FAULTS[refused.reason])
    return visit.sent_on("/reports", done=report_id)


async def document(visit: CompanyVisit) -> Response:
    """Give a report as signed."""
    _require_power(visit)
    report_id = _named(visit)
    found = await visit.parts.reports.document(visit.acting.subject, report_id)
    if found is None:
        raise NotShown("missing")
    return _download(found.encode(), f"report-{report_id}.jws", "application/jose")


async def pdf(visit: CompanyVisit) -> Response:
    """Give a report to read and print."""
    _require_power(visit)
    report_id = _named(visit)
    found = await visit.parts.reports.pdf(visit.acting.subject, report_id)
    if found is None:
        raise NotShown("missing")
    return _download(found, f"report-{report_id}.pdf", "application/pdf")


async def revoke(visit: CompanyVisit) -> Response:
    """Take a report back."""
    _require_power(visit)
    report_id = _named(visit)
    await visit.form(visit.purpose("revoke-report", report_id))
    if not await visit.parts.reports.revoke(
        visit.acting.subject, report_id, visit.acting.principal
    ):
        raise NotShown("missing")
    return visit.sent_on("/reports")


async def _page(
    visit: CompanyVisit, request_id: str, form: Mapping[str, str] | None, fault: str
) -> Response:
    _require_power(visit)
    query = visit.request.query_params
    found, next_before = await visit.parts.reports.listed(
        visit.acting.subject, report_id_of(query.get("before", ""))
    )
    return await visit.shown(
        "reports.html",
        tab="/reports",
        status=400 if fault else 200,
        typed=visit.fresh,
        reports=[(_line(visit, each), _revoke_token(visit, each)) for each in found],
        done=report_id_of(query.get("done", "")),
        next_before=next_before,
        fault=fault,
        offered=[
            (f"{_ITEM}{code}", name, form is None or f"{_ITEM}{code}" in form)
            for code, name in _offered(visit)
        ],
        recipient="" if form is None else form.get("recipient", "")[:MOST_RECIPIENT],
        most_recipient=MOST_RECIPIENT,
        request_id=request_id,
        token=visit.browser.form_token(visit.purpose("issue-report", request_id)),
    )


def _line(visit: CompanyVisit, report: OwnReport) -> dict[str, object]:
    language, view = visit.language, visit.parts.view()
    return {
        "report_id": report.report_id,
        "items": joined((item_name(view, code, language) for code in report.items), language),
        "issued": moment(report.issued_at, language),
        "expires": moment(report.expires_at, language),
        "state": said(language, report.state),
        "holds": report.since is None,
        "since": "" if report.since is None else moment(report.since, language),
        "status_path": visit.path(report.status_path),
    }


def _revoke_token(visit: CompanyVisit, report: OwnReport) -> str:
    return visit.browser.form_token(visit.purpose("revoke-report", report.report_id))


def _offered(visit: CompanyVisit) -> list[tuple[str, str]]:
    """Return what a report can be about: all that is public or takes the subject's consent."""
    return [
        (code, item_name(visit.parts.view(), code, visit.language))
        for code, item in visit.parts.view().catalogue.items()
        if item.openness != Openness.OPENNESS_RESTRICTED
    ]


def _new_request(visit: CompanyVisit) -> str:
    return f"{visit.now:010x}-{secrets.token_hex(12)}"


def _named(visit: CompanyVisit) -> str:
    report_id = report_id_of(visit.request.path_params.get("report_id", ""))
    if not report_id:
        raise NotShown("missing")
    return report_id


def _require_power(visit: CompanyVisit) -> None:
    if not visit.acting.may_report:
        raise NotShown("missing")


def _download(content: bytes, name: str, media_type: str) -> Response:
    headers = {**GUARDS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
