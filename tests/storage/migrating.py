"""Migrations one by one, and what each says to the database."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from gateway.storage.migrate import Schema, alembic_config


def revisions(schema: Schema) -> list[str]:
    """Return a schema's revisions, the oldest first."""
    scripts = ScriptDirectory.from_config(alembic_config(schema)).walk_revisions()
    return [script.revision for script in reversed(list(scripts))]


def upgraded(engine: Engine, schema: Schema, revision: str) -> None:
    """Bring a schema to a revision, each migration in a transaction of its own."""
    config = alembic_config(schema)
    # In no transaction: each migration has its own, or none for an index made concurrently.
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@contextmanager
def said(engine: Engine) -> Generator[list[str]]:
    """Give what is said to the database."""
    statements: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    yield statements
    event.remove(engine, "before_cursor_execute", hear)
