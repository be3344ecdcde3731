"""Reading the usage ledger for listings: settlement's port over SQL."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, Select, select

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.disclose.model import Line
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.bearers import bearers
from gateway.meter.model import ANSWER, LineCount, lines_of, unpack_entries
from gateway.meter.tables import USAGE
from gateway.settle.usage import (
    AnswerPage,
    MeteredAnswer,
    MeteredEntry,
    MeteredLine,
)
from gateway.storage.engines import snapshot
from gateway.storage.paging import pages

_ROWS_AT_ONCE: Final = 100


class _Revision(NamedTuple):
    record_id: str
    revision: int
    line_no: int


class SqlUsageReader:
    """`gateway.settle.usage.UsageReader` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answers(
        self,
        operator_id: str,
        *,
        from_: int | None,
        until: int | None,
        request_id: str,
        after: int,
        least_entries: int,
    ) -> AnswerPage:
        """Return the next whole answers; see the port."""
        wanted = _narrowed(operator_id, from_, until, request_id).where(USAGE.c.sequence > after)
        with snapshot(self._engine) as connection:
            rows, more = _page(connection, wanted, least_entries)
            entries = {row.sequence: unpack_entries(row.entries) for row in rows}
            revisions = _revisions(connection, set().union(*entries.values()))
            counts = {row.sequence: lines_of(row.lines) for row in rows}
            lines = _lines(
                connection, {count.line_no for part in counts.values() for count in part}
            )
        return AnswerPage(
            tuple(
                _answer(
                    row,
                    counts[row.sequence],
                    [revisions[sequence] for sequence in entries[row.sequence]],
                    lines,
                )
                for row in rows
            ),
            more,
        )


def _narrowed(
    operator_id: str, from_: int | None, until: int | None, request_id: str
) -> Select[*tuple[Any, ...]]:
    query = select(USAGE).where(
        USAGE.c.operator_id == operator_id, USAGE.c.entry_count > 0, USAGE.c.kind == ANSWER
    )
    if from_ is not None:
        query = query.where(USAGE.c.served_at >= from_)
    if until is not None:
        query = query.where(USAGE.c.served_at < until)
    if request_id:
        query = query.where(USAGE.c.request_id == request_id)
    return query.order_by(USAGE.c.sequence)


def _page(
    connection: Connection, wanted: Select[*tuple[Any, ...]], least_entries: int
) -> tuple[list[Row[*tuple[Any, ...]]], bool]:
    """Return as few rows as hold ``least_entries``, and whether others follow."""
    rows: list[Row[*tuple[Any, ...]]] = []
    entries = 0
    # An answer has at least one entry, so so many rows are always enough.
    limited = wanted.limit(least_entries + 1)
    with connection.execute(limited, execution_options={"yield_per": _ROWS_AT_ONCE}) as result:
        for row in result:
            if entries >= least_entries:
                return rows, True
            rows.append(row)
            entries += row.entry_count
    return rows, False


def _revisions(connection: Connection, sequences: Collection[int]) -> dict[int, _Revision]:
    query = select(
        REVISIONS.c.sequence, REVISIONS.c.record_id, REVISIONS.c.revision, REVISIONS.c.line_no
    )
    return {
        row[0]: _Revision(*row[1:])
        for some in pages(sequences)
        for row in connection.execute(query.where(REVISIONS.c.sequence.in_(some)))
    }


def _lines(connection: Connection, numbers: Collection[int]) -> dict[int, Line]:
    return {
        row[0]: Line(*row[1:])
        for some in pages(numbers)
        for row in connection.execute(select(LINES).where(LINES.c.line_no.in_(some)))
    }


def _answer(
    row: Row[*tuple[Any, ...]],
    counts: Sequence[LineCount],
    revisions: Sequence[_Revision],
    lines: dict[int, Line],
) -> MeteredAnswer:
    prices = {count.line_no: count.unit_price for count in counts}
    numbers = [revision.line_no for revision in revisions]
    borne = bearers(row.licence, row.licences, row.lines, numbers)
    return MeteredAnswer(
        sequence=row.sequence,
        usage_index=row.usage_index,
        operator_id=row.operator_id,
        client_id=row.client_id,
        request_id=row.request_id,
        chunk=row.chunk,
        purpose=Purpose.ValueType(row.purpose),
        licence=row.licence,
        consent=row.consent,
        decision_id=row.decision_id,
        served_at=row.served_at,
        lines=tuple(
            MeteredLine(*lines[line_no], records, unit_price)
            for line_no, records, unit_price in counts
        ),
        entries=tuple(
            MeteredEntry(
                revision.record_id,
                revision.revision,
                *lines[revision.line_no],
                prices[revision.line_no],
                bearer,
            )
            for revision, bearer in zip(revisions, borne, strict=True)
        ),
    )
