"""Table of the authority log: one row is one version of one thing administrators decide."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# The sequence is given by the writer, not by the database: a database's own counter
# is drawn before the commit, so a reader could see 8, move on, and never see 7.
AUTHORITY_LOG: Final = Table(
    "authority_log",
    METADATA,
    Column("sequence", _Sequence, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("id", String(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("changed_by", String(64), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("kind", "id", "version", name="uq_authority_log_kind_id_version"),
)
