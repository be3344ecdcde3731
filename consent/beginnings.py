"""What texts in rows begin with, judged alike on both stores."""

from sqlalchemy import ColumnElement, func


def begins_with(column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    """Return the condition for rows in which ``column`` begins with just these characters.

    LIKE would take capital letters for small ones on SQLite, and some characters for others.
    """
    return func.substr(column, 1, len(beginning)) == beginning
