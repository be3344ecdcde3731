"""Keys by the thousand as one value of a statement, which is the same text whatever their number."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Dialect, String, bindparam, func, select
from sqlalchemy.sql.expression import ColumnElement


def among(column: Column[Any], dialect: Dialect) -> ColumnElement[bool]:
    """Return that ``column`` is one of those bound as ``among``: a JSON array of them on
    SQLite, an array on PostgreSQL."""
    if dialect.name == "sqlite":
        listed = func.json_each(bindparam("among")).table_valued("value")
        return column.in_(select(listed.c.value))
    kind = String if isinstance(column.type, String) else BigInteger
    return column == func.any(bindparam("among", type_=ARRAY(kind)))


def listed(keys: Collection[Any], dialect: Dialect) -> Any:
    """Return keys as the driver takes them for ``among``."""
    return json.dumps(list(keys)) if dialect.name == "sqlite" else list(keys)
