"""Numbers of a source that were given up: kept for good, and looked for now and then.

They are of transactions that were rolled back, nearly always. One that does come, as of a
store that was restored, is logged then all the same.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Row, and_, delete, insert, or_, select

from gateway.audit.tables import LOST, Source
from gateway.storage.engines import reading

LOOK_SECONDS: Final = 60
"""So often they are looked for."""
_RANGES_A_QUERY: Final = 100


def lost_in(connection: Connection, source: Source) -> list[range]:
    """Return the numbers of a source that were given up, in order."""
    rows = connection.execute(
        select(LOST.c.first, LOST.c.last).where(LOST.c.source == source).order_by(LOST.c.first)
    )
    return [range(row.first, row.last + 1) for row in rows]


def found_of(
    engine: Engine, columns: Sequence[Column[Any]], lost: Sequence[range], limit: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return up to ``limit`` rows whose numbers were given up; ``columns`` are those to read,
    that of the numbers first."""
    key = columns[0]
    found: list[Row[*tuple[Any, ...]]] = []
    with reading(engine) as connection:
        for start in range(0, len(lost), _RANGES_A_QUERY):
            some = or_(
                *(
                    and_(key >= each.start, key < each.stop)
                    for each in lost[start : start + _RANGES_A_QUERY]
                )
            )
            query = select(*columns).where(some).order_by(key).limit(limit - len(found))
            found += connection.execute(query).all()
            if len(found) == limit:
                break
    return found


def lose(connection: Connection, source: Source, numbers: Iterable[range]) -> None:
    """Keep numbers that are given up, in the connection's transaction."""
    rows = [{"source": int(source), "first": each.start, "last": each.stop - 1} for each in numbers]
    if rows:
        connection.execute(insert(LOST), rows)


def regain(
    connection: Connection, source: Source, lost: Iterable[range], found: Collection[int]
) -> None:
    """Look no more for numbers that came, in the connection's transaction."""
    for each in lost:
        came = [number for number in found if number in each]
        if came:
            own = (LOST.c.source == source) & (LOST.c.first == each.start)
            connection.execute(delete(LOST).where(own))
            lose(connection, source, without(each, came))


def without(numbers: range, found: Iterable[int]) -> Iterator[range]:
    """Yield what is left of a range without some of its numbers."""
    start = numbers.start
    for number in sorted(found):
        if start < number:
            yield range(start, number)
        start = number + 1
    if start < numbers.stop:
        yield range(start, numbers.stop)


def ranges_of(numbers: Iterable[int]) -> list[range]:
    """Return numbers, each given once, as ranges in order."""
    found: list[range] = []
    for number in sorted(numbers):
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found
