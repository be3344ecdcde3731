"""The check of the stores: nothing to say of what the gateway wrote, and something of every
byte that anybody else wrote."""

import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Table, and_, delete, insert, select, update

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.disclose.frame import frame, unframe
from gateway.disclose.tables import EVENTS, LINES, REVISIONS
from gateway.storage.engines import Engines
from gateway.transparency.check import Checked, check_disclosure
from gateway.transparency.identity import require_own
from gateway.transparency.map_tables import (
    MAP_HEAD,
    MAP_MEMBERS,
    MAP_OPENNESS,
    MAP_SETS,
    MAP_TILES,
)
from gateway.transparency.salts import Salts
from gateway.transparency.tables import BUNDLES, CHECKPOINTS, HEADS, LOGS, TILES, LogId
from tests.clock import NOW
from tests.transparency.keys import key_of
from tests.transparency.mapped import (
    ITEMS,
    LICENCE,
    PENALTY,
    RATING,
    SALTS,
    SUBJECTS,
    Mapped,
    admitted,
)

CHECKED = (
    LOGS,
    TILES,
    BUNDLES,
    CHECKPOINTS,
    HEADS,
    MAP_HEAD,
    MAP_MEMBERS,
    MAP_SETS,
    MAP_TILES,
    MAP_OPENNESS,
    EVENTS,
    REVISIONS,
    LINES,
)
# From which event on an item is protected is only told apart by its events, and of the map's
# head there is one row, whatever its number.
MEANINGLESS = {MAP_OPENNESS.c.from_event, MAP_OPENNESS.c.item, MAP_HEAD.c.id}


def history(engines: Engines) -> Mapped:
    """Disclose, correct, repair, expire and protect records, logging all along."""
    mapped = Mapped(engines)
    with engines.evidence.begin() as connection:
        require_own(connection, LogId.DISCLOSURE, key_of().verifier, SALTS)
    # Only of items that have records can it be told what was tampered with.
    mapped.catalogue = {item: mapped.catalogue[item] for item in ITEMS}
    mapped.follow()
    ids = [
        mapped.publish(subject, item, until=until)
        for subject in SUBJECTS
        for item, until in ((PENALTY, NOW + 100), (LICENCE, None), (RATING, NOW + 5_000))
    ]
    mapped.follow()
    mapped.correct(ids[0], NOW + 200, "B")
    mapped.publish(SUBJECTS[0], PENALTY, from_=NOW + 50, until=NOW + 9_000)
    mapped.follow()
    mapped.end(ids[4])
    mapped.end(ids[0])
    mapped.protect(PENALTY, not mapped.is_protected(PENALTY))
    mapped.follow()
    mapped.now += 120
    mapped.follow()
    mapped.publish_all(
        [admitted(f"bulk-{n}", SUBJECTS[n % 6], RATING, NOW, None, "C") for n in range(300)]
    )
    mapped.store.end(
        "bulk-7", 1, DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN, "why", "site", mapped.now
    )
    mapped.follow()
    return mapped


def checked(engines: Engines) -> Checked:
    """Check the stores."""
    return check_disclosure(engines, SALTS)


def test_what_the_gateway_wrote_is_found_as_it_wrote_it(engines: Engines) -> None:
    mapped = history(engines)
    found = checked(engines)
    assert found.faults == []
    assert found.events == mapped.store.head()
    assert found.entries == found.events + found.checkpoints
    # What is disclosed and not logged yet is no fault.
    mapped.publish(SUBJECTS[0], PENALTY)
    assert checked(engines).faults == []


def test_an_empty_store_has_nothing_wrong(engines: Engines) -> None:
    assert checked(engines) == Checked(0, 0, 0, [])


def test_other_salts_are_noticed(engines: Engines) -> None:
    history(engines)
    found = check_disclosure(engines, Salts(bytes(32)))
    assert found.faults


