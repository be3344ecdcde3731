"""What has become of what a report states, read from the disclosure. Blocks."""

from sqlalchemy import Connection, literal_column, select

from gateway.disclose.tables import EVENTS, LINES, REVISIONS
from gateway.reports.model import IssuedReport
from gateway.reports.rules import LiveRevision, StatedRevision, first_change

_KEYS_A_QUERY = 500
_ENDING = EVENTS.alias("ending")


def changed_at(connection: Connection, report: IssuedReport, now: int) -> int | None:
    """Return since when ``report`` states what is not disclosed: see `rules.first_change`."""
    return first_change(
        report.disclosure_sequence,
        report.served_at,
        report.period,
        _stated(connection, report.stated),
        _live(connection, report),
        now,
    )


def _stated(connection: Connection, sequences: tuple[int, ...]) -> list[StatedRevision]:
    query = select(REVISIONS.c.disclosed_until, _ENDING.c.at).outerjoin(
        _ENDING, _ENDING.c.sequence == REVISIONS.c.ended_by
    )
    return [
        StatedRevision(row.disclosed_until, row.at)
        for start in range(0, len(sequences), _KEYS_A_QUERY)
        for row in connection.execute(
            query.where(REVISIONS.c.sequence.in_(sequences[start : start + _KEYS_A_QUERY]))
        )
    ]


def _live(connection: Connection, report: IssuedReport) -> list[LiveRevision]:
    query = (
        select(
            REVISIONS.c.sequence,
            EVENTS.c.at,
            REVISIONS.c.disclosed_from,
            REVISIONS.c.disclosed_until,
            LINES.c.item,
            LINES.c.region,
        )
        .join(LINES, LINES.c.line_no == REVISIONS.c.line_no)
        .join(EVENTS, EVENTS.c.sequence == REVISIONS.c.sequence)
        .where(
            REVISIONS.c.subject == report.subject,
            # Written out, so that a planner can tell that the partial index serves.
            REVISIONS.c.ended_by == literal_column("0"),
            LINES.c.item.in_(report.items),
        )
    )
    known = frozenset(report.stated)
    return [
        LiveRevision(row.sequence, row.at, row.disclosed_from, row.disclosed_until)
        for row in connection.execute(query)
        if row.sequence not in known and report.reaches(row.item, row.region)
    ]
