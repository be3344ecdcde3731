"""How often requests were answered again, when last, and with what: that charges nothing and is no
answer of its own, but whoever had lost its copies has them back."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects import postgresql, sqlite

from consent.writes import row_key
from gateway.meter.model import AnswerKey
from gateway.storage.inserts import INSERT

METADATA: Final = MetaData()

# One row for each answer that was given again with records, and each part of it that a retry was
# given where that was less (a licence covers less by then): few. ``entries`` are the sequences of
# the revisions given, as in the ledger, ``given`` their SHA-256; ``replayed_at`` in seconds, UTC.
# ``times`` is 1 at least for what was given again before it was counted.
REPLAYS: Final = Table(
    "usage_replays",
    METADATA,
    Column("operator_id", String(40), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("given", String(64), primary_key=True),
    Column("entries", LargeBinary, nullable=False),
    Column("replayed_at", BigInteger, nullable=False),
    Column("times", BigInteger, nullable=False, server_default="1"),
    Index("ix_usage_replays_replayed_at", "operator_id", "replayed_at"),
)


class Again(NamedTuple):
    """An answer given again, with the sequences of the revisions given, as in the ledger."""

    answer: AnswerKey
    entries: bytes


def noted(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Return the statement that notes an answer given again, on one kind of store."""
    add = INSERT[dialect](REPLAYS).values(dict.fromkeys(column.name for column in REPLAYS.c))
    return add.on_conflict_do_update(
        index_elements=[*REPLAYS.primary_key],
        set_={
            "replayed_at": add.excluded.replayed_at,
            "times": REPLAYS.c.times + add.excluded.times,
        },
    )


def rows_of(again: Mapping[Again, int], now: int) -> list[tuple[Any, ...]]:
    """Return answers given again at ``now`` (seconds, UTC), each so often, as rows of `REPLAYS`."""
    return [
        (*answer, sha256(entries).hexdigest(), entries, now, times)
        for (answer, entries), times in again.items()
    ]


def written(rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, str]]:
    """Return what is told of rows of `REPLAYS` that were written: their table, and keys."""
    keys = len(REPLAYS.primary_key)
    return [(REPLAYS.name, row_key(row[:keys])) for row in rows]
