"""Which log a store has: its origin, its key, and the secret its entries are salted with.

A log keeps what it began with. A process with another key or secret would sign, or open,
what nobody who pinned the first can check; so it is not started.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, Row, bindparam, select

from creditgate.transparency.note import VerifierKey
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from gateway.transparency.former import former_names
from gateway.transparency.keys import LogKey
from gateway.transparency.last_signed import NOTHING, LastSigned, Signed
from gateway.transparency.salts import Salts
from gateway.transparency.tables import CHECKPOINTS, LOGS, AnyLogId

_LOG: Final = select(LOGS.c.origin, LOGS.c.public_key, LOGS.c.salts, LOGS.c.size).where(
    LOGS.c.log == bindparam("of_log")
)
_LOCKED: Final = _LOG.with_for_update()


class AnotherLog(RuntimeError):
    """The store's log has another origin, key or secret than this process was given."""


class NotWhole(RuntimeError):
    """The store lacks what was signed for its log, or that is not known."""


class NotBegun(NotWhole):
    """The store has no log yet that the key would sign for."""


class NotLost(RuntimeError):
    """The store has all that was signed for its log."""


def key_of_log(
    engine: Engine, log: AnyLogId, file: Path, origin: str, salts: Salts | None = None
) -> LogKey:
    """Return the key of a store's log, which begins under ``origin`` where there is none.

    A log that there is keeps its origin, whatever the gateway's address is now. Raises
    AnotherLog, also where the store lacks what the key has signed; OSError, and ValueError
    where ``file`` holds no key.
    """
    while True:
        # In this order, which is the reverse of how a process that starts as well writes them:
        # of what it makes meanwhile, nothing is seen without that which must go with it.
        made = file.exists()
        last = LastSigned.read(file)
        with reading(engine) as connection:
            known = known_key(connection, log)
            lost = _is_lost(connection, log, known, last, made=made)
        if not lost:
            break
        # Who signed meanwhile, after a signature that was not committed, is no loss.
        again = LastSigned.read(file)
        if again is None and known is not None:
            raise AnotherLog(
                f"What {file} has signed for the log of {log.path} is not known: the key is missing,"
                " or from a copy. Restore it. If the gateway signed nothing after the copy was made, say so by"
                " `creditgate log resume`; else `creditgate log begin --log"
                f" {log.path}` begins the log anew, under another key and origin, which everybody"
                " must then pin."
            )
        if (again and again.said) == (last and last.said):
            raise AnotherLog(
                f"The store of evidence lacks what {file} has signed for the log of {log.path}:"
                " it was lost, or an older copy of it was put back. Restore its newest copy. If"
                f" there is none, `creditgate log begin --log {log.path}` begins the log anew,"
                " under another key and origin, which everybody must then pin."
            )
    if last is None:
        last = LastSigned.begun(file, origin if known is None else known.name)
    key = LogKey.kept_in(file, last.origin if known is None else known.name)
    with engine.begin() as connection:
        require_own(connection, log, key.verifier, salts, file)
        return key.after(former_names(connection, log, key.verifier))


def require_lost(
    connection: Connection, log: AnyLogId, last: LastSigned | None, file: Path
) -> None:
    """Check that the store lacks what the key in ``file`` has signed, or that the key is lost which
    the store's log goes by. Raises NotLost, and ValueError where ``file`` holds no key."""
    known = known_key(connection, log)
    if _is_lost(connection, log, known, last, made=file.exists()):
        return
    if known is None or (file.exists() and LogKey.kept_in(file, known.name).verifier == known):
        raise NotLost


def require_whole(connection: Connection, log: AnyLogId, file: Path) -> VerifierKey:
    """Return what verifies a store's log, which has all that the key in ``file`` signed. Raises
    NotWhole, and NotBegun where that is nothing yet."""
    last, known = LastSigned.read(file), known_key(connection, log)
    if last is not None and last.unused and known is None:
        raise NotBegun
    if last is None or known is None:
        raise NotWhole
    if _is_lost(connection, log, known, last, made=file.exists()) or not file.exists():
        raise NotWhole
    return known


def is_by_former(
    connection: Connection, log: AnyLogId, last: LastSigned | None, key: VerifierKey | None
) -> bool:
    """Tell whether a key before ``key`` signed ``last``, and the store has that: a process did so
    that did not see its key be changed."""
    return (
        last is not None
        and key is not None
        and last.origin in former_names(connection, log, key)
        and _has(connection, log, last)
    )


