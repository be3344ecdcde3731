"""The ledger's rows taken apart into uses: one for each revenue line of an answer.

What is credited later is a use of its own, whose numbers are negative, so that sums are net.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from gateway.disclose.model import Line
from gateway.disclose.tables import LINES
from gateway.exports.asked import asked_with
from gateway.exports.model import Use
from gateway.meter.bearers import bearers_of_lines
from gateway.meter.model import ANSWER, REVERSAL, lines_of
from gateway.meter.tables import USAGE, USAGE_HEADS

_COLUMNS: Final = (
    USAGE.c.sequence,
    USAGE.c.operator_id,
    USAGE.c.usage_index,
    USAGE.c.kind,
    USAGE.c.client_id,
    USAGE.c.request_id,
    USAGE.c.chunk,
    USAGE.c.licence,
    USAGE.c.licences,
    USAGE.c.consent,
    USAGE.c.purpose,
    USAGE.c.decision_id,
    USAGE.c.served_at,
    USAGE.c.reversed_index,
    USAGE.c.entry_count,
    USAGE.c.lines,
)


class Followed(NamedTuple):
    """How far an operator's rows were taken: ``size`` of them, the last one ``sequence``; both 0
    before the first."""

    size: int
    sequence: int


NOT_BEGUN: Final = Followed(0, 0)


class RowUses(NamedTuple):
    """The uses of one row of the ledger, or of several, none at all maybe, and how far they come."""

    uses: Sequence[Use]
    to: Followed


class LedgerLost(RuntimeError):
    """The ledger has fewer rows than were taken, or others in their places: it was put back."""


class LedgerUses:
    """Reads uses out of the ledger; one thread at a time."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}

    def after(
        self, connection: Connection, operator_id: str, after: Followed, limit: int
    ) -> Sequence[RowUses]:
        """Return the uses of an operator's next rows, ``limit`` at most, row by row in order.

        Raises LedgerLost where the rows are not those of the next places, LookupError where a
        revenue line is missing.
        """
        rows = connection.execute(
            select(*_COLUMNS)
            .where(USAGE.c.operator_id == operator_id, USAGE.c.sequence > after.sequence)
            .order_by(USAGE.c.sequence)
            .limit(limit)
        ).all()
        if [row.usage_index for row in rows] != [*range(after.size, after.size + len(rows))]:
            raise LedgerLost
        self._learn(connection, rows)
        # Records of other regions alone are charged without entries.
        elsewhere = {row.request_id for row in rows if not row.entry_count and lines_of(row.lines)}
        asked = asked_with(connection, operator_id, elsewhere)
        return [
            RowUses(
                [*self._uses(connection, row, asked.get(row.request_id))],
                Followed(row.usage_index + 1, row.sequence),
            )
            for row in rows
        ]

    def _learn(self, connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> None:
        numbers = {line.line_no for row in rows for line in lines_of(row.lines)}
        if not numbers <= self._lines.keys():
            known = connection.execute(select(LINES))
            self._lines = {line_no: Line(*names) for line_no, *names in known}

    def _uses(
        self, connection: Connection, row: Row[*tuple[Any, ...]], asked_as: str | None
    ) -> Iterator[Use]:
        """Yield the uses of a row; ``asked_as`` is the operator's own id of its request, None where
        the row has that itself."""
        sign, rated_at = 1, row.served_at
        if row.kind == REVERSAL:
            sign, rated_at = -1, _answered_at(connection, row)
        licences = bearers_of_lines(row.licence, row.licences, row.lines)
        for number, (line_no, records, unit_price) in enumerate(lines_of(row.lines)):
            yield Use(
                row.operator_id,
                row.usage_index,
                number,
                row.kind,
                row.client_id,
                asked_as or row.request_id,
                row.chunk,
                licences[number],
                row.consent,
                row.purpose,
                row.decision_id,
                row.served_at,
                rated_at,
                row.reversed_index,
                *self._lines[line_no],
                sign * records,
                unit_price,
                sign * records * unit_price,
                row.request_id if asked_as else "",
            )


def heads(connection: Connection) -> dict[str, int]:
    """Return how many rows the ledger has of each operator."""
    return {
        row.operator_id: row.next_index
        for row in connection.execute(select(USAGE_HEADS.c.operator_id, USAGE_HEADS.c.next_index))
    }


def ends(connection: Connection, operators: Collection[str]) -> dict[str, Followed]:
    """Return where the ledger of each of ``operators`` ends now."""
    found: dict[str, Followed] = {}
    for operator_id in operators:
        row = connection.execute(
            select(USAGE.c.usage_index, USAGE.c.sequence)
            .where(USAGE.c.operator_id == operator_id)
            .order_by(USAGE.c.sequence.desc())
            .limit(1)
        ).one_or_none()
        found[operator_id] = NOT_BEGUN if row is None else Followed(row[0] + 1, row[1])
    return found


def _answered_at(connection: Connection, reversal: Row[*tuple[Any, ...]]) -> int:
    """Return when the answer was given that a reversal credits."""
    at: int = connection.execute(
        select(USAGE.c.served_at).where(
            USAGE.c.operator_id == reversal.operator_id,
            USAGE.c.request_id == reversal.request_id,
            USAGE.c.chunk == reversal.chunk,
            USAGE.c.kind == ANSWER,
        )
    ).scalar_one()
    return at
