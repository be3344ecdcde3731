"""Statements as a driver takes them: Core's text, with places for parameters in order.

Rows by the thousand are given to the driver as tuples: handing Core a mapping for each costs
more than everything else a row needs.
"""

from typing import Any, cast

from sqlalchemy import Dialect
from sqlalchemy.sql.expression import Executable


def driver_text(statement: Executable, dialect: Dialect) -> str:
    """Return the text of ``statement`` for `Connection.exec_driver_sql` with tuples."""
    style = "qmark" if dialect.name == "sqlite" else "format"
    positional = cast(Any, type(dialect))(paramstyle=style)
    return str(cast(Any, statement).compile(dialect=positional))
