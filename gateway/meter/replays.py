"""When requests were answered again last: that charges nothing and is no answer of its own, but
whoever had lost its copies has them back."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table
from sqlalchemy.dialects import postgresql, sqlite

METADATA: Final = MetaData()

# One row for each answer that was given again with records, which only retries are: few. The
# answer itself, and what it held, is the ledger's. ``replayed_at`` in seconds, UTC.
REPLAYS: Final = Table(
    "usage_replays",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("replayed_at", BigInteger, nullable=False),
    Index("ix_usage_replays_replayed_at", "operator_id", "replayed_at"),
)
_ADD: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def noted(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Return the statement that notes an answer given again, on one kind of store."""
    add = _ADD[dialect](REPLAYS).values(dict.fromkeys(column.name for column in REPLAYS.c))
    return add.on_conflict_do_update(
        index_elements=[*REPLAYS.primary_key], set_={"replayed_at": add.excluded.replayed_at}
    )
