"""Beginning a log anew, where what its key has signed is lost: another key, another origin."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, Table, delete

from gateway.pki.files import write_first
from gateway.transparency.identity import require_lost
from gateway.transparency.last_signed import LastSigned
from gateway.transparency.map_tables import METADATA as MAP
from gateway.transparency.tables import BUNDLES, CHECKPOINTS, HEADS, LOGS, TILES, LogId

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
    with engine.begin() as connection:
        require_lost(connection, log, last, file)
        _forget(connection, log, tables)
    number = 1
    while (away := file.with_suffix(f".{number}.pem")).exists():
        number += 1
    if last is not None:
        write_first(LastSigned.beside(away), LastSigned.beside(file).read_bytes())
    file.rename(away)
    if last is not None:
        LastSigned.replaced(file, f"{_GENERATION.sub('', last.origin)}/{number + 1}")
    return str(away)


def _forget(connection: Connection, log: LogId, tables: Sequence[Table]) -> None:
    for table in (LOGS, TILES, BUNDLES, CHECKPOINTS):
        connection.execute(delete(table).where(table.c.log == log))
    for table in tables:
        connection.execute(delete(table))
