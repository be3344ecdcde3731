"""The log of revocations: every process follows it, as it follows the authority log (G4)."""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from consent.connections import take_turn
from gateway.oauth.revocations import LoggedRevocation, Revocation
from gateway.oauth.tables import REVOCATION
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading
from operators.sql import CHANNEL

_APPEND_LOCK: Final = 0x6372766B
_ROW = REVOCATION.c


class RevocationLog(Protocol):
    """Where revocations are kept. Calls block; sequences follow commit order."""

    def append(self, revocations: Iterable[Revocation], now: int) -> None:
        """Write all or none; from then on every process comes to know within its poll."""
        ...

    def since(self, sequence: int) -> Sequence[LoggedRevocation]:
        """Return every revocation with a greater sequence that is not swept, in order."""
        ...


class SqlRevocationLog:
    """`RevocationLog` over an engine as `operators.sql.SqlAuthorityLog` asks for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, revocations: Iterable[Revocation], now: int) -> None:
        """Write all or none; see `RevocationLog.append`."""
        with bounded(self._engine) as connection:
            append_revocations(connection, revocations, now)

    def since(self, sequence: int) -> tuple[LoggedRevocation, ...]:
        """Return the news; see `RevocationLog.since`."""
        query = select(REVOCATION).where(_ROW.sequence > sequence).order_by(_ROW.sequence)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return tuple(
            LoggedRevocation(row.sequence, Revocation(row.kind, row.id, row.expires_at))
            for row in rows
        )


def append_revocations(connection: Connection, revocations: Iterable[Revocation], now: int) -> None:
    """Write revocations in the caller's transaction (`bounded`), so that they stand or fall with it.

    ``now`` in seconds, UTC. What has expired is swept by the way.
    """
    # Writers go one after the other, so that sequences follow commit order. SQLite's
    # writers do so already.
    take_turn(connection, _APPEND_LOCK)
    newest = connection.execute(select(func.coalesce(func.max(_ROW.sequence), 0))).scalar_one()
    # The newest stays, whatever its age: the next sequence follows from it.
    connection.execute(delete(REVOCATION).where(_ROW.expires_at <= now, _ROW.sequence < newest))
    rows = [
        {
            "sequence": sequence,
            "kind": revocation.kind,
            "id": revocation.id,
            "expires_at": revocation.expires_at,
        }
        for sequence, revocation in enumerate(revocations, newest + 1)
    ]
    if not rows:
        return
    connection.execute(insert(REVOCATION), rows)
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))