def test_what_a_frame_holds_beside_its_record_is_found(engines: Engines) -> None:
    mapped = history(engines)
    sequence = mapped.store.head() - 5
    with engines.records.begin() as connection:
        kept = connection.execute(
            select(REVISIONS.c.frame).where(REVISIONS.c.sequence == sequence)
        ).scalar_one()
        record = unframe(bytes(kept))
        # A field that the contract does not know: no reader of it would notice.
        record.MergeFromString(b"\xfa\x07\x01x")
        connection.execute(
            update(REVISIONS).where(REVISIONS.c.sequence == sequence).values(frame=frame(record))
        )
    assert [fault.place for fault in checked(engines).faults] == [
        f"record_revisions, sequence {sequence}"
    ]


def of(engines: Engines, table: Table) -> Engine:
    """Return the engine of a table's store."""
    return engines.records if table in (EVENTS, REVISIONS, LINES) else engines.evidence


def own(table: Table, row: Any) -> Any:
    """Return the condition that finds a row again."""
    return and_(*(column == row[column.name] for column in table.primary_key))


def changed(chance: random.Random, column: Column[Any], value: Any) -> Any:
    """Return another value for a column: one bit, or one character."""
    if isinstance(value, bytes):
        data = bytearray(value or b"\0")
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(data)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(5)
    assert isinstance(value, str)
    # Never longer than it was: a column may hold no more.
    place = chance.randrange(max(1, len(value)))
    return value[:place] + ("x" if value[place : place + 1] != "x" else "y") + value[place + 1 :]


@contextmanager
def tampered(
    engine: Engine, table: Table, row: Any, column: Column[Any], value: Any
) -> Generator[None]:
    """Change one value of one row behind the gateway's back, and put it back."""
    former = row[column.name]
    with engine.begin() as connection:
        connection.execute(update(table).where(own(table, row)).values({column.name: value}))
    yield
    keys = dict(row) | {column.name: value}
    again = and_(*(each == keys[each.name] for each in table.primary_key))
    with engine.begin() as connection:
        connection.execute(update(table).where(again).values({column.name: former}))


def mutate(engines: Engines, chance: random.Random, rows_each: int) -> int:
    """Change every column of some rows of every table; return how many changes were found."""
    found = 0
    for table in CHECKED:
        engine = of(engines, table)
        with engine.connect() as connection:
            rows = connection.execute(select(table)).mappings().all()
        assert rows, table.name
        for row in chance.sample(rows, min(rows_each, len(rows))):
            for column in table.columns:
                former = row[column.name]
                if column in MEANINGLESS or former is None:
                    continue
                value = changed(
                    chance, column, bytes(former) if isinstance(former, memoryview) else former
                )
                keys = {each[column.name] for each in rows}
                if column.primary_key and value in keys:
                    continue
                with tampered(engine, table, row, column, value):
                    assert checked(engines).faults, (table.name, column.name, former, value)
                found += 1
    assert checked(engines).faults == []
    return found


def test_every_changed_byte_of_the_stores_is_found(engines: Engines) -> None:
    history(engines)
    assert mutate(engines, random.Random(20261128), 1) > 60


@pytest.mark.soak
def test_thousands_of_changed_bytes_are_all_found(engines: Engines) -> None:
    history(engines)
    assert sum(mutate(engines, random.Random(seed), 12) for seed in range(4)) > 2_000


def test_rows_taken_away_or_put_in_are_found(engines: Engines) -> None:
    history(engines)
    chance = random.Random(7)
    for table in CHECKED:
        engine = of(engines, table)
        with engine.connect() as connection:
            row = chance.choice(connection.execute(select(table)).mappings().all())
        with engine.begin() as connection:
            connection.execute(delete(table).where(own(table, row)))
        assert checked(engines).faults, table.name
        with engine.begin() as connection:
            connection.execute(insert(table).values(dict(row)))
        if table in (LOGS, MAP_HEAD, MAP_OPENNESS, LINES):
            continue
        added = dict(row)
        key = list(table.primary_key)[-1]
        added[key.name] = "other" if isinstance(added[key.name], str) else 10**6
        if table is REVISIONS:
            added["record_id"] = "other"
        with engine.begin() as connection:
            connection.execute(insert(table).values(added))
        if table is not EVENTS:
            # An event behind the last that is logged may be the next.
            assert checked(engines).faults, table.name
        with engine.begin() as connection:
            gone = and_(*(each == added[each.name] for each in table.primary_key))
            connection.execute(delete(table).where(gone))
    assert checked(engines).faults == []
