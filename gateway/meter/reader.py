"""Reading the usage ledger for listings: settlement's port over SQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, Row, Select, select

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.disclose.lines import lines_numbered
from gateway.disclose.model import Line
from gateway.disclose.tables import REVISIONS
from gateway.meter.bearers import bearers
from gateway.meter.model import ANSWER, LineCount, lines_of, lines_text, unpack_entries
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
_NO_LINES: Final = lines_text(())


class _Revision(NamedTuple):
    record_id: str
    revision: int
    line_no: int


class ChargedElsewhere(NamedTuple):
    """An answer that charges records of another region, and its lines as the ledger has them."""

    request_id: str
    chunk: int
    lines: str


class Entry(NamedTuple):
    """A record that an answer charges, and the number of its line; the entry's price and licence are
    those of the line, and filled in here."""

    line_no: int
    entry: MeteredEntry


class Elsewhere(Protocol):
    """Tells of records of other regions that answers of an operator charge."""

    def entries(
        self, connection: Connection, operator_id: str, answers: Collection[ChargedElsewhere]
    ) -> Mapping[ChargedElsewhere, Sequence[Entry]]:
        """Return the records that answers charge. Raises LookupError where they were not kept."""
        ...

    def charged_as(
        self, connection: Connection, operator_id: str, request_id: str
    ) -> Collection[str]:
        """Return the ids that other regions' answers to the operator's own request of this id are
        charged by."""
        ...


class SqlUsageReader:
    """`gateway.settle.usage.UsageReader` on SQLite and PostgreSQL.

    ``elsewhere`` gives the records of other regions, None where answers that charge them are not
    wanted.
    """

    def __init__(self, engine: Engine, elsewhere: Elsewhere | None = None) -> None:
        self._engine = engine
        self._elsewhere = elsewhere

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
        narrowed = _narrowed(operator_id, from_, until)
        charged = USAGE.c.entry_count > 0 if self._elsewhere is None else USAGE.c.lines != _NO_LINES
        wanted = narrowed.where(charged, USAGE.c.sequence > after)
        with snapshot(self._engine) as connection:
            if request_id:
                ids = self._charged_as(connection, operator_id, request_id)
                wanted = wanted.where(USAGE.c.request_id.in_(ids))
            rows, more = _page(connection, wanted, least_entries)
            entries = {row.sequence: unpack_entries(row.entries) for row in rows}
            revisions = _revisions(connection, set().union(*entries.values()))
            counts = {row.sequence: lines_of(row.lines) for row in rows}
            lines = lines_numbered(
                connection, {count.line_no for part in counts.values() for count in part}
            )
            away = self._away(connection, operator_id, rows)
        return AnswerPage(
            tuple(
                _answer(
                    row,
                    counts[row.sequence],
                    away[row.sequence]
                    if row.sequence in away
                    else [_own(revisions[sequence], lines) for sequence in entries[row.sequence]],
                    lines,
                )
                for row in rows
            ),
            more,
        )

    def _charged_as(
        self, connection: Connection, operator_id: str, request_id: str
    ) -> Collection[str]:
        """Return the ids that the ledger may have a request by."""
        if self._elsewhere is None:
            return [request_id]
        return {request_id, *self._elsewhere.charged_as(connection, operator_id, request_id)}

    def _away(
        self, connection: Connection, operator_id: str, rows: Sequence[Row[*tuple[Any, ...]]]
    ) -> Mapping[int, Sequence[Entry]]:
        """Return the records of answers that charge another region's, by sequence."""
        charged = {
            row.sequence: ChargedElsewhere(row.request_id, row.chunk, row.lines)
            for row in rows
            if not row.entry_count
        }
        if not charged or self._elsewhere is None:
            return {}
        found = self._elsewhere.entries(connection, operator_id, charged.values())
        return {sequence: found[answer] for sequence, answer in charged.items()}


def _narrowed(operator_id: str, from_: int | None, until: int | None) -> Select[*tuple[Any, ...]]:
    query = select(USAGE).where(USAGE.c.operator_id == operator_id, USAGE.c.kind == ANSWER)
    if from_ is not None:
        query = query.where(USAGE.c.served_at >= from_)
    if until is not None:
        query = query.where(USAGE.c.served_at < until)
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
            entries += row.entry_count or sum(line.records for line in lines_of(row.lines))
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


def _own(revision: _Revision, lines: Mapping[int, Line]) -> Entry:
    line = lines[revision.line_no]
    entry = MeteredEntry(revision.record_id, revision.revision, *line, 0, "")
    return Entry(revision.line_no, entry)


def _answer(
    row: Row[*tuple[Any, ...]],
    counts: Sequence[LineCount],
    records: Sequence[Entry],
    lines: Mapping[int, Line],
) -> MeteredAnswer:
    prices = {count.line_no: count.unit_price for count in counts}
    borne = bearers(row.licence, row.licences, row.lines, [line_no for line_no, _ in records])
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
            replace(entry, unit_price=prices[line_no], licence=bearer)
            for (line_no, entry), bearer in zip(records, borne, strict=True)
        ),
    )
