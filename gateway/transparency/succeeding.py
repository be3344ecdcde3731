"""Going over to another key while all is there: the former key says which comes next."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, Table

from creditgate.transparency.succession import succession_note
from gateway.pki.files import write_first, write_private
from gateway.transparency.beginning import forget, next_origin, put_away_as
from gateway.transparency.identity import newest_signed, require_whole
from gateway.transparency.keys import LogKey, new_key
from gateway.transparency.last_signed import LastSigned
from gateway.transparency.tables import LogId


def succeed(engine: Engine, log: LogId, file: Path, tables: Sequence[Table]) -> str:
    """End a log and have another begun in its place, under a new key in ``file``; return the note
    by which the former key says so. The gateway, which must not run, begins it as it starts, from
    the rows that the former was made of; ``tables`` go with the log.

    The former key is kept, with the note beside it (``.succession``). Cut off anywhere, what is
    there begins as one of the two, or is refused as lost. Raises NotWhole where the store lacks
    what was signed, and OSError.
    """
    away = put_away_as(file)
    with engine.begin() as connection:
        last = require_whole(connection, log, file)
        former = LogKey.kept_in(file, last.origin)
        following = file.with_suffix(".next")
        write_private(following, new_key())
        begun = LogKey.kept_in(following, next_origin(last.origin, away))
        newest = newest_signed(connection, log)
        note = succession_note(newest.size, newest.root, begun.verifier, former)
        write_private(away.with_suffix(".succession"), note.encode())
        write_first(away, file.read_bytes())
        write_first(LastSigned.beside(away), LastSigned.beside(file).read_bytes())
        forget(connection, log, tables)
    following.replace(file)
    LastSigned.replaced(file, begun.verifier.name)
    return note
