"""The use at a place of an operator's usage log, by the ledger: its sequence, when it was made."""

from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.meter.tables import USAGE


def made_at(connection: Connection, operator_id: str, place: int, until: int) -> int | None:
    """Return when the use at a place was made (seconds, UTC), None where the ledger has none.

    ``until`` is the ledger's sequence of one at that place or later.
    """
    row = _row_at(connection, operator_id, place, until)
    return None if row is None else row.served_at


def sequence_at(connection: Connection, operator_id: str, place: int) -> int | None:
    """Return the ledger's sequence of the use at a place, None where the ledger has none."""
    newest = select(func.max(USAGE.c.sequence)).where(USAGE.c.operator_id == operator_id)
    until = connection.execute(newest).scalar() or 0
    row = _row_at(connection, operator_id, place, until)
    return None if row is None else row.sequence


def _row_at(
    connection: Connection, operator_id: str, place: int, until: int
) -> Row[*tuple[Any, ...]] | None:
    """Places follow sequences, and there is an index of those alone, so it is searched for by
    halves."""
    before = 0
    while before < until:
        middle = (before + until) // 2
        row = connection.execute(
            select(USAGE.c.sequence, USAGE.c.usage_index, USAGE.c.served_at)
            .where(USAGE.c.operator_id == operator_id, USAGE.c.sequence > middle)
            .order_by(USAGE.c.sequence)
            .limit(1)
        ).first()
        if row is None or row.usage_index > place:
            until = middle
        elif row.usage_index == place:
            return row
        else:
            # Each place is at least one sequence further.
            before = row.sequence + place - row.usage_index - 1
    return None
