"""Beginning a log anew, where what its key has signed is lost: another key, another origin."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete

from gateway.pki.files import write_first
from gateway.transparency.identity import known_key, require_lost
from gateway.transparency.last_signed import LastSigned
from gateway.transparency.map_tables import METADATA as MAP
from gateway.transparency.tables import (
    BUNDLES,
    CHECKPOINTS,
    HEADS,
    LOGS,
    TILES,
    LogId,
    OperatorLogId,
)

_GENERATION: Final = re.compile(r"/\d+$")
DISCLOSURE_TABLES: Final[Sequence[Table]] = (HEADS, *MAP.sorted_tables)
"""What goes with the disclosure log, and is made from the records again."""


def begin_anew(engine: Engine, log: LogId, file: Path, tables: Sequence[Table]) -> str:
    """Put the log's key away, and what the store has of the log with the rows of ``tables``;
    return where the key is now. The gateway, which must not run, makes another as it starts.

    The new origin has the generation behind it, so that nobody takes one log for the other.
    Cut off anywhere, it can be done again. Raises NotLost where the store has all that was
    signed, and OSError.
    """
    last = LastSigned.read(file)
    away = put_away_as(file)
    with engine.begin() as connection:
        require_lost(connection, log, last, file)
        known = known_key(connection, log)
        forget(connection, log, tables)
    if last is not None:
        write_first(LastSigned.beside(away), LastSigned.beside(file).read_bytes())
    if file.exists():
        file.rename(away)
    former = last.origin if last is not None else known.name if known is not None else None
    if former is not None:
        LastSigned.replaced(file, next_origin(former, away))
    return str(away)


def put_away_as(file: Path) -> Path:
    """Return what a log's key in ``file`` is called once another is in its place."""
    number = 1
    while (away := put_away_at(file, number)).exists():
        number += 1
    return away


def next_origin(former: str, away: Path) -> str:
    """Return the origin that follows ``former``, whose key goes to ``away``."""
    return f"{_GENERATION.sub('', former)}/{number_of(away) + 1}"


def number_of(away: Path) -> int:
    """Return the number that a key which was put away has, from 1."""
    return int(away.suffixes[-2].removeprefix("."))


def put_away_at(file: Path, number: int) -> Path:
    """Return where the key of a number is that was in ``file`` once."""
    return file.with_suffix(f".{number}.pem")


def _is_of(table: Table, log: LogId) -> ColumnElement[bool]:
    """Tell which rows go with a log: with that of usage, those of the operators below it."""
    own = table.c.log == log
    return own | (table.c.log >= OperatorLogId.FIRST) if log is LogId.USAGE else own


def forget(connection: Connection, log: LogId, tables: Sequence[Table]) -> None:
    """Take away what a store has of a log, with the rows of ``tables``."""
    for table in (LOGS, TILES, BUNDLES, CHECKPOINTS):
        connection.execute(delete(table).where(_is_of(table, log)))
    for table in tables:
        connection.execute(delete(table))
