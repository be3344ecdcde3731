"""What the gateway wrote down stands in the log of decisions, row by row and state by state."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Engine,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from consent.sql import SqlConsents
from consent.tables import CONSENT, DELEGATION
from consent.tables import WRITES as CONSENT_WRITES
from consent.writes import wrote as consent_wrote
from creditgate.v1 import audit_service_pb2 as pb
from gateway.audit.check import check_decisions
from gateway.audit.fact_tables import FACTS
from gateway.audit.fact_writer import FactWriter
from gateway.audit.facts import Fact, fact_digest
from gateway.conformance.finding_tables import CHALLENGES, FINDINGS
from gateway.selfcheck.kept import KEPT
from gateway.storage.engines import Engines
from gateway.storage.writes import WRITES, wrote
from gateway.transparency.faults import Fault
from gateway.transparency.log import MerkleLog
from gateway.transparency.tables import LogId
from operators.log import Draft
from operators.sql import SqlAuthorityLog
from tests.clock import NOW
from tests.examples import rarely_on_postgresql
from tests.people import COMPANY
from tests.stores import engines_of
from tests.transparency.keys import key_of
from tests.transparency.tampering import changed, mutate, removed, rows_of, tampered

ROWS = 3


@dataclass
class Desk:
    """Stores with rows of every table that is logged, and who logs them."""

    engines: Engines

    def __post_init__(self) -> None:
        self.log = MerkleLog(
            self.engines.evidence, LogId.DECISIONS, key_of("gateway.invalid/log/decisions")
        )
        self.writer = FactWriter(self.engines, self.log, KEPT)

    def engine(self, table: Table) -> Engine:
        """Return the engine of a table's store."""
        return engine_of(self.engines, table)

    def furnish(self) -> None:
        """Write rows of every table, as if before anything was logged."""
        SqlAuthorityLog(self.engines.authority).append(
            [Draft("operator", f"o-{number}", 0, {"name": "invented"}) for number in range(ROWS)],
            changed_by="administrator",
            changed_at=NOW,
            reason="test",
        )
        for name, kept in KEPT.items():
            if kept.schema != "authority":
                with self.engine(kept.table).begin() as connection:
                    rows = [row_of(kept.table, number) for number in range(1, ROWS + 1)]
                    connection.execute(insert(kept.table), rows)
                assert name

    def follow(self) -> None:
        """Log all that was written."""
        while self.writer.step(NOW):
            pass

    def size(self) -> int:
        """Return how many entries the log has."""
        latest = self.log.latest()
        return 0 if latest is None else latest.size

    def places(self) -> set[str]:
        """Return the tables in which something is wrong."""
        return {fault.place.split(",")[0] for fault in self.faults()}

    def faults(self) -> Sequence[Fault]:
        """Check the log against the rows."""
        receipts = SqlConsents(self.engines.records).receipts
        return check_decisions(self.engines, receipts, KEPT)[1]


def engine_of(engines: Engines, table: Table) -> Engine:
    """Return the engine of a table's store."""
    found: Engine = getattr(engines, KEPT[table.name].schema)
    return found


def row_of(table: Table, number: int) -> dict[str, Any]:
    """Return an invented row."""
    row: dict[str, Any] = {}
    for column in table.columns:
        match column.type:
            case Boolean():
                row[column.name] = False
            case SmallInteger() | Integer() | BigInteger():
                row[column.name] = number
            case LargeBinary():
                row[column.name] = bytes([number]) * 4
            case _:
                row[column.name] = f"{column.name[:8]}-{number}"
    if "subject" in row:
        row["subject"] = COMPANY
    return row


def logged(engines: Engines) -> Desk:
    """Return stores whose rows are all logged."""
    made = Desk(engines)
    made.furnish()
    made.follow()
    return made


@pytest.fixture
def desk(engines: Engines) -> Desk:
    """Stores whose rows are all logged, of the test's own."""
    return logged(engines)


