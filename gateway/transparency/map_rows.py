"""Rows of the disclosure map, read and written by the thousand in a transaction of another's."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import (
    Connection,
    Dialect,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.expression import ColumnElement

from creditgate.transparency.facts import NO_END
from creditgate.transparency.prefix_tree import EMPTY
from gateway.storage.among import among, listed
from gateway.storage.statements import add_rows, driver_text, put_rows
from gateway.transparency.map_tables import MAP_HEAD, MAP_MEMBERS, MAP_SETS, MAP_TILES

PUBLIC: Final = 0
PROTECTED: Final = 1
"""The trees, as the last bit of a tile's place tells them."""
_HEAD_ID: Final = 1


class MemberRow(NamedTuple):
    """One row of `map_tables.MAP_MEMBERS`."""

    subject: str
    item: str
    sequence: int
    digest: bytes
    disclosed_from: int
    disclosed_until: int
    changes_at: int
    protected: bool


class SetRow(NamedTuple):
    """One row of `map_tables.MAP_SETS`."""

    subject: str
    item: str
    digest: bytes
    salted_by: int


class HeadRow(NamedTuple):
    """The row of `map_tables.MAP_HEAD`, without its key."""

    number: int
    event_sequence: int
    map_time: int
    holds_until: int
    protected_holds_until: int
    public_root: bytes
    protected_root: bytes
    form: int


FORM: Final = 2
"""The form that leaves of protected items have now."""
FIRST_HEAD: Final = HeadRow(0, 0, 0, 0, 0, EMPTY, EMPTY, FORM)
"""The map before the first event."""
HEAD: Final = select(*(MAP_HEAD.c[name] for name in HeadRow._fields))
# Written out, not bound: only then can a planner tell that the partial index serves.
_ENDING: Final = MAP_MEMBERS.c.changes_at < literal_column(str(NO_END))


def rows_of(dialect: Dialect) -> "MapRows":
    """Return the rows of databases of a dialect: compiled once, which takes long."""
    return _rows_of(type(dialect))


@cache
def _rows_of(kind: type[Dialect]) -> "MapRows":
    return MapRows(cast(Any, kind)())


