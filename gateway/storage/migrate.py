"""Bring a store's schema up to date by Alembic, from inside the program."""

from pathlib import Path
from threading import Lock
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from gateway.storage.engines import Engines

Schema = Literal["authority", "records", "evidence"]
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_MIGRATION_LOCK: Final = 0x63726D67
# Alembic keeps what it works on in globals of its own: one at a time in a process.
_ALEMBIC: Final = Lock()


def alembic_config(schema: Schema) -> Config:
    """Return the Alembic configuration of one schema's migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / schema))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = f"alembic_version_{schema}"
    return config


def upgrade(engine: Engine, schema: Schema) -> None:
    """Apply every migration of ``schema`` that ``engine`` has not seen, in one transaction.

    Several processes and threads may call it at once: the first does the work.
    """
    config = alembic_config(schema)
    with _ALEMBIC, engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def upgrade_all(engines: Engines) -> None:
    """Bring every schema up to date."""
    upgrade(engines.authority, "authority")
    upgrade(engines.records, "records")
    upgrade(engines.evidence, "evidence")
