"""Every column of every table of a furnished installation is changed, and a row of every table
taken away: found, or listed with the reason why it carries no fact."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Table

from consent.sql import SqlConsents
from gateway.audit.check_facts import waiting_facts
from gateway.audit.fact_writer import FactWriter
from gateway.audit.writer import DecisionWriter
from gateway.authority.view import AuthorityView
from gateway.clock import SystemClock
from gateway.installation.home import Home
from gateway.selfcheck.check import check_stores
from gateway.selfcheck.coverage import NO_FACT, NO_FACT_COLUMNS, NO_FACT_ROWS
from gateway.selfcheck.kept import KEPT
from gateway.storage.engines import Engines, open_engines, reading
from gateway.transparency.faults import Fault
from gateway.transparency.identity import known_key
from gateway.transparency.keys import LogKey
from gateway.transparency.log import MerkleLog
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LogId
from operators.sql import SqlAuthorityLog
from tests.cli.commands import creditgate
from tests.storage.schemas import TABLES, engine_of
from tests.transparency.tampering import changed, removed, rows_of, tampered

# What the demo may have none of, beside facts that are logged (tests/selfcheck/test_facts.py changes
# rows of each): tests/audit and tests/federation/asking change these.
WITHOUT_ROWS = {
    "audit_gaps",
    "audit_lost",
    "region_answers",
    "region_asks",
    "region_credentials",
    "region_uses",
}
# Fits the shortest column of numbers.
UNUSED = 30_000


class Furnished:
    """The stores of an installation that did all the demo shows, stopped."""

    def __init__(self, engines: Engines, salts: Salts) -> None:
        self.engines = engines
        self.salts = salts

    def faults(self) -> Sequence[Fault]:
        """Check everything."""
        return check_stores(self.engines, self.salts, SystemClock().now()).faults

    def tables(self) -> Iterator[tuple[Engine, Table]]:
        """Give every table that is to be checked."""
        for schema, metadatas in TABLES.items():
            for metadata in metadatas:
                for table in metadata.sorted_tables:
                    if table.name not in NO_FACT:
                        yield engine_of(self.engines, schema), table


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    """What the demo leaves behind."""
    home: Path = tmp_path_factory.mktemp("furnished") / "home"
    done = creditgate(home, "demo", "--json")
    assert done.status == 0, done.out + done.told
    engines = open_engines("sqlite", home / "demo")
    _log_the_rest(engines, Home.at(home / "demo"))
    yield Furnished(engines, Salts.kept_in(home / "demo" / "keys" / "salts.key"))
    engines.dispose()
    shutil.rmtree(home)


def _log_the_rest(engines: Engines, home: Home) -> None:
    """Log what was written just before the gateway stopped, as its next start would."""
    with reading(engines.evidence) as connection:
        known = known_key(connection, LogId.DECISIONS)
    assert known is not None
    key = LogKey.kept_in(home.log_key(LogId.DECISIONS.path), known.name)
    log = MerkleLog(engines.evidence, LogId.DECISIONS, key)
    changes = SqlAuthorityLog(engines.authority).since(0)
    clients = AuthorityView().advanced(changes).authority.clients

    def operator_of(client_id: str) -> str:
        return clients[client_id].operator_id if client_id in clients else ""

    receipts = SqlConsents(engines.records).receipts
    for writer in (
        DecisionWriter(engines.records, engines.evidence, log, operator_of, receipts),
        FactWriter(engines, log, KEPT),
    ):
        while writer.step(SystemClock().now()):
            pass
    assert waiting_facts(engines) == 0


@pytest.mark.soak
def test_every_column_changed_and_every_row_taken_away_is_found(furnished: Furnished) -> None:
    chance = Random(20261128)
    assert not furnished.faults()
    unnoticed: list[str] = []
    found = [(engine, table, rows_of(engine, table)) for engine, table in furnished.tables()]
    assert {table.name for _, table, rows in found if not rows} <= {*KEPT, *WITHOUT_ROWS}
    for engine, table, rows in found:
        if not rows:
            continue
        row = chance.choice(rows)
        for column in table.columns:
            if f"{table.name}.{column.name}" in NO_FACT_COLUMNS:
                continue
            if column.primary_key and table.name in NO_FACT_ROWS:
                # Another key is a row taken away.
                continue
            value = _another(chance, column, row[column.name])
            with tampered(engine, table, row, column, value):
                if not furnished.faults():
                    unnoticed.append(f"{table.name}.{column.name}")
        with removed(engine, table, row):
            if not furnished.faults() and table.name not in NO_FACT_ROWS:
                unnoticed.append(table.name)
    assert not unnoticed
    assert not furnished.faults()


def _another(chance: Random, column: Column[Any], value: Any) -> Any:
    """Return another value than a row has; of numbers, one that no row has."""
    if value is None:
        value = column.type.python_type()
    if isinstance(value, bool) or not isinstance(value, int):
        return changed(chance, value)
    return UNUSED + chance.randrange(2_000) if value < UNUSED else value + 1