class MapRows:
    """Reads and writes the map's rows in the database of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        own = MAP_MEMBERS.c.subject, MAP_MEMBERS.c.item, MAP_MEMBERS.c.digest
        self._members = driver_text(
            select(*own).where(
                among(MAP_MEMBERS.c.subject, dialect),
                MAP_MEMBERS.c.disclosed_from <= bindparam("at"),
            ),
            dialect,
        )
        self._sets = driver_text(
            select(MAP_SETS).where(among(MAP_SETS.c.subject, dialect)), dialect
        )
        self._tiles = driver_text(
            select(MAP_TILES).where(among(MAP_TILES.c.place, dialect)), dialect
        )
        own = [MAP_MEMBERS.c[name] == bindparam(name) for name in MemberRow._fields[:3]]
        self._end_member = driver_text(delete(MAP_MEMBERS).where(*own), dialect)
        self._change_member = driver_text(
            update(MAP_MEMBERS)
            .values(
                digest=bindparam("new_digest"),
                changes_at=bindparam("new_changes_at"),
                protected=bindparam("new_protected"),
            )
            .where(*own),
            dialect,
        )
        own = [MAP_SETS.c[name] == bindparam(name) for name in SetRow._fields[:2]]
        self._drop_set = driver_text(delete(MAP_SETS).where(*own), dialect)
        own_place = MAP_TILES.c.place == bindparam("own_place")
        self._drop_tile = driver_text(delete(MAP_TILES).where(own_place), dialect)

    def head(self, connection: Connection) -> HeadRow:
        """Return the newest head."""
        row = connection.execute(HEAD).first()
        return FIRST_HEAD if row is None else HeadRow(*row)

    def keep_head(self, connection: Connection, head: HeadRow) -> None:
        """Put a new head in the place of the last."""
        connection.execute(delete(MAP_HEAD))
        connection.execute(insert(MAP_HEAD).values(id=_HEAD_ID, **head._asdict()))

    def members(
        self, connection: Connection, subjects: Collection[str], at: int
    ) -> Iterable[Row[str, str, bytes]]:
        """Return what is disclosed of some subjects at ``at``, the map's time: the subject, item
        and digest of each member."""
        return connection.exec_driver_sql(self._members, (listed(subjects, self._dialect), at))

    def members_of_item(self, connection: Connection, item: str) -> list[MemberRow]:
        """Return all members of an item, also those not disclosed yet."""
        rows = connection.execute(select(MAP_MEMBERS).where(MAP_MEMBERS.c.item == item))
        return [MemberRow(*row) for row in rows]

    def changing(self, connection: Connection, at: int) -> list[MemberRow]:
        """Return the members that time has changed by ``at``."""
        due = MAP_MEMBERS.c.changes_at <= at
        return [
            MemberRow(*row)
            for protected in (False, True)
            for row in connection.execute(select(MAP_MEMBERS).where(due, _ENDING, _kind(protected)))
        ]

    def empty_protected(self, connection: Connection) -> set[tuple[str, str]]:
        """Take away the sets and tiles of protected items; return the subjects and items that
        have such members."""
        connection.execute(delete(MAP_SETS).where(MAP_SETS.c.salted_by != 0))
        connection.execute(delete(MAP_TILES).where(MAP_TILES.c.place % 2 == PROTECTED))
        own = MAP_MEMBERS.c.subject, MAP_MEMBERS.c.item
        found = connection.execute(select(*own).where(_kind(True)).distinct())
        return {(subject, item) for subject, item in found}

    def next_change(self, connection: Connection, *, protected: bool) -> int:
        """Return when time next changes a member that is protected, or one that is not;
        `facts.NO_END` for never."""
        query = select(func.min(MAP_MEMBERS.c.changes_at)).where(_ENDING, _kind(protected))
        return connection.execute(query).scalar() or NO_END

    def add_members(self, connection: Connection, rows: Sequence[MemberRow]) -> None:
        """Add members."""
        add_rows(connection, MAP_MEMBERS, rows)

    def end_members(self, connection: Connection, members: Iterable[tuple[str, str, int]]) -> None:
        """Forget members, given by subject, item and sequence; some may not be there."""
        _each(connection, self._end_member, members)

    def change_members(self, connection: Connection, rows: Iterable[MemberRow]) -> None:
        """Give members the digest, the instant of change and the kind of ``rows``."""
        changes = [(row.digest, row.changes_at, row.protected, *row[:3]) for row in rows]
        _each(connection, self._change_member, changes)

    def sets(
        self, connection: Connection, subjects: Collection[str]
    ) -> dict[tuple[str, str], SetRow]:
        """Return the sets of some subjects, by subject and item."""
        rows = connection.exec_driver_sql(self._sets, (listed(subjects, self._dialect),))
        return {row[:2]: row for row in map(SetRow._make, rows)}

    def keep_sets(self, connection: Connection, rows: Sequence[SetRow]) -> None:
        """Put sets in the place of those there were."""
        put_rows(connection, MAP_SETS, rows)

    def drop_sets(self, connection: Connection, sets: Iterable[tuple[str, str]]) -> None:
        """Forget sets, given by subject and item."""
        _each(connection, self._drop_set, sets)

    def tiles(self, connection: Connection, tree: int, places: Collection[int]) -> dict[int, bytes]:
        """Return the tiles kept at some places of a tree."""
        asked = [2 * place + tree for place in places]
        rows = connection.exec_driver_sql(self._tiles, (listed(asked, self._dialect),))
        return {place >> 1: bytes(tile) for place, tile in rows}

    def keep_tiles(self, connection: Connection, tree: int, tiles: dict[int, bytes | None]) -> None:
        """Put tiles in the place of those there were; None forgets one."""
        # In order of place: then neighbours are written together.
        ordered = sorted(tiles.items())
        kept = [(2 * place + tree, tile) for place, tile in ordered if tile is not None]
        put_rows(connection, MAP_TILES, kept)
        _each(connection, self._drop_tile, [(2 * p + tree,) for p, tile in ordered if tile is None])


def _kind(protected: bool) -> ColumnElement[bool]:
    # One kind at a time: the index begins with it.
    return MAP_MEMBERS.c.protected == protected


def _each(connection: Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    together = list(rows)
    if together:
        connection.exec_driver_sql(statement, together)
