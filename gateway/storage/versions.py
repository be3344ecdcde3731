"""Which versions may serve on a store's schema: what its migrations say, and where it is kept.

A migration names in ``serves_from`` the oldest revision whose code may serve on what it makes; one
that names none is for its own code and newer alone. The store keeps the newest that was named up to
where it stands, in the row in which Alembic keeps the revision, and written with it: so a version
that does not know the revision yet can be told (docs/decisions/0058).
"""

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any, Final

from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    select,
    text,
    update,
)

_SERVES_FROM: Final = "serves_from"
_LONGEST: Final = 32


class StoreOfNewerVersion(RuntimeError):
    """A newer version migrated the store, and does not say that this one may serve beside it."""


@cache
def line_of(location: str) -> tuple[str, ...]:
    """Return the revisions of a folder of migrations, the oldest first; they are one line."""
    return tuple(
        script.revision for script in reversed([*ScriptDirectory(location).walk_revisions()])
    )


def stands(connection: Connection, name: str, line: tuple[str, ...]) -> bool:
    """Return whether a schema is as far as ``line``, or further as a newer version made it and
    this one may serve on. ``name`` is that of Alembic's table.

    Raises StoreOfNewerVersion where it is further, and this version may not.
    """
    context = MigrationContext.configure(connection, opts={"version_table": name})
    heads = context.get_current_heads()
    newer = [head for head in heads if head not in line]
    if newer and _serves_from(connection, name) not in line:
        at = f"{name.removeprefix('alembic_version_')} {newer[0]}"
        raise StoreOfNewerVersion(
            f"A newer version brought the store's schema to {at}, and does not say that this one,"
            f" of {line[-1]}, may serve beside it: run that version, or a newer one. To go back,"
            " restore the copy that was made before the upgrade."
        )
    return bool(newer) or heads == line[-1:]


def _serves_from(connection: Connection, name: str) -> str | None:
    if not _has_column(connection, name):
        return None
    return connection.execute(select(_table(name).c[_SERVES_FROM])).scalar()


def add_column(connection: Connection, name: str) -> None:
    """Let Alembic's table, which is made where there is none, hold from which revision on code may
    serve. ``connection`` is left in the transaction it is in, or in none."""
    with nullcontext() if connection.in_transaction() else connection.begin():
        _table(name).create(connection, checkfirst=True)
        if not _has_column(connection, name):
            connection.execute(
                text(f"ALTER TABLE {name} ADD COLUMN {_SERVES_FROM} VARCHAR({_LONGEST})")
            )


def _has_column(connection: Connection, name: str) -> bool:
    return any(column["name"] == _SERVES_FROM for column in inspect(connection).get_columns(name))


def keep(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[str], run_args: Mapping[str, Any]
) -> None:
    """Keep from which revision on code may serve: Alembic's ``on_version_apply``, called after
    each migration in its transaction."""
    del step, run_args  # it is called by their names
    assert ctx.connection is not None
    assert ctx.script is not None
    for head in heads:
        named = oldest_serving(ctx.script, head)
        ctx.connection.execute(update(_table(ctx.version_table)).values({_SERVES_FROM: named}))


def oldest_serving(scripts: ScriptDirectory, revision: str) -> str:
    """Return the oldest revision whose code may serve on a schema at ``revision``: the newest of
    those that its migrations name."""
    made = [*scripts.iterate_revisions(revision, "base")]
    newest_first = [script.revision for script in made]
    named = {getattr(script.module, _SERVES_FROM, script.revision) for script in made}
    return min(named, key=newest_first.index)


def _table(name: str) -> Table:
    # As Alembic makes it, with one column more.
    return Table(
        name,
        MetaData(),
        Column("version_num", String(_LONGEST)),
        Column(_SERVES_FROM, String(_LONGEST)),
        PrimaryKeyConstraint("version_num", name=f"{name}_pkc"),
    )
