"""Which log a store has: its origin, its key, and the secret its entries are salted with.

A log keeps what it began with. A process with another key or secret would sign, or open,
what nobody who pinned the first can check; so it is not started.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.dialects import postgresql, sqlite

from creditgate.transparency.note import VerifierKey
from gateway.storage.engines import reading
from gateway.transparency.keys import LogKey
from gateway.transparency.salts import Salts
from gateway.transparency.tables import LOGS, LogId

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class AnotherLog(RuntimeError):
    """The store's log has another origin, key or secret than this process was given."""


def key_of_log(
    engine: Engine, log: LogId, file: Path, origin: str, salts: Salts | None = None
) -> LogKey:
    """Return the key of a store's log, which begins under ``origin`` where there is none.

    A log that there is keeps its origin, whatever the gateway's address is now. Raises
    AnotherLog, OSError, and ValueError where ``file`` holds no key.
    """
    with reading(engine) as connection:
        known = known_key(connection, log)
    key = LogKey.kept_in(file, origin if known is None else known.name)
    with engine.begin() as connection:
        require_own(connection, log, key.verifier, salts, file)
    return key


def known_key(connection: Connection, log: LogId) -> VerifierKey | None:
    """Return what verifies a store's log, None before the log began."""
    row = _row(connection, log)
    return None if row is None else VerifierKey(row.origin, bytes(row.public_key))


def require_own(
    connection: Connection,
    log: LogId,
    key: VerifierKey,
    salts: Salts | None = None,
    file: Path | None = None,
) -> None:
    """Begin a log that there is not yet, in the connection's transaction.

    Raises AnotherLog where there is one of another key, or made with other salts.
    """
    row = _row(connection, log)
    if row is None:
        add = _INSERT[connection.dialect.name](LOGS).on_conflict_do_nothing()
        connection.execute(
            add.values(
                log=log,
                origin=key.name,
                public_key=key.public,
                salts=None if salts is None else salts.fingerprint,
                size=0,
            )
        )
        row = _row(connection, log)
        assert row is not None
    if (row.origin, bytes(row.public_key)) != (key.name, key.public):
        raise AnotherLog(
            f"The log of {log.path} in the store was begun with another key than that of"
            f" {file or 'this process'}; restore the key file from a copy."
        )
    if salts is not None and row.salts != salts.fingerprint:
        raise AnotherLog(
            f"The log of {log.path} in the store was made with other salts; restore salts.key from"
            " a copy."
        )


def _row(connection: Connection, log: LogId) -> Row[str, bytes, bytes] | None:
    return connection.execute(
        select(LOGS.c.origin, LOGS.c.public_key, LOGS.c.salts).where(LOGS.c.log == log)
    ).first()
