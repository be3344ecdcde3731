"""Following a log whose numbers may come out of order: nothing is left out, nothing is taken
twice.

On SQLite a number is given with the commit. On PostgreSQL it is given before, so that a number
may be missing while greater ones are there: it is looked for again until no transaction can
be open that has it, and given up then.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Row,
    Select,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from gateway.audit.lost import ranges_of
from gateway.audit.tables import FOLLOWED, GAPS, Source
from gateway.storage.engines import reading

GAP_SECONDS: Final = 300
"""For so long a missing number is looked for at each step: no call's transaction lasts
longer."""
_MOST_GAPS: Final = 10_000
_KEYS_A_QUERY: Final = 500
_FOLLOWED: Final = select(FOLLOWED.c.source, FOLLOWED.c.sequence)
_GAPS: Final = select(GAPS)
_MOVED: Final = (
    update(FOLLOWED)
    .where(FOLLOWED.c.source == bindparam("of_source"))
    .values(sequence=bindparam("come_to"))
)


class Position(NamedTuple):
    """How far a source was followed: up to ``sequence``, but for ``gaps`` (number to the
    instant, in seconds UTC, since which it is missed)."""

    source: Source
    sequence: int
    gaps: dict[int, int]


class News(NamedTuple):
    """Rows not taken before, and where the source is followed to once they are taken;
    ``given_up`` are the numbers that are missed no longer (`gateway.audit.lost`)."""

    rows: Sequence[Row[*tuple[Any, ...]]]
    position: Position
    given_up: list[range]
    more: bool


def positions_in(connection: Connection) -> list[Position]:
    """Return how far each source was followed, in the order of `Source`."""
    followed = dict(connection.execute(_FOLLOWED).all())
    gaps: dict[int, dict[int, int]] = {source: {} for source in Source}
    for source, sequence, since in connection.execute(_GAPS):
        # Of a source that nobody knows the check tells.
        if source in gaps:
            gaps[source][sequence] = since
    return [Position(source, followed.get(source, 0), gaps[source]) for source in Source]


def news_of(
    engine: Engine, columns: Sequence[Column[Any]], position: Position, limit: int, now: int
) -> News:
    """Return up to ``limit`` rows of a source behind a position, and those that were missed;
    ``columns`` are those to read, that of the numbers first."""
    key = columns[0]
    missed: list[Any] = []
    numbers = sorted(position.gaps)
    with reading(engine) as connection:
        for start in range(0, len(numbers), _KEYS_A_QUERY):
            some = select(*columns).where(key.in_(numbers[start : start + _KEYS_A_QUERY]))
            missed += connection.execute(some.order_by(key)).all()
        after = {"after": position.sequence, "most": limit}
        rows = connection.execute(_after(tuple(columns)), after).all()
    found = {row[0] for row in missed}
    missing = {number: since for number, since in position.gaps.items() if number not in found}
    gaps = {number: since for number, since in missing.items() if since > now - GAP_SECONDS}
    given_up = ranges_of(missing.keys() - gaps.keys())
    last = position.sequence
    for number in [row[0] for row in rows]:
        if number > last + 1:
            first = max(last + 1, number - _MOST_GAPS)
            if last + 1 < first:
                given_up.append(range(last + 1, first))
            gaps.update(dict.fromkeys(range(first, number), now))
        last = number
    return News(
        (*missed, *rows), Position(position.source, last, gaps), given_up, len(rows) == limit
    )


@cache
def _after(columns: tuple[Column[Any], ...]) -> Select[*tuple[Any, ...]]:
    """Return the query for rows behind a number, which is the first of ``columns``."""
    key = columns[0]
    return select(*columns).where(key > bindparam("after")).order_by(key).limit(bindparam("most"))


def follow_to(connection: Connection, before: Position, after: Position) -> None:
    """Keep how far a source was followed, in the connection's transaction."""
    if before == after:
        return
    moved = connection.execute(_MOVED, {"of_source": before.source, "come_to": after.sequence})
    if not moved.rowcount:
        connection.execute(insert(FOLLOWED).values(source=before.source, sequence=after.sequence))
    if before.gaps.keys() != after.gaps.keys():
        connection.execute(delete(GAPS).where(GAPS.c.source == before.source))
        if after.gaps:
            connection.execute(
                insert(GAPS),
                [
                    {"source": int(before.source), "sequence": number, "since": since}
                    for number, since in after.gaps.items()
                ],
            )
