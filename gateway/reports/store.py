"""The reports of one store. Calls block."""

import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Engine, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from creditgate.credit_report import ReportPeriod
from creditgate.refusal import Refused
from creditgate.transparency.facts import NO_END
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.model import pack_entries, unpack_entries
from gateway.reports.model import IssuedReport
from gateway.reports.tables import REPORTS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from gateway.storage.sweeping import Sweeping
from gateway.storage.writes import wrote

SWEEP_SECONDS: Final = 3_600
PAGE: Final = 20
_REPORT = REPORTS.c


class SqlReports:
    """Keeps reports; documents of those whose validity is over are forgotten."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sweeping = Sweeping(SWEEP_SECONDS)

    def requested(self, issued_by: str, request_id: str, digest: bytes) -> IssuedReport | None:
        """Return what an earlier request of this id made; None where there was none.

        Raises Refused REQUEST_ID_REUSED where it asked for something else (AIP-155).
        """
        query = select(REPORTS).where(
            _REPORT.issued_by == issued_by, _REPORT.request_id == request_id
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if not hmac.compare_digest(bytes(row.request_digest), digest):
            raise Refused(
                RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
                "request_id was used before for another report; use a fresh one.",
            )
        return _report(row)

    def add(self, report: IssuedReport) -> IssuedReport:
        """Keep a report, and return it, or the one that a retry has made meanwhile.

        Raises as `requested`.
        """
        try:
            with bounded(self._engine) as connection:
                connection.execute(insert(REPORTS).values(**_row(report)))
                wrote(connection, REPORTS, [(report.report_id,)])
                if self._sweeping.due(report.issued_at):
                    connection.execute(
                        update(REPORTS)
                        .where(_REPORT.expires_at <= report.issued_at, _REPORT.document != "")
                        .values(document="")
                    )
        except IntegrityError:
            earlier = self.requested(report.issued_by, report.request_id, report.request_digest)
            if earlier is None:
                raise
            return earlier
        return report

    def get(self, report_id: str) -> IssuedReport | None:
        """Return a report; None for an unknown id."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(REPORTS).where(_REPORT.report_id == report_id)
            ).one_or_none()
        return None if row is None else _report(row)

    def issued_by(
        self, issued_by: str, subject: str, *, before: str = "", limit: int = PAGE
    ) -> tuple[IssuedReport, ...]:
        """Return reports about ``subject`` that ``issued_by`` had issued, newest first."""
        query = (
            select(REPORTS)
            .where(_REPORT.subject == subject, _REPORT.issued_by == issued_by)
            .order_by(_REPORT.report_id.desc())
            .limit(limit)
        )
        if before:
            query = query.where(_REPORT.report_id < before)
        with reading(self._engine) as connection:
            return tuple(map(_report, connection.execute(query)))

    def issued_since(self, issued_by: str, subject: str, since: int) -> int:
        """Return how many of `issued_by` were issued after ``since`` (seconds UTC)."""
        query = select(func.count()).where(
            _REPORT.subject == subject, _REPORT.issued_by == issued_by, _REPORT.issued_at > since
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def revoke(self, report_id: str, by: str, reason: str, now: int) -> IssuedReport | None:
        """Take a report back and forget its document; one taken back before stays so.

        Returns it as it is then; None for an unknown id.
        """
        with bounded(self._engine) as connection:
            revoked = connection.execute(
                update(REPORTS)
                .where(_REPORT.report_id == report_id, _REPORT.revoked_at == 0)
                .values(revoked_at=now, revoked_by=by, revoked_for=reason, document="")
            )
            if revoked.rowcount:
                wrote(connection, REPORTS, [(report_id,)])
        return self.get(report_id)


def _row(report: IssuedReport) -> Mapping[str, Any]:
    values = report._asdict()
    period: ReportPeriod = values.pop("period")
    return values | {
        "items": " ".join(report.items),
        "period_from": period.start or 0,
        "period_until": NO_END if period.until is None else period.until,
        "stated": pack_entries(report.stated),
        "regions": json.dumps({item: sorted(codes) for item, codes in report.regions.items()})
        if report.regions
        else "",
        "revoked_by": "",
        "revoked_for": "",
    }


def _report(row: Row[tuple[Any, ...]]) -> IssuedReport:
    return IssuedReport(
        report_id=row.report_id,
        issued_by=row.issued_by,
        request_id=row.request_id,
        request_digest=bytes(row.request_digest),
        actor=row.actor,
        subject=row.subject,
        items=tuple(row.items.split()),
        period=ReportPeriod.model_validate(
            {
                "from": row.period_from or None,
                "until": None if row.period_until == NO_END else row.period_until,
            }
        ),
        purpose=row.purpose,
        consent=row.consent,
        check_code=row.check_code,
        disclosure_sequence=row.disclosure_sequence,
        stated=tuple(unpack_entries(bytes(row.stated))),
        served_at=row.served_at,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        document_digest=bytes(row.document_digest),
        document=row.document,
        revoked_at=row.revoked_at,
        regions={
            item: frozenset(codes)
            for item, codes in (json.loads(row.regions) if row.regions else {}).items()
        },
    )
