"""Tables of removals owed for disclosure events, and of how far events were followed."""

from enum import IntEnum
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")


class Finding(IntEnum):
    """What became of the finding that a removal is overdue.

    ``DUE``: it was overdue and the finding is still to be opened; ``CLOSING``: the removal
    was acknowledged after all and the finding is still to be rectified.
    """

    NONE = 0
    DUE = 1
    OPEN = 2
    CLOSING = 3
    CLOSED = 4


def owed_indexes(table: str) -> tuple[Index, ...]:
    """Return the indexes of a table of removals: what an operator owes, what falls due, and what
    is to be done about findings."""

    def where(name: str, condition: str, *columns: str) -> Index:
        told = text(condition)
        return Index(f"ix_{table}_{name}", *columns, sqlite_where=told, postgresql_where=told)

    return (
        where("owed", "acknowledged_at IS NULL", "operator_id", "deadline"),
        where("deadline", "acknowledged_at IS NULL AND finding = 0", "deadline"),
        where("finding", "finding IN (1, 3)", "finding"),
    )


# ``revision_sequence`` is the revision the event made void. Times in seconds, UTC. Where the
# operator had told that it holds none, ``said_answers`` and ``said_since`` are what excuses that
# it was served it again since (`gateway.conformance.told_missing`), until that is looked at.
DUTIES: Final = Table(
    "removal_duties",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("event_sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("revision_sequence", BigInteger, nullable=False),
    Column("record_id", String(128), nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("owed_since", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", String(64), nullable=False),
    Column("finding", SmallInteger, nullable=False),
    Column("said_answers", BigInteger),
    Column("said_since", BigInteger),
    Index("ix_removal_duties_record", "record_id", "event_sequence"),
    Index("ix_removal_duties_acknowledged", "operator_id", "acknowledged_at"),
    Index(
        "ix_removal_duties_said",
        "said_answers",
        sqlite_where=text("said_answers IS NOT NULL"),
        postgresql_where=text("said_answers IS NOT NULL"),
    ),
    *owed_indexes("removal_duties"),
)

# How far events were followed: one row.
FOLLOWED: Final = Table(
    "removal_duties_followed",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("event_sequence", BigInteger, nullable=False),
)
