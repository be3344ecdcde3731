"""Revenue lines by their numbers, as ledgers have them."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from gateway.disclose.model import Line
from gateway.disclose.tables import LINES
from gateway.storage.paging import pages


def lines_numbered(connection: Connection, numbers: Collection[int]) -> dict[int, Line]:
    """Return the revenue lines of ``numbers``, without those the store does not know."""
    return {
        row[0]: Line(*row[1:])
        for some in pages(numbers)
        for row in connection.execute(select(LINES).where(LINES.c.line_no.in_(some)))
    }
