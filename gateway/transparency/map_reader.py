"""Reading proofs out of the disclosure map: on the path of calls that ask for one.

Checkpoint, head, members and tiles are read in one snapshot, so that they belong together.
On SQLite statements run on a connection held open, on the event loop, as in
`gateway.disclose.lookup`; on PostgreSQL on a small pool of threads. Tiles are kept, decoded,
as long as they are the same in the store.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Dialect, Engine, bindparam, select
from sqlalchemy.dialects import sqlite

from creditgate.v1.disclosure_proof_pb2 import EntryProof
from gateway.storage.engines import reading, snapshot
from gateway.transparency.log import MerkleLog, SignedCheckpoint
from gateway.transparency.map_openness import Openness, read_openness
from gateway.transparency.map_rows import (
    HEAD,
    HeadRow,
    MapRows,
    MemberRow,
    SetRow,
    among,
)
from gateway.transparency.map_sets import MapProofs, Rows, SubjectAsk, keys_of, sets_of
from gateway.transparency.map_tables import MAP_MEMBERS, MAP_SETS, MAP_TILES
from gateway.transparency.map_tiles import ROOT, WIDTH, Tile, decoded, nibble
from gateway.transparency.salts import Salts

_THREADS: Final = 4
_MOST_TILES: Final = 4_096
_LIKELY_LEVELS: Final = 6


class MapNotReady(LookupError):
    """There is no checkpoint yet that commits to a map."""


class MapReader(Protocol):
    """Gives proofs out of the disclosure map."""

    async def proofs(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        """Return what the map tells of the subjects, at its newest checkpoint.

        Raises MapNotReady, `map_sets.MapDiffers`, `map_tiles.MapDamaged`, and what the store
        raises when it cannot be read.
        """
        ...

    async def openness(self) -> Openness:
        """Return which items are protected, and were at each event the newest checkpoint
        covers. Raises MapNotReady, and what the store raises."""
        ...

    def close(self) -> None:
        """Give back connections and threads."""
        ...


def open_map(engine: Engine, log: MerkleLog, salts: Salts) -> MapReader:
    """Return the reader for the engine's kind of store, that of evidence."""
    kind = SqliteMap if engine.dialect.name == "sqlite" else PooledMap
    return kind(engine, log, salts)


class _Known(NamedTuple):
    """What goes with a head, and never changes."""

    number: int
    checkpoint: SignedCheckpoint
    openness: Openness
    entry: EntryProof


class _Kept(NamedTuple):
    """A tile as kept in the store when the head of ``number`` was the newest."""

    number: int
    kept: bytes
    tile: Tile


class _Tiles:
    """Decoded tiles by place, the most used of late; any thread."""

    def __init__(self) -> None:
        self._young: dict[int, _Kept] = {}
        self._old: dict[int, _Kept] = {}

    def fresh(self, place: int, number: int) -> Tile | None:
        """Return the tile known to be that of head ``number``."""
        known = self._young.get(place) or self._old.get(place)
        return known.tile if known and known.number == number else None

    def of(self, place: int, kept: bytes, number: int) -> Tile:
        """Return the tile read at head ``number``."""
        known = self._young.get(place) or self._old.get(place)
        tile = known.tile if known and known.kept == kept else decoded(kept)
        if len(self._young) >= _MOST_TILES:
            self._young, self._old = {}, self._young
        self._young[place] = _Kept(number, kept, tile)
        return tile


class _Statements:
    def __init__(self, dialect: Dialect) -> None:
        order = MAP_MEMBERS.c.subject, MAP_MEMBERS.c.item, MAP_MEMBERS.c.sequence
        self.head = HEAD
        self.sets = select(MAP_SETS).where(among(MAP_SETS.c.subject, dialect))
        self.members = (
            select(MAP_MEMBERS)
            .where(
                among(MAP_MEMBERS.c.subject, dialect),
                MAP_MEMBERS.c.disclosed_from <= bindparam("at"),
            )
            .order_by(*order)
        )
        self.tile = select(MAP_TILES.c.tile).where(MAP_TILES.c.place == bindparam("place"))
        self.tiles = select(MAP_TILES).where(among(MAP_TILES.c.place, dialect))


class _Map:
    def __init__(self, engine: Engine, log: MerkleLog, salts: Salts) -> None:
        self._engine = engine
        self._log = log
        self._salts = salts
        self._rows = MapRows(engine.dialect)
        self._statements = _Statements(engine.dialect)
        self._tiles = _Tiles()
        self._known: _Known | None = None

    def _goes_with(self, head: HeadRow, connection: Connection) -> _Known:
        """Return what goes with ``head``, the newest that ``connection`` sees."""
        known = self._known
        if known is None or known.number != head.number:
            checkpoint = self._log.latest_in(connection)
            if checkpoint is None:
                raise MapNotReady
            index = checkpoint.size - 1
            entry = EntryProof(
                log_index=index,
                entry=self._log.entry(index),
                audit_path=self._log.inclusion(index, checkpoint.size),
            )
            openness = read_openness(connection)
            known = self._known = _Known(head.number, checkpoint, openness, entry)
        return known