@pytest.fixture(scope="module", params=["sqlite_stores", "postgres_stores"])
def standing(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """As `desk`, for the tests that leave all as it was."""
    with request.getfixturevalue(request.param).database() as store, engines_of(*store) as engines:
        yield logged(engines)


@rarely_on_postgresql
def test_every_row_there_was_is_logged_once_and_then_nothing_more(standing: Desk) -> None:
    assert standing.size() == ROWS * len(KEPT)
    assert not standing.faults()
    standing.follow()
    FactWriter(standing.engines, standing.log, KEPT).step(NOW)
    assert standing.size() == ROWS * len(KEPT)


@rarely_on_postgresql
def test_entries_name_no_subject(standing: Desk) -> None:
    for entry in standing.log.entries(range(standing.size())):
        assert COMPANY.encode() not in entry
        assert pb.DecisionEntry.FromString(entry).fact_key.startswith("[")


@rarely_on_postgresql
def test_every_changed_value_and_every_row_taken_away_is_found(standing: Desk) -> None:
    chance = Random(20261128)
    columns = {
        table: [each for each in table.columns if each.name not in KEPT[table.name].omitted]
        for table in (kept.table for kept in KEPT.values())
    }
    # One column of every table at a time: each must be told by itself.
    for number in range(max(map(len, columns.values()))):
        with ExitStack() as stack:
            changes = [
                (table, some[number]) for table, some in columns.items() if number < len(some)
            ]
            for table, column in changes:
                row = rows_of(standing.engine(table), table)[1]
                value = 99 if column.primary_key else changed(chance, _bytes(row[column.name]))
                if column.primary_key and not isinstance(row[column.name], int):
                    value = "other"
                stack.enter_context(tampered(standing.engine(table), table, row, column, value))
            assert standing.places() >= {table.name for table, _ in changes}, number
    with ExitStack() as stack:
        for table in columns:
            row = rows_of(standing.engine(table), table)[0]
            stack.enter_context(removed(standing.engine(table), table, row))
        assert standing.places() >= {table.name for table in columns}
    assert not standing.faults()


def _bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def test_what_was_null_and_is_no_more_is_found(desk: Desk) -> None:
    with desk.engines.records.begin() as connection:
        connection.execute(update(DELEGATION).values(ended_at=None))
        for number in range(1, ROWS + 1):
            consent_wrote(connection, DELEGATION, f"delegati-{number}")
    desk.follow()
    assert not desk.faults()
    with desk.engines.records.begin() as connection:
        connection.execute(update(DELEGATION).values(ended_at=0))
    assert len(desk.faults()) == ROWS


@rarely_on_postgresql
def test_rows_put_in_are_found(standing: Desk) -> None:
    tables = [kept.table for kept in KEPT.values() if kept.schema != "authority"]
    for table in tables:
        with standing.engine(table).begin() as connection:
            connection.execute(insert(table).values(row_of(table, 9)))
    # All at once: each must be told by itself.
    faults = standing.faults()
    assert {fault.what for fault in faults} == {"the log does not have it"}
    places = [fault.place.split(",")[0] for fault in faults]
    assert sorted(places) == sorted(table.name for table in tables)
    for table in tables:
        with standing.engine(table).begin() as connection:
            key = next(iter(table.primary_key))
            newest = select(func.max(key)).scalar_subquery()
            connection.execute(delete(table).where(key == newest, *_ninth(table)))
    assert not standing.faults()


def _ninth(table: Table) -> list[Any]:
    row = row_of(table, 9)
    return [column == row[column.name] for column in table.primary_key]


def test_what_a_row_says_next_is_logged_and_what_it_said_is_passed(desk: Desk) -> None:
    before = desk.size()
    with desk.engines.evidence.begin() as connection:
        connection.execute(
            update(FINDINGS).where(FINDINGS.c.finding_id == "finding_-1").values(state=3)
        )
        wrote(connection, FINDINGS, [("finding_-1",)])
    # What waits to be logged is no fault.
    assert not desk.faults()
    desk.follow()
    assert desk.size() == before + 1
    assert not desk.faults()


def test_a_row_deleted_by_the_gateway_is_explained_and_one_put_back_is_found(desk: Desk) -> None:
    with desk.engines.evidence.begin() as connection:
        gone = delete(CHALLENGES).where(CHALLENGES.c.challenge_id == "challeng-2")
        kept = connection.execute(gone.returning(CHALLENGES)).mappings().one()
        wrote(connection, CHALLENGES, [("challeng-2",)])
    desk.follow()
    assert not desk.faults()
    with desk.engines.evidence.begin() as connection:
        connection.execute(insert(CHALLENGES).values(dict(kept)))
    assert desk.faults()


@rarely_on_postgresql
@pytest.mark.parametrize(
    "rows", [pytest.param(2, id="few"), pytest.param(6, id="many", marks=pytest.mark.soak)]
)
def test_salts_and_places_changed_or_taken_away_are_found(desk: Desk, rows: int) -> None:
    with desk.engines.evidence.begin() as connection:
        wrote(connection, FINDINGS, [("finding_-1",)])
    desk.follow()
    evidence = desk.engines.evidence
    # Places are unique: one that is none of the log is the other there is.
    assert mutate({FACTS: evidence}, {FACTS.c.log_index}, desk.faults, Random(7), rows) > 2 * rows
    for row in rows_of(evidence, FACTS)[:rows]:
        with tampered(evidence, FACTS, row, FACTS.c.log_index, 10**6):
            assert desk.faults()
        with removed(evidence, FACTS, row):
            assert desk.faults()


def test_facts_all_taken_away_are_not_taken_for_a_log_without_any(desk: Desk) -> None:
    with desk.engines.evidence.begin() as connection:
        connection.execute(delete(FACTS))
    FactWriter(desk.engines, desk.log, KEPT).step(NOW)
    with desk.engines.evidence.connect() as connection:
        assert connection.execute(select(func.count()).select_from(WRITES)).scalar() == 0
    assert desk.faults()


def test_what_is_logged_twice_after_a_crash_says_the_same(desk: Desk) -> None:
    with desk.engines.records.begin() as connection:
        consent_wrote(connection, CONSENT, "consent_-1")
        waiting = connection.execute(select(CONSENT_WRITES)).mappings().all()
    desk.follow()
    with desk.engines.records.begin() as connection:
        connection.execute(insert(CONSENT_WRITES), [dict(row) for row in waiting])
    desk.follow()
    assert not desk.faults()


def test_a_row_of_a_table_that_is_logged_no_more_keeps_nothing_waiting(desk: Desk) -> None:
    with desk.engines.evidence.begin() as connection:
        connection.execute(insert(WRITES).values(written="former", row_key="[1]"))
        connection.execute(insert(WRITES).values(written="findings", row_key="no key"))
    desk.follow()
    with desk.engines.evidence.connect() as connection:
        assert connection.execute(select(func.count()).select_from(WRITES)).scalar() == 0


def test_a_digest_is_that_of_the_documentation() -> None:
    fact = Fact("findings", '["f-1"]', {"state": 1, "finding_id": "f-1", "held": None})
    said = b'["findings","[\\"f-1\\"]",{"finding_id":"f-1","held":null,"state":1}]'
    from hashlib import sha256

    assert (
        fact_digest(b"s" * 16, fact) == sha256(b"creditgate/fact/v1\n" + b"s" * 16 + said).digest()
    )
