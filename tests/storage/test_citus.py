"""The schema can be spread over machines as Citus does it: by docs/examples/citus.sql.

Citus itself is not here; what it asks of keys is checked on PostgreSQL. Source: Citus 13,
"Determining the distribution column" and "Limitations": each primary key and unique constraint has
the distribution column, and foreign keys between distributed tables are of tables that are kept
together and have it too.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, inspect, text

from tests.docs.pages import DOCS
from tests.storage.schemas import tables_in
from tests.stores import PostgresStores, engines_of

SQL = (DOCS / "examples" / "citus.sql").read_text(encoding="utf-8")
_SPREAD = re.compile(r"create_distributed_table\('(\w+)', '(\w+)'(?:, colocate_with => '(\w+)')?\)")
_REFERENCE = re.compile(r"create_reference_table\('(\w+)'\)")


class Spread(NamedTuple):
    """How a table is spread: by which column, and with which others."""

    column: str
    group: str


DISTRIBUTED = {
    table: Spread(column, group if group and group != "none" else table)
    for table, column, group in _SPREAD.findall(SQL)
}
REFERENCE = set(_REFERENCE.findall(SQL))


def _local() -> list[str]:
    """Return the tables that stay, each below its reason."""
    found: list[str] = []
    listing = False
    for line in SQL.splitlines():
        if line.startswith("-- local: "):
            listing = True
        elif listing and (names := re.fullmatch(r"--   ((?:\w+ ?)+)", line)):
            words = names[1].split()
            # What goes on for a line in plain words has an article, or a full stop.
            found += words if all(re.fullmatch(r"[a-z]+(_[a-z]+)*", word) for word in words) else []
    return found


@pytest.fixture(scope="module")
def connection(postgres_stores: PostgresStores) -> Iterator[Connection]:
    """A migrated database after the keys were changed; nothing is spread, for there is no Citus."""
    changes = "".join(
        statement + ";"
        for statement in SQL.split("BEGIN;")[1].split(";")
        if re.search(r"^(ALTER TABLE|CREATE INDEX)", statement.strip(), re.MULTILINE)
    )
    with (
        postgres_stores.database() as store,
        engines_of(*store) as engines,
        engines.records.begin() as connection,
    ):
        connection.execute(text(changes))
        yield connection


def test_each_table_has_its_place_once(connection: Connection) -> None:
    there = {name for name in tables_in(connection.engine) if not name.startswith("alembic")}
    places = Counter([*DISTRIBUTED, *REFERENCE, *_local()])
    named = {name for name in places if name in there}
    assert there - named == set(), "give the table its place in docs/examples/citus.sql"
    assert {name for name in (*DISTRIBUTED, *REFERENCE) if name not in there} == set()
    assert {name: count for name, count in places.items() if count > 1} == {}


def test_every_key_of_a_spread_table_has_the_column_it_is_spread_by(connection: Connection) -> None:
    found = inspect(connection)
    without: list[Any] = []
    for table, spread in DISTRIBUTED.items():
        keys = [found.get_pk_constraint(table)["constrained_columns"]]
        keys += [each["column_names"] for each in found.get_unique_constraints(table)]
        keys += [each["column_names"] for each in found.get_indexes(table) if each["unique"]]
        without += [(table, key) for key in keys if spread.column not in key]
    assert without == []


def test_foreign_keys_are_those_that_citus_takes(connection: Connection) -> None:
    found = inspect(connection)
    refused: list[Any] = []
    for table in found.get_table_names():
        for key in found.get_foreign_keys(table):
            target = key["referred_table"]
            if target in REFERENCE or (table not in DISTRIBUTED and target not in DISTRIBUTED):
                continue
            here, there = DISTRIBUTED.get(table), DISTRIBUTED.get(target)
            together = here and there and here.group == there.group
            if not (together and here and here.column in key["constrained_columns"]):
                refused.append((table, key))
    assert refused == []


def test_tables_kept_together_are_spread_by_columns_of_one_type(connection: Connection) -> None:
    found = inspect(connection)
    types: dict[str, set[str]] = {}
    for table, spread in DISTRIBUTED.items():
        (column,) = (each for each in found.get_columns(table) if each["name"] == spread.column)
        types.setdefault(spread.group, set()).add(type(column["type"]).__name__)
    assert {group: each for group, each in types.items() if len(each) > 1} == {}
