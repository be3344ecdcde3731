"""How often retries were given other regions' records again: that charges nothing and is no use of
its own, but the records were sent once more."""

import json
from collections.abc import Sequence, Set
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import Engine

from consent.writes import wrote
from gateway.federation.asking.again import RecordKey
from gateway.federation.asking.tables import REGION_REPLAYS
from gateway.storage.bounded import bounded
from gateway.storage.inserts import INSERT


class ChunkKey(NamedTuple):
    """What a chunk of a region's answer is kept by."""

    operator_id: str
    request_id: str
    region: str
    first_subject: int


class Again(NamedTuple):
    """Records of a chunk that are given again ``at`` some instant (seconds, UTC)."""

    chunk: ChunkKey
    records: Set[RecordKey]
    at: int


class RegionReplays:
    """Counts what is given again, on SQLite and PostgreSQL. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note_all(self, given: Sequence[Again]) -> list[None]:
        """Count each once more, all of them or none. Raises what SQLAlchemy raises."""
        adding = INSERT[self._engine.dialect.name](REGION_REPLAYS)
        noting = adding.on_conflict_do_update(
            index_elements=[*REGION_REPLAYS.primary_key],
            set_={"replayed_at": adding.excluded.replayed_at, "times": REGION_REPLAYS.c.times + 1},
        )
        # By their keys, so that no two processes wait for one another.
        rows = sorted(map(_row_of, given))
        with bounded(self._engine) as connection:
            for row in rows:
                connection.execute(noting, row._asdict())
                wrote(connection, REGION_REPLAYS, *row[: len(REGION_REPLAYS.primary_key)])
        return [None] * len(given)


class _Row(NamedTuple):
    """A row of `tables.REGION_REPLAYS`, its key first."""

    operator_id: str
    request_id: str
    region: str
    first_subject: int
    given: str
    records: str
    replayed_at: int
    times: int = 1


def _row_of(again: Again) -> _Row:
    records = json.dumps(sorted(again.records), ensure_ascii=False, separators=(",", ":"))
    digest = sha256(records.encode()).hexdigest()
    return _Row(*again.chunk, digest, records, again.at)
