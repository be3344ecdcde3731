"""Table of the rows whose states are logged: where the newest is in the log, and its salt."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table, UniqueConstraint

from gateway.audit.tables import DECISIONS, FOLLOWED, GAPS, LOST, METADATA

# Salts of states that are no more are forgotten: what a row said then cannot be guessed.
FACTS: Final = Table(
    "audit_facts",
    METADATA,
    Column("kind", String(40), primary_key=True),
    Column("row_key", String(400), primary_key=True),
    Column("log_index", BigInteger, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    UniqueConstraint("log_index", name="uq_audit_facts_log_index"),
)

DECISIONS_TABLES: Final[Sequence[Table]] = (DECISIONS, FOLLOWED, GAPS, LOST, FACTS)
"""What goes with the log of decisions, and is made from what was decided and written again."""
