"""Going over to another key while all is there: the former key says which comes next."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, Table, delete, insert, select

from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.succession import (
    announcement_note,
    former_named,
    open_succession,
    succession_note,
)
from gateway.clock import Clock, SystemClock
from gateway.pki.files import write_first, write_private
from gateway.storage.engines import reading
from gateway.transparency.beginning import (
    forget,
    next_origin,
    number_of,
    put_away_as,
    put_away_at,
)
from gateway.transparency.identity import (
    NotWhole,
    is_by_former,
    known_key,
    newest_signed,
    require_whole,
)
from gateway.transparency.keys import LogKey, new_key
from gateway.transparency.last_signed import LastSigned
from gateway.transparency.links import announced_for
from gateway.transparency.tables import ANNOUNCEMENTS, LINKS, LogId

ANNOUNCED_SECONDS: Final = 120
"""For so long a key is announced before it signs: other regions look each minute."""


class NotAnnounced(RuntimeError):
    """The next key was not announced, or not for long enough; ``seconds`` are left, None where it
    was not."""

    def __init__(self, seconds: int | None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def announce(engine: Engine, log: LogId, file: Path, now: int, *, anew: bool = False) -> str:
    """Make the key that is to follow that in ``file``, and return the note by which this one says
    so; where that was done, the note that there is, unless another is to be made ``anew``.

    The gateway may run: it tells what is announced from now on. Raises NotWhole where the log has
    not begun, or another key is there; OSError.
    """
    with engine.begin() as connection:
        known = known_key(connection, log)
        if known is None or not file.exists() or LogKey.kept_in(file, known.name).verifier != known:
            raise NotWhole
        announced = announced_for(connection, log, known)
        if announced is not None and not anew and _announced_key(connection, log, file, known):
            return announced.note
        write_private(_following(file), new_key())
        begun = LogKey.kept_in(_following(file), next_origin(known.name, put_away_as(file)))
        note = announcement_note(begun.verifier, LogKey.kept_in(file, known.name))
        _forget_announced(connection, log)
        connection.execute(insert(ANNOUNCEMENTS).values(log=log, note=note, at=now))
    return note


def require_announced(engine: Engine, log: LogId, file: Path, now: int) -> None:
    """Check that the key which would follow that in ``file`` was announced for long enough.

    Raises NotAnnounced.
    """
    with engine.begin() as connection:
        known = known_key(connection, log)
        announced = None if known is None else announced_for(connection, log, known)
        if (
            known is None
            or announced is None
            or _announced_key(connection, log, file, known) is None
        ):
            raise NotAnnounced(None)
    left = announced.at + ANNOUNCED_SECONDS - now
    if left > 0:
        raise NotAnnounced(left)


def succeed(
    engine: Engine,
    log: LogId,
    file: Path,
    tables: Sequence[Table],
    *,
    stolen: bool = False,
    clock: Clock | None = None,
) -> str:
    """End a log and have another begun in its place, under a new key in ``file``: the one that was
    announced, if one was. Return the note by which the former key says so. The gateway, which must
    not run, begins it as it starts, from the rows that the former was made of; ``tables`` go with
    the log.

    The former key is kept, with the note, which both sign, beside it (``.succession``) and in the
    store. Where it was
    ``stolen`` there is no note, "" is returned, and nobody is to believe what it signed; what was
    announced may be in other hands as well. Cut off anywhere, what is there begins as the former,
    or as the next by `finish`; or, where it was stolen, is refused as lost. Raises NotWhole
    where the store lacks what was signed, and OSError.
    """
    away, note = put_away_as(file), ""
    following = _following(file)
    with engine.begin() as connection:
        known = require_whole(connection, log, file)
        former = LogKey.kept_in(file, known.name)
        announced = _announced_key(connection, log, file, former.verifier)
        if announced is None or stolen:
            write_private(following, new_key())
        begun = LogKey.kept_in(following, next_origin(known.name, away))
        away.with_suffix(".succession").unlink(missing_ok=True)
        if not stolen:
            newest = newest_signed(connection, log)
            note = succession_note(newest.size, newest.root, begun, former)
            write_private(away.with_suffix(".succession"), note.encode())
            connection.execute(
                insert(LINKS).values(
                    log=log,
                    number=number_of(away),
                    note=note,
                    at=(clock or SystemClock()).now(),
                )
            )
        write_first(away, file.read_bytes())
        write_first(LastSigned.beside(away), LastSigned.beside(file).read_bytes())
        _forget_announced(connection, log)
        forget(connection, log, tables)
    _put_in_place(file, begun.verifier.name)
    return note


class Begun(NamedTuple):
    """A key that the store says comes next, and is not in its place: the ``note`` that says so, and
    the key's ``name``.

    The change of the key ``is_cut_off``; else it was done, and a process that did not see it signed
    by a former key since.
    """

    note: str
    name: str
    is_cut_off: bool


def is_begun(engine: Engine, log: LogId, file: Path) -> bool:
    """Tell whether the store says that another key comes next than is in its place: `succeed` is at
    that now, or was cut off. Raises as `finish`."""
    return _begun(engine, log, file) is not None


def finish(engine: Engine, log: LogId, file: Path) -> Begun | None:
    """Put the key in its place that the store says comes next, where `succeed` was cut off before
    that, or what it noted was written over; return what was begun, None for nothing.

    Nobody else may do so at once, nor may the gateway run. Raises OSError, and ValueError where what
    lies beside ``file`` is damaged.
    """
    begun = _begun(engine, log, file)
    if begun is not None:
        _put_in_place(file, begun.name)
    return begun


def is_signed_over(engine: Engine, log: LogId, file: Path) -> bool:
    """Tell whether a key before that of the store's log signed last, so that what is noted beside
    ``file`` is its: by a process that did not see that its key was changed. Raises as `finish`."""
    last = LastSigned.read(file)
    with reading(engine) as connection:
        return is_by_former(connection, log, last, known_key(connection, log))


def _begun(engine: Engine, log: LogId, file: Path) -> Begun | None:
    last = LastSigned.read(file)
    if last is None:
        return None
    newest = select(LINKS.c.number, LINKS.c.note).where(LINKS.c.log == log)
    with reading(engine) as connection:
        if known_key(connection, log) is not None:
            return None
        row = connection.execute(newest.order_by(LINKS.c.number.desc()).limit(1)).first()
        if row is None:
            return None
        away = put_away_at(file, row.number)
        told = _begun_by(row.note, away, file)
        if told is None:
            return None
        put_away = LastSigned.read(away)
        is_cut_off = put_away is not None and put_away.said == last.said
        if not is_cut_off and not is_by_former(connection, log, last, told):
            return None
    return Begun(row.note, told.name, is_cut_off)


def _begun_by(note: str, away: Path, file: Path) -> VerifierKey | None:
    """Return the key that a note says follows that in ``away``, where it is at hand: in ``file``, or
    about to be. None for another note."""
    held = following if (following := _following(file)).exists() else file
    former = former_named(note)
    if former is None or not away.exists() or not held.exists():
        return None
    if LogKey.kept_in(away, former.name).verifier != former:
        return None
    try:
        told = open_succession(note, former).next_key
    except ProofInvalid:
        return None
    return told if LogKey.kept_in(held, told.name).verifier == told else None


def _put_in_place(file: Path, origin: str) -> None:
    """Have the next key sign what follows, under ``origin``; where it is in its place, note that."""
    with suppress(FileNotFoundError):
        _following(file).replace(file)
    LastSigned.replaced(file, origin)


def _announced_key(
    connection: Connection, log: LogId, file: Path, key: VerifierKey
) -> VerifierKey | None:
    """Return the key that ``key`` announces, if it is the one at hand."""
    announced = announced_for(connection, log, key)
    following = _following(file)
    if announced is None or not following.exists():
        return None
    own = LogKey.kept_in(following, next_origin(key.name, put_away_as(file))).verifier
    told = LinkedKeys.of(key, [announced.note]).announced
    return own if own == told else None


def _following(file: Path) -> Path:
    return file.with_suffix(".next")


def _forget_announced(connection: Connection, log: LogId) -> None:
    connection.execute(delete(ANNOUNCEMENTS).where(ANNOUNCEMENTS.c.log == log))
