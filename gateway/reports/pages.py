"""The page of a report's status, where its QR code leads: nobody signs in.

Whoever has id and check code holds the report; nobody else is told whether there is one.
What a report stated is not told any more once it does not hold (G9).
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from creditgate.credit_report import (
    SCHEMA_PATH,
    STATUS_SCHEMA_PATH,
    report_schema,
    stated_in,
    status_schema,
)
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.consents.schema import schema_route
from gateway.failure_kind import failure_kind
from gateway.pages.moments import moment
from gateway.pages.rendering import GUARDS, Language, Pages, language_of
from gateway.pages.words import said
from gateway.rate import Rate
from gateway.reports.model import IssuedReport, Standing
from gateway.reports.opening import opened
from gateway.reports.request import well_formed
from gateway.reports.status import ReportStatus
from gateway.reports.store import SqlReports
from gateway.reports.words import STATES
from gateway.shares import Shares

_log = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 0.05
_LOOKS_AT_ONCE: Final = 100
_MEDIA_TYPE: Final = "application/jose"
_STATUS: Final = {"missing": 404, "too-fast": 429, "unavailable": 503}
_PATH: Final = "/reports/{report_id}/{check_code}"

_Show = Callable[[Request, IssuedReport], Awaitable[Response]]


def report_routes(
    reports: SqlReports, status: ReportStatus, shares: Shares, issuer: str, clock: Clock
) -> list[Route]:
    """Return the routes of the status pages and of the published schemas."""
    pages = StatusPages(reports, status, shares, clock)
    return [
        schema_route(issuer, SCHEMA_PATH, report_schema(issuer)),
        schema_route(issuer, STATUS_SCHEMA_PATH, status_schema(issuer)),
        Route(_PATH, pages.guarded(pages.show), methods=["GET"]),
        Route(f"{_PATH}/statement", pages.guarded(pages.statement), methods=["GET"]),
    ]


class StatusPages:
    """Shows whether reports hold; one event loop's own."""

    def __init__(
        self, reports: SqlReports, status: ReportStatus, shares: Shares, clock: Clock
    ) -> None:
        self._reports = reports
        self._status = status
        self._shares = shares
        self._clock = clock
        self._pages = Pages(__package__ or "")
        # By address: behind a proxy all share what the proxy is let.
        self._rate = Rate(_LOOK_SECONDS, _LOOKS_AT_ONCE)

    async def show(self, request: Request, report: IssuedReport) -> Response:
        """Show whether the report holds and, while it does, what it states."""
        language, now = language_of(request), self._clock.now()
        found = await self._shares.run(_asker(request), self._status.of, report, now)
        here = request.url.path
        return self._pages.page(
            "status.html",
            language,
            here=here,
            statement=f"{here}/statement",
            name=report.name,
            holds=found.holds,
            state_words=said(language, STATES[found.state]),
            since="" if found.since is None else moment(found.since, language),
            issued=moment(report.issued_at, language),
            expires=moment(report.expires_at, language),
            checked=moment(now, language),
            digest=report.document_digest.hex(),
            stated=_stated(report, found, language),
        )

    async def statement(self, request: Request, report: IssuedReport) -> Response:
        """Give the status, signed."""
        now = self._clock.now()
        found = await self._shares.run(_asker(request), self._status.of, report, now)
        signed = await self._shares.run(_asker(request), self._status.statement, report, found, now)
        name = f"report-{report.report_id}-status-{now}.jws"
        headers = {**GUARDS, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(signed, media_type=_MEDIA_TYPE, headers=headers)

    def guarded(self, show: _Show) -> Callable[[Request], Awaitable[Response]]:
        """Return what serves ``show`` to holders of the report, and its failures as pages."""

        async def serve(request: Request) -> Response:
            wait = self._rate.wait(_asker(request), time.monotonic())
            if wait:
                return self._trouble(request, "too-fast", {"Retry-After": str(wait)})
            report_id, check_code = (
                request.path_params[name] for name in ("report_id", "check_code")
            )
            if not well_formed(report_id, check_code):
                return self._trouble(request, "missing")
            try:
                found = await self._shares.run(_asker(request), self._reports.get, report_id)
                report = opened(found, check_code)
                if report is None:
                    return self._trouble(request, "missing")
                return await show(request, report)
            except Refused as refused:
                if refused.reason != RefusalReason.REFUSAL_REASON_RATE_EXCEEDED:
                    return self._trouble(request, "unavailable")
                headers = {"Retry-After": str(refused.retry_after)}
                return self._trouble(request, "too-fast", headers)
            except Exception as error:
                # Its type alone: what it says may hold what the report states.
                _log.error("a report's status was not shown: %s", failure_kind(error))
                return self._trouble(request, "unavailable")

        return serve

    def _trouble(
        self, request: Request, trouble: str, headers: dict[str, str] | None = None
    ) -> Response:
        page = self._pages.page(
            "report_trouble.html",
            language_of(request),
            status=_STATUS[trouble],
            here=request.url.path,
            trouble=trouble,
        )
        page.headers.update(headers or {})
        return page


def _asker(request: Request) -> str:
    return f"address {'' if request.client is None else request.client.host}"


def _stated(report: IssuedReport, found: Standing, language: Language) -> dict[str, object] | None:
    """Return what a report states, None once it does not hold any more."""
    if not found.holds or not report.document:
        return None
    stated = stated_in(report.document)
    bounds = stated.period
    since = "" if bounds.start is None else moment(bounds.start, language)
    until = "" if bounds.until is None else moment(bounds.until, language)
    return {
        "subject": report.subject,
        "served": moment(report.served_at, language),
        "period": f"{since} – {until}" if since or until else "",
        "of_items": [
            (said(language, (each.name_zh, each.name_en)), each.records) for each in stated.items
        ],
    }
