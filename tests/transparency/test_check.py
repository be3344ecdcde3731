"""The check of the stores: nothing to say of what the gateway wrote, and something of every
byte that anybody else wrote."""

import random

import pytest
from sqlalchemy import Engine, Table, and_, delete, insert, select, update

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
from tests.examples import rarely_on_postgresql
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
from tests.transparency.tampering import mutate, removed, rows_of

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
# Cosignatures verify by themselves, by keys of others.
MEANINGLESS = {
    MAP_OPENNESS.c.from_event,
    MAP_OPENNESS.c.item,
    MAP_HEAD.c.id,
    CHECKPOINTS.c.cosignatures,
}


def history(engines: Engines, bulk: int = 300) -> Mapped:
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
        [admitted(f"bulk-{n}", SUBJECTS[n % 6], RATING, NOW, None, "C") for n in range(bulk)]
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


@rarely_on_postgresql
def test_other_salts_are_noticed(engines: Engines) -> None:
    history(engines)
    found = check_disclosure(engines, Salts(bytes(32)))
    assert found.faults


@rarely_on_postgresql
@pytest.mark.parametrize("kind", [-1, 300])
def test_a_kind_that_no_event_has_is_found(engines: Engines, kind: int) -> None:
    history(engines)
    with engines.records.begin() as connection:
        connection.execute(update(EVENTS).where(EVENTS.c.sequence == 3).values(kind=kind))
    assert checked(engines).faults


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


def mutated(engines: Engines, chance: random.Random, rows_each: int) -> int:
    """Change values of every table checked; return how many changes were found."""
    stores = {table: of(engines, table) for table in CHECKED}
    return mutate(stores, MEANINGLESS, lambda: checked(engines).faults, chance, rows_each)


@rarely_on_postgresql
def test_a_changed_byte_of_any_table_is_found(engines: Engines) -> None:
    history(engines, bulk=20)
    assert mutated(engines, random.Random(0), 1) > 40


@pytest.mark.soak
def test_thousands_of_changed_bytes_are_all_found(engines: Engines) -> None:
    history(engines)
    assert sum(mutated(engines, random.Random(seed), 12) for seed in range(12)) > 5_000


@rarely_on_postgresql
def test_rows_taken_away_or_put_in_are_found(engines: Engines) -> None:
    history(engines)
    chance = random.Random(7)
    for table in CHECKED:
        engine = of(engines, table)
        row = chance.choice(rows_of(engine, table))
        with removed(engine, table, row):
            assert checked(engines).faults, table.name
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
