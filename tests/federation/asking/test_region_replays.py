"""What retries are given again of other regions' answers is counted durably, on both stores."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from consent.tables import WRITES
from gateway.federation.asking.again import RecordKey
from gateway.federation.asking.replays import Again, ChunkKey, RegionReplays
from gateway.federation.asking.tables import REGION_REPLAYS
from gateway.storage.engines import reading
from tests.clock import NOW
from tests.federation.asking.test_uses import NORTH, SOUTH

ONE, TWO = ("record-0000", 1), ("record-0001", 1)


def chunk(first: int = 0, region: str = NORTH) -> ChunkKey:
    return ChunkKey("alpha", "r-1", region, first)


def again(*records: RecordKey, at: int = NOW, of: ChunkKey | None = None) -> Again:
    return Again(of or chunk(), frozenset(records), at)


def counted(engine: Engine) -> list[tuple[str, int, list[list[object]], int, int]]:
    """Return what is counted: of which region and place, what, when last, and how often."""
    with reading(engine) as connection:
        rows = connection.execute(select(REGION_REPLAYS)).all()
    return sorted(
        (row.region, row.first_subject, json.loads(row.records), row.replayed_at, row.times)
        for row in rows
    )


def test_each_part_of_a_chunk_is_counted_by_itself_and_each_time_told_to_be_logged(
    records_engine: Engine,
) -> None:
    replays = RegionReplays(records_engine)
    replays.note_all([again(TWO, ONE), again(ONE, TWO), again(ONE)])
    replays.note_all([again(ONE, TWO, at=NOW + 5), again(ONE, of=chunk(10))])
    replays.note_all([again(ONE, of=chunk(region=SOUTH))])
    assert counted(records_engine) == [
        (NORTH, 0, [[*ONE]], NOW, 1),
        (NORTH, 0, [[*ONE], [*TWO]], NOW + 5, 3),
        (NORTH, 10, [[*ONE]], NOW, 1),
        (SOUTH, 0, [[*ONE]], NOW, 1),
    ]
    with reading(records_engine) as connection:
        told = connection.execute(select(WRITES.c.written, WRITES.c.row_key)).all()
    assert {each.written for each in told} == {REGION_REPLAYS.name}
    of = Counter(tuple(json.loads(each.row_key)[2:4]) for each in told)
    assert of == {(NORTH, 0): 4, (NORTH, 10): 1, (SOUTH, 0): 1}


def test_those_that_count_at_once_lose_nothing(records_engine: Engine) -> None:
    replays = RegionReplays(records_engine)
    both = [again(ONE), again(ONE, of=chunk(10))]
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(replays.note_all, [both, both[::-1]] * 10):
            pass
    assert [row[-1] for row in counted(records_engine)] == [20, 20]


def test_all_are_counted_or_none(records_engine: Engine) -> None:
    replays = RegionReplays(records_engine)
    with pytest.raises((DBAPIError, OverflowError)):
        replays.note_all([again(ONE), again(ONE, at=2**80, of=chunk(10))])
    assert counted(records_engine) == []