def _proofs(known: _Known, head: HeadRow, subjects: Sequence[Any]) -> MapProofs:
    return MapProofs(
        known.checkpoint,
        known.entry,
        head.event_sequence,
        head.map_time,
        head.holds_until,
        subjects,
    )


class SqliteMap(_Map):
    """The map on one held SQLite connection, used by the event loop's thread alone."""

    def __init__(self, engine: Engine, log: MerkleLog, salts: Salts) -> None:
        super().__init__(engine, log, salts)
        self._holding = reading(engine)
        self._held = self._holding.__enter__()
        cursor: Any = self._held.connection.cursor()
        self._execute = cursor.execute
        dialect = sqlite.dialect(paramstyle="qmark")
        text = self._statements
        self._head, self._sets, self._members, self._tile = (
            str(statement.compile(dialect=dialect))
            for statement in (text.head, text.sets, text.members, text.tile)
        )

    async def proofs(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        """Return what the map tells of the subjects, at its newest checkpoint."""
        self._execute("BEGIN")
        try:
            found = self._execute(self._head).fetchone()
            if found is None:
                raise MapNotReady
            head = HeadRow(*found)
            known = self._goes_with(head, self._held)
            subjects = json.dumps([ask.subject for ask in asks])
            rows = Rows(
                head,
                known.openness,
                [SetRow(*row) for row in self._execute(self._sets, (subjects,))],
                self._execute(self._members, (subjects, head.map_time)).fetchall(),
            )

            def tiles(tree: int, place: int) -> Tile | None:
                return self._tile_at(2 * place + tree, head.number)

            return _proofs(known, head, sets_of(asks, rows, tiles, self._salts))
        finally:
            self._execute("COMMIT")

    async def openness(self) -> Openness:
        """Return which items are protected, and were at each event."""
        self._execute("BEGIN")
        try:
            found = self._execute(self._head).fetchone()
            if found is None:
                raise MapNotReady
            return self._goes_with(HeadRow(*found), self._held).openness
        finally:
            self._execute("COMMIT")

    def _tile_at(self, place: int, number: int) -> Tile | None:
        tile = self._tiles.fresh(place, number)
        if tile is None:
            row = self._execute(self._tile, (place,)).fetchone()
            tile = row and self._tiles.of(place, row[0], number)
        return tile

    def close(self) -> None:
        """Give the connection back."""
        self._holding.__exit__(None, None, None)


class PooledMap(_Map):
    """The map on a pool of threads, for stores across a network."""

    def __init__(self, engine: Engine, log: MerkleLog, salts: Salts) -> None:
        super().__init__(engine, log, salts)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="map")

    async def proofs(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        """Return what the map tells of the subjects, at its newest checkpoint."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, asks)

    def _read(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        with snapshot(self._engine) as connection:
            head = self._rows.head(connection)
            if not head.number:
                raise MapNotReady
            known = self._goes_with(head, connection)
            subjects = {"among": [ask.subject for ask in asks]}
            sets = connection.execute(self._statements.sets, subjects)
            members = connection.execute(
                self._statements.members, {**subjects, "at": head.map_time}
            )
            rows = Rows(
                head,
                known.openness,
                [SetRow(*row) for row in sets],
                [MemberRow(*row) for row in members],
            )
            read = self._likely(connection, asks, head.number)

            def tiles(tree: int, place: int) -> Tile | None:
                place = 2 * place + tree
                if place not in read:
                    self._fetch(connection, [place], read, head.number)
                return read.get(place)

            return _proofs(known, head, sets_of(asks, rows, tiles, self._salts))

    async def openness(self) -> Openness:
        """Return which items are protected, and were at each event."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read_openness)

    def _read_openness(self) -> Openness:
        with snapshot(self._engine) as connection:
            head = self._rows.head(connection)
            if not head.number:
                raise MapNotReady
            return self._goes_with(head, connection).openness

    def _likely(
        self, connection: Connection, asks: Sequence[SubjectAsk], number: int
    ) -> dict[int, Tile | None]:
        """Return the tiles that are likely on the way, in one reading."""
        places: set[int] = set()
        for tree, keys in keys_of(asks, self._salts).items():
            for key in keys:
                place = ROOT
                for level in range(_LIKELY_LEVELS):
                    places.add(2 * place + tree)
                    place = place * WIDTH + nibble(key, level)
        read: dict[int, Tile | None] = {
            place: tile
            for place in places
            if (tile := self._tiles.fresh(place, number)) is not None
        }
        self._fetch(connection, places.difference(read), read, number)
        return read

    def _fetch(
        self,
        connection: Connection,
        places: Collection[int],
        read: dict[int, Tile | None],
        number: int,
    ) -> None:
        for place in places:
            read[place] = None
        for place, kept in connection.execute(self._statements.tiles, {"among": list(places)}):
            read[place] = self._tiles.of(place, bytes(kept), number)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()
