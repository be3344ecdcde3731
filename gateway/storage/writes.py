"""Telling what was written of what the gateway decided about operators and reports.

Each write of such a row is told in the transaction it is made in, by table and key. Who logs
them (`gateway.audit`) follows, and looks at the rows themselves.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
)

from consent.writes import row_key

METADATA: Final = MetaData()

WRITES: Final = Table(
    "evidence_writes",
    METADATA,
    Column(
        "sequence",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("written", String(40), nullable=False),
    Column("row_key", String(400), nullable=False),
)

ANY_WRITES: Final = select(select(WRITES.c.sequence).exists())
"""Whether any is told that nobody has followed yet."""
_TELL: Final = insert(WRITES)


def wrote(connection: Connection, table: Table, keys: Iterable[Sequence[object]]) -> None:
    """Tell, in the connection's transaction, that rows are now others, or gone; ``keys`` are
    theirs, each in the order of the primary key."""
    rows = [{"written": table.name, "row_key": row_key(key)} for key in keys]
    if rows:
        connection.execute(_TELL, rows)
