"""Inserts as each store has them: Core's own has no ON CONFLICT."""

from typing import Final

from sqlalchemy.dialects import postgresql, sqlite

INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""What makes an insert, by the name of the dialect."""
