"""The authority log in SQL, for SQLite and PostgreSQL."""

import json
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    bindparam,
    func,
    insert,
    select,
    text,
)

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.log import Change, Draft
from operators.tables import AUTHORITY_LOG

CHANNEL: Final = "creditgate_authority"
_APPEND_LOCK: Final = 0x63726D61
BOUND_MARK: Final = 0x63726D69
"""As `consent.connections.BOUND_MARK`, in this store."""
# For one transaction: a process that hangs loses what it locked, and nobody waits without end.
_LIMITS: Final = (
    "set_config('idle_in_transaction_session_timeout', '2s', true)"
    " || set_config('lock_timeout', '3s', true)"
    f" || pg_advisory_xact_lock_shared({BOUND_MARK}, 2)::text"
)
_LOG = AUTHORITY_LOG.c
_IDS_A_QUERY: Final = 500
_HEAD: Final = select(func.coalesce(func.max(_LOG.sequence), 0))
_VERSIONS: Final = (
    select(_LOG.kind, _LOG.id, func.max(_LOG.version))
    .where(
        _LOG.kind.in_(bindparam("kinds", expanding=True)),
        _LOG.id.in_(bindparam("ids", expanding=True)),
    )
    .group_by(_LOG.kind, _LOG.id)
)


class SqlAuthorityLog:
    """`operators.log.AuthorityLog` over an engine whose transactions are durable.

    On SQLite the engine must begin with the write lock (BEGIN IMMEDIATE), except on
    connections with the execution option ``creditgate_reads``, and the store must be a
    file, since threads share it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        changed_by: str,
        changed_at: int,
        reason: str,
        follows: int | None = None,
    ) -> tuple[Change, ...]:
        """Write all drafts or none; see `AuthorityLog.append`. Raises DBAPIError besides where another
        writer is waited for in vain, or this one hung for too long."""
        with self._engine.begin() as connection:
            self._take_turn(connection)
            sequence = _head(connection)
            if follows is not None and follows != sequence:
                raise Refused(
                    RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
                    "Authority was changed meanwhile; read it again and repeat.",
                )
            written: list[Change] = []
            rows: list[dict[str, object]] = []
            versions = _versions(connection, {(draft.kind, draft.id) for draft in drafts})
            for draft in drafts:
                thing = (draft.kind, draft.id)
                _require_version(versions.get(thing, 0), draft)
                document = json.dumps(dict(draft.document), ensure_ascii=False, sort_keys=True)
                sequence += 1
                change = Change(
                    sequence,
                    draft.kind,
                    draft.id,
                    draft.expected_version + 1,
                    json.loads(document),
                    changed_by,
                    changed_at,
                    reason,
                )
                versions[thing] = change.version
                rows.append(_row(change, document))
                written.append(change)
            if rows:
                connection.execute(insert(AUTHORITY_LOG), rows)
            if self._on_postgresql:
                connection.execute(text(f"NOTIFY {CHANNEL}"))
        return tuple(written)

    def since(self, sequence: int) -> tuple[Change, ...]:
        """Return every change with a greater sequence, in order."""
        return self._read(select(AUTHORITY_LOG).where(_LOG.sequence > sequence))

    def head(self) -> int:
        """Return the sequence of the newest change, 0 when there is none."""
        with self._reading() as connection:
            return _head(connection)

    def newest_changed_at(self) -> int:
        """Return the latest instant of any change (seconds, UTC), 0 before the first."""
        with self._reading() as connection:
            newest = connection.execute(select(func.max(_LOG.changed_at))).scalar_one()
        return int(newest or 0)

    def history(
        self,
        *,
        kind: str,
        id: str,  # noqa: A002  # the thing's id, as in Change
        after: int,
        limit: int,
    ) -> tuple[Change, ...]:
        """Return a page of changes; see `AuthorityLog.history`."""
        query = select(AUTHORITY_LOG).where(_LOG.sequence > after).limit(limit)
        if kind:
            query = query.where(_LOG.kind == kind)
        if id:
            query = query.where(_LOG.id == id)
        return self._read(query)

    @property
    def _on_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    def _take_turn(self, connection: Connection) -> None:
        # Writers go one after the other, so that sequences follow commit order. SQLite's
        # writers do so already.
        if self._on_postgresql:
            connection.execute(text(f"SELECT {_LIMITS}, pg_advisory_xact_lock({_APPEND_LOCK})"))

    def _read(self, query: Select[tuple[object, ...]]) -> tuple[Change, ...]:
        with self._reading() as connection:
            rows = connection.execute(query.order_by(_LOG.sequence)).all()
        return tuple(
            Change(
                sequence=row.sequence,
                kind=row.kind,
                id=row.id,
                version=row.version,
                document=json.loads(row.document),
                changed_by=row.changed_by,
                changed_at=row.changed_at,
                reason=row.reason,
            )
            for row in rows
        )

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        # The feed reads many times a second: it must not take the write lock.
        with self._engine.connect() as connection:
            yield connection.execution_options(creditgate_reads=True)


def _head(connection: Connection) -> int:
    return connection.execute(_HEAD).scalar_one()


def _versions(
    connection: Connection, things: Collection[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return the newest version of each of these things, by kind and id, that there is, and of
    others of the same kinds and ids."""
    kinds = sorted({kind for kind, _ in things})
    ids = sorted({id_ for _, id_ in things})
    found: dict[tuple[str, str], int] = {}
    for start in range(0, len(ids), _IDS_A_QUERY):
        some = ids[start : start + _IDS_A_QUERY]
        rows = connection.execute(_VERSIONS, {"kinds": kinds, "ids": some})
        found.update({(kind, id_): version for kind, id_, version in rows})
    return found


def _require_version(newest: int, draft: Draft) -> None:
    if newest == draft.expected_version:
        return
    if draft.expected_version == 0:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_EXISTS,
            f"There is already a {draft.kind} {draft.id}; choose another id.",
        )
    raise Refused(
        RefusalReason.REFUSAL_REASON_ETAG_MISMATCH,
        f"The {draft.kind} {draft.id} was changed meanwhile; read it again and repeat.",
    )


def _row(change: Change, document: str) -> dict[str, object]:
    return {
        "sequence": change.sequence,
        "kind": change.kind,
        "id": change.id,
        "version": change.version,
        "document": document,
        "changed_by": change.changed_by,
        "changed_at": change.changed_at,
        "reason": change.reason,
    }
