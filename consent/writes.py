"""Telling what was written: who keeps evidence of it looks at the rows themselves."""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Table, insert

from consent.tables import WRITES

_TELL: Final = insert(WRITES)


def row_key(values: Sequence[object]) -> str:
    """Return the key of a row, its values in the order of the primary key, as text."""
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))


def wrote(connection: Connection, table: Table, *key: object) -> None:
    """Tell, in the connection's transaction, that the row of ``key`` is now another."""
    connection.execute(_TELL, {"written": table.name, "row_key": row_key(key)})