def _is_lost(
    connection: Connection,
    log: AnyLogId,
    known: VerifierKey | None,
    last: LastSigned | None,
    *,
    made: bool,
) -> bool:
    if last is None:
        # Whoever put a key back from a copy cannot know what it signed since.
        return made or known is not None
    if known is None:
        return not last.unused
    if last.origin != known.name:
        return not is_by_former(connection, log, last, known)
    return not _has(connection, log, last)


def _has(connection: Connection, log: AnyLogId, last: LastSigned) -> bool:
    def root_of(size: int) -> bytes | None:
        query = select(CHECKPOINTS.c.root).where(
            CHECKPOINTS.c.log == log, CHECKPOINTS.c.size == size
        )
        root = connection.execute(query).scalar()
        return None if root is None else bytes(root)

    return last.is_in(root_of)


def known_key(connection: Connection, log: AnyLogId) -> VerifierKey | None:
    """Return what verifies a store's log, None before the log began."""
    row = _row(connection, log)
    return None if row is None else VerifierKey(row.origin, bytes(row.public_key))


def newest_signed(connection: Connection, log: AnyLogId) -> Signed:
    """Return what a store's newest checkpoint of a log is of."""
    row = connection.execute(
        select(CHECKPOINTS.c.size, CHECKPOINTS.c.root)
        .where(CHECKPOINTS.c.log == log)
        .order_by(CHECKPOINTS.c.size.desc())
        .limit(1)
    ).first()
    return NOTHING if row is None else Signed(row.size, bytes(row.root))


def require_own(
    connection: Connection,
    log: AnyLogId,
    key: VerifierKey,
    salts: Salts | None = None,
    file: Path | None = None,
    *,
    writing: bool = False,
    begins: bool = True,
) -> int:
    """Begin a log that there is not yet, in the connection's transaction; return the number of its
    entries. ``writing`` keeps other writers out to the commit; where it does not begin here
    (``begins``), it has to be there.

    Raises AnotherLog where there is one of another key, or made with other salts, or none.
    """
    row = _row(connection, log, writing=writing)
    if row is None and not begins:
        raise AnotherLog(
            f"The log of {log.path} is not in the store any more: its key was changed beside this"
            " process, or the store was put back. Nothing more is signed; start the gateway again."
        )
    if row is None:
        add = INSERT[connection.dialect.name](LOGS).on_conflict_do_nothing()
        connection.execute(
            add.values(
                log=log,
                origin=key.name,
                public_key=key.public,
                salts=None if salts is None else salts.fingerprint,
                size=0,
            )
        )
        row = _row(connection, log, writing=writing)
        assert row is not None
    if (row.origin, bytes(row.public_key)) != (key.name, key.public):
        raise AnotherLog(_of_another_key(log, file, VerifierKey(row.origin, bytes(row.public_key))))
    if salts is not None and row.salts != salts.fingerprint:
        raise AnotherLog(
            f"The log of {log.path} in the store was made with other salts; restore salts.key from"
            " a copy. If there is none, `creditgate log rotate --log disclosure --at-once` has it made"
            " anew with those that are there."
        )
    return row.size


def _of_another_key(log: AnyLogId, file: Path | None, known: VerifierKey) -> str:
    """Return that a store's log is of the key ``known`` and not of that in ``file``, and what mends
    it."""
    if file is None:
        return (
            f"The log of {log.path} in the store goes by another key than this process: it was changed"
            " meanwhile. Nothing more is signed; start the gateway again."
        )
    told = f"The log of {log.path} in the store was begun with another key than that of {file}: "
    if (same := _file_of_key(file, known)) is not None:
        return f"{told}its own is in {same}. Copy that over {file}, and start again."
    return (
        f"{told}with {known}; restore that key file from a copy. If there is none,"
        f" `creditgate log begin --log {log.path}` begins the log anew, under another key and origin,"
        " which everybody must then pin."
    )


def _file_of_key(file: Path, known: VerifierKey) -> Path | None:
    """Return which file beside ``file``, of the keys that were in it once, holds a key."""
    for other in sorted(file.parent.glob(f"{file.stem}.*.pem")):
        # One that holds no key tells nothing.
        with suppress(OSError, ValueError):
            if LogKey.kept_in(other, known.name).verifier == known:
                return other
    return None


def _row(
    connection: Connection, log: AnyLogId, *, writing: bool = False
) -> Row[str, bytes, bytes, int] | None:
    return connection.execute(_LOCKED if writing else _LOG, {"of_log": log}).first()
