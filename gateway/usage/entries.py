"""Entries of a use, by their numbers: own records are counted, those of other regions have the numbers
they were kept by, which may begin later and leave some out."""

from sqlalchemy import Connection, select

from gateway.meter.reader import ChargedElsewhere, Elsewhere
from gateway.meter.tables import USAGE


def has_entry(
    connection: Connection, operator_id: str, sequence: int, number: int, elsewhere: Elsewhere
) -> bool:
    """Tell whether the answer of this ``sequence`` of an operator has a record of this ``number``,
    from 0, as listings name it.

    Raises LookupError as ``elsewhere``, which gives the records of other regions.
    """
    row = connection.execute(
        select(USAGE.c.entry_count, USAGE.c.request_id, USAGE.c.chunk, USAGE.c.lines).where(
            USAGE.c.operator_id == operator_id, USAGE.c.sequence == sequence
        )
    ).first()
    if row is None:
        return False
    if row.entry_count:
        return number < row.entry_count
    answer = ChargedElsewhere(row.request_id, row.chunk, row.lines)
    found = elsewhere.entries(connection, operator_id, [answer])
    return any(entry.number == number for _, entry in found[answer])
