"""Migrations say whose code may serve on what they make, and take nothing from it."""

from collections.abc import Iterator

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from gateway.storage.engines import Engines
from gateway.storage.migrate import Schema, alembic_config
from tests.storage.expanding import taken_from
from tests.storage.migrating import revisions, said, upgraded
from tests.storage.schemas import TABLES, engine_of
from tests.stores import PostgresStores, engines_of

FIRST: dict[Schema, str] = {"authority": "0004", "records": "0030", "evidence": "0034"}
"""The migrations of the first release."""
NOT_RELEASED = "written before the first release: there is no former code"
TAKING: dict[tuple[Schema, str], str] = {
    ("records", "0004"): NOT_RELEASED,
    ("records", "0015"): NOT_RELEASED,
    ("records", "0017"): NOT_RELEASED,
    ("records", "0029"): NOT_RELEASED,
    ("evidence", "0015"): NOT_RELEASED,
    ("evidence", "0022"): NOT_RELEASED,
    ("evidence", "0026"): NOT_RELEASED,
    ("evidence", "0027"): NOT_RELEASED,
    ("evidence", "0028"): NOT_RELEASED,
}
"""Migrations that take something away, each with the reason why the oldest code that it names in
``serves_from`` does without."""


@pytest.fixture
def bare(postgres_stores: PostgresStores) -> Iterator[Engines]:
    """An empty PostgreSQL database without a schema."""
    with postgres_stores.database(migrated=False) as store, engines_of(*store) as engines:
        yield engines


def test_each_migration_since_the_first_release_names_the_oldest_code_that_may_serve() -> None:
    unsaid = [
        (schema, script.revision)
        for schema in TABLES
        for script in ScriptDirectory.from_config(alembic_config(schema)).walk_revisions()
        if script.revision > FIRST[schema] and not hasattr(script.module, "serves_from")
    ]
    assert not unsaid, "see docs/scale.md, Migrations while others serve"


def test_no_migration_takes_from_former_code_what_it_uses(bare: Engines) -> None:
    found: dict[tuple[Schema, str], list[str]] = {}
    for schema in TABLES:
        engine = engine_of(bare, schema)
        for revision in revisions(schema):
            there = set(inspect(engine).get_table_names())
            with said(engine) as statements:
                upgraded(engine, schema, revision)
            if taken := [each for each in statements if taken_from(each, there)]:
                found[schema, revision] = taken
    assert found.keys() == TAKING.keys(), list(found.keys() ^ TAKING.keys())


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE usage_answers",
        "ALTER TABLE usage_answers DROP COLUMN fee",
        # Whoever names its columns in ON CONFLICT needs it.
        "ALTER TABLE usage_answers DROP CONSTRAINT usage_answers_pkey",
        "ALTER TABLE usage_answers RENAME fee TO charged",
        "ALTER TABLE usage_answers RENAME TO answers",
        "ALTER TABLE usage_answers ALTER COLUMN fee TYPE NUMERIC",
        "ALTER TABLE usage_answers ALTER COLUMN fee SET NOT NULL",
        "ALTER TABLE usage_answers ALTER COLUMN fee DROP DEFAULT",
        "ALTER TABLE usage_answers ADD COLUMN asked INTEGER NOT NULL",
        "ALTER TABLE usage_answers ADD CONSTRAINT c CHECK (fee > 0) NOT VALID",
        "CREATE UNIQUE INDEX CONCURRENTLY ix ON usage_answers (fee)",
    ],
)
def test_a_statement_that_takes_from_former_code_is_told(statement: str) -> None:
    assert taken_from(statement, {"usage_answers"}) == {"usage_answers"}
    assert not taken_from(statement, set())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (number INTEGER NOT NULL)",
        "CREATE INDEX CONCURRENTLY ix ON usage_answers (fee)",
        "DROP INDEX ix",
        "ALTER TABLE usage_answers ADD COLUMN asked INTEGER DEFAULT '0' NOT NULL",
        "ALTER TABLE usage_answers ADD COLUMN asked INTEGER",
        "ALTER TABLE usage_answers ALTER COLUMN fee DROP NOT NULL",
    ],
)
def test_a_statement_that_only_adds_is_let_pass(statement: str) -> None:
    assert not taken_from(statement, {"usage_answers"})
