"""Tables of the decision log: what its entries are found by, and how far it has come."""

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
    UniqueConstraint,
    text,
)

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")


FoundBy = tuple[int, int, str, str, str, str, int, int, int, int]
"""A row of DECISIONS, its columns in order."""


class Source(IntEnum):
    """Where decisions are written first."""

    USAGE = 1
    REFUSALS = 2
    CONSENTS = 3


# What the log's entries are found by; the entries themselves are in the log. source_sequence
# is that of the row in the source.
DECISIONS: Final = Table(
    "audit_decisions",
    METADATA,
    Column("log_index", _Sequence, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("decision_id", String(40), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("operator_id", String(40), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("reason", SmallInteger, nullable=False),
    Column("source", SmallInteger, nullable=False),
    Column("source_sequence", BigInteger, nullable=False),
    UniqueConstraint("source", "source_sequence", name="uq_audit_decisions_source"),
    Index("ix_audit_decisions_decision", "decision_id"),
    Index("ix_audit_decisions_at", "at", "log_index"),
    Index("ix_audit_decisions_operator", "operator_id", "at", "log_index"),
    Index("ix_audit_decisions_client", "client_id", "at", "log_index"),
    Index(
        "ix_audit_decisions_refused",
        "reason",
        "at",
        "log_index",
        sqlite_where=text("reason <> 0"),
        postgresql_where=text("reason <> 0"),
    ),
)

# How far each source was followed, and the sequences before that which were not there then:
# on PostgreSQL a transaction may commit after one that began later.
FOLLOWED: Final = Table(
    "audit_followed",
    METADATA,
    Column("source", SmallInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
)

GAPS: Final = Table(
    "audit_gaps",
    METADATA,
    Column("source", SmallInteger, primary_key=True, autoincrement=False),
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("since", BigInteger, nullable=False),
)

# Numbers that were missing for longer than any transaction lasts, [first, last]: looked for
# now and then for good.
LOST: Final = Table(
    "audit_lost",
    METADATA,
    Column("source", SmallInteger, primary_key=True, autoincrement=False),
    Column("first", _Sequence, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)
