"""Leaves of usage logs, in the ledger: their hashes, which logs are made of, and the leaves
themselves, made anew from the rows, which are kept nowhere else."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, Dialect, bindparam, literal_column, select

from creditgate.transparency.merkle import leaf_hashes
from gateway.disclose.model import Line
from gateway.disclose.tables import LINES
from gateway.meter.leaf import LineFields, detail_of, leaf_bytes
from gateway.meter.model import UsageRow
from gateway.meter.tables import USAGE
from gateway.storage.statements import driver_text
from gateway.usage.logs import Standing

_MOST_KNOWN: Final = 64
_COLUMNS: Final = (
    USAGE.c.sequence,
    USAGE.c.leaf_hash,
    *(USAGE.c[name] for name in UsageRow._fields),
)
_HASHED: Final = (USAGE.c.sequence, USAGE.c.usage_index, USAGE.c.leaf_hash)
_PLACED: Final = (USAGE.c.sequence, USAGE.c.usage_index)


class LedgerLost(RuntimeError):
    """The ledger lacks uses that are in a usage log, or has others in their places: it was put
    back, or changed."""


class LedgerHashes(NamedTuple):
    """Rows in order: the sequence of each, its place in the usage log, and its leaf's hash."""

    sequences: Sequence[int]
    places: Sequence[int]
    hashes: Sequence[bytes]


_NO_HASHES: Final = LedgerHashes((), (), ())


class LedgerLeaf(NamedTuple):
    """A row's sequence, its place in the usage log, its leaf, of a large one the serialised
    UsageDetail that the leaf has the digest of (b"" else), and the hash that is kept of the leaf,
    None of an older row."""

    sequence: int
    place: int
    leaf: bytes
    detail: bytes
    kept_hash: bytes | None


class LedgerLeaves:
    """Reads leaves out of the ledger; one thread at a time."""

    def __init__(self) -> None:
        self._lines = LineFields()

    def after(
        self, connection: Connection, operator_id: str, sequence: int, limit: int
    ) -> list[LedgerLeaf]:
        """Return an operator's next leaves behind a sequence, in order. Raises LookupError where
        a revenue line is missing."""
        query = _after(connection.dialect, _COLUMNS, limit)
        found = connection.exec_driver_sql(query, (operator_id, sequence))
        return self._leaves(connection, found.all())

    def hashes_after(
        self, connection: Connection, operator_id: str, sequence: int, limit: int
    ) -> LedgerHashes:
        """Return the hashes of an operator's next leaves behind a sequence, in order. Raises
        LookupError as `after`."""
        query = _after(connection.dialect, _HASHED, limit)
        found = connection.exec_driver_sql(query, (operator_id, sequence)).all()
        rows = LedgerHashes(*zip(*found, strict=True)) if found else _NO_HASHES
        if None not in rows.hashes:
            return rows
        older = self.after(connection, operator_id, sequence, limit)
        return LedgerHashes(
            [each.sequence for each in older],
            [each.place for each in older],
            leaf_hashes(each.leaf for each in older),
        )

    def at(
        self,
        connection: Connection,
        operator_id: str,
        places: range,
        standing: Standing,
    ) -> list[LedgerLeaf]:
        """Return the leaves of places that a log has, given how far it has come. Raises
        LedgerLost, and LookupError as `after`."""
        behind = _behind(connection, operator_id, places.start, standing)
        found = self.after(connection, operator_id, behind, len(places))
        if [each.place for each in found] != [*places]:
            raise LedgerLost
        return found

    def of(self, connection: Connection, operator_id: str, sequence: int) -> LedgerLeaf | None:
        """Return the leaf of one row, None where the operator has none of this sequence. Raises
        LookupError as `after`."""
        query = select(*_COLUMNS).where(
            USAGE.c.operator_id == operator_id, USAGE.c.sequence == sequence
        )
        return next(iter(self._leaves(connection, connection.execute(query).all())), None)

    def _leaves(self, connection: Connection, found: Sequence[Any]) -> list[LedgerLeaf]:
        rows = [(sequence, kept, UsageRow(*row)) for sequence, kept, *row in found]
        if self._lines.unknown(row.lines for *_, row in rows):
            lines = connection.execute(select(LINES))
            self._lines.learn({line_no: Line(*names) for line_no, *names in lines})
        return [
            LedgerLeaf(
                sequence,
                row.usage_index,
                leaf_bytes(row, lines, detail),
                detail,
                None if kept is None else bytes(kept),
            )
            for sequence, kept, row in rows
            for lines in (self._lines.of(row.lines),)
            for detail in (detail_of(row, lines),)
        ]


def _behind(connection: Connection, operator_id: str, place: int, standing: Standing) -> int:
    """Return a sequence behind which an operator's next row is that of a place.

    From one row to the next sequences grow by one at least, and places by just one: each row
    looked at narrows down where the other is.
    """
    least, most = place + 1, standing.sequence - (standing.size - 1 - place)
    query = _after(connection.dialect, _PLACED, 1)
    while least < most:
        middle = (least + most) // 2
        row = connection.exec_driver_sql(query, (operator_id, middle - 1)).first()
        if row is None:
            raise LedgerLost
        sequence, found = row
        if found < place:
            least = sequence + place - found
        elif found > place:
            most = min(middle - 1, sequence - (found - place))
        else:
            return sequence - 1
    return least - 1


@lru_cache(_MOST_KNOWN)
def _after(dialect: Dialect, columns: Sequence[Column[Any]], limit: int) -> str:
    query = (
        select(*columns)
        .where(
            USAGE.c.operator_id == bindparam("operator_id"),
            USAGE.c.sequence > bindparam("sequence"),
        )
        .order_by(USAGE.c.sequence)
        .limit(literal_column(str(limit)))
        # Else a place for one is left on SQLite.
        .offset(literal_column("0"))
    )
    return driver_text(query, dialect)
