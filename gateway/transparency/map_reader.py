"""Reading proofs out of the disclosure map: on the path of calls that ask for one.

Checkpoint, head, members and tiles are read in one snapshot, so that they belong together.
On SQLite statements run on connections held open, on the event loop, as in
`gateway.disclose.lookup`; on PostgreSQL on a small pool of threads. Many asks at once keep no
others waiting for longer than a few take. Tiles are kept, decoded, as long as they are the
same in the store.
"""

import asyncio
import json
from collections.abc import Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Dialect, Engine, bindparam, select
from sqlalchemy.dialects import sqlite

from creditgate.v1.disclosure_proof_pb2 import MapHeadProof, ProtectedTree
from gateway.storage.among import among
from gateway.storage.engines import reading, snapshot
from gateway.transparency.log import MerkleLog, SignedCheckpoint
from gateway.transparency.map_openness import Openness, read_openness
from gateway.transparency.map_rows import (
    FORM,
    HEAD,
    HeadRow,
    MemberRow,
    SetRow,
    rows_of,
)
from gateway.transparency.map_sets import (
    MapProofs,
    Rows,
    SubjectAsk,
    SubjectSets,
    keys_of,
    sets_of,
)
from gateway.transparency.map_tables import MAP_MEMBERS, MAP_SETS, MAP_TILES
from gateway.transparency.map_tiles import ROOT, WIDTH, Tile, decoded, nibble
from gateway.transparency.salts import Salts

FEW: Final = 16
"""So many asks are read at once, in some two milliseconds at most."""
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
    head: MapHeadProof
    protected_head: MapHeadProof


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


@cache
def _sqlite_texts() -> tuple[str, ...]:
    dialect = sqlite.dialect(paramstyle="qmark")
    text = _Statements(dialect)
    statements = (text.head, text.sets, text.members, text.tile)
    return tuple(str(statement.compile(dialect=dialect)) for statement in statements)


class _Map:
    def __init__(self, engine: Engine, log: MerkleLog, salts: Salts) -> None:
        self._engine = engine
        self._log = log
        self._salts = salts
        self._rows = rows_of(engine.dialect)
        self._tiles = _Tiles()
        self._known: _Known | None = None

    def _goes_with(self, head: HeadRow, connection: Connection) -> _Known:
        """Return what goes with ``head``, the newest that ``connection`` sees."""
        if head.form != FORM:
            raise MapNotReady
        known = self._known
        if known is None or known.number != head.number:
            checkpoint = self._log.latest_in(connection)
            if checkpoint is None:
                raise MapNotReady
            index = checkpoint.size - 1
            openness = read_openness(connection)
            proof = MapHeadProof(
                log_index=index,
                entry=self._log.entries_in(connection, [index])[0],
                audit_path=self._log.inclusions_in(connection, [index], checkpoint.size)[0],
                protected_items=openness.protected_items(),
            )
            opened = MapHeadProof(
                protected_tree=ProtectedTree(
                    salt=self._salts.head(head.number), root=head.protected_root
                )
            )
            opened.protected_tree.holds_until.seconds = head.protected_holds_until
            opened.MergeFrom(proof)
            known = self._known = _Known(head.number, checkpoint, openness, proof, opened)
        return known


def _proofs(known: _Known, head: HeadRow, subjects: Sequence[Any]) -> MapProofs:
    return MapProofs(
        known.checkpoint,
        known.head,
        head.event_sequence,
        head.map_time,
        head.holds_until,
        known.protected_head,
        head.protected_holds_until,
        subjects,
    )


class _Held:
    """A SQLite connection held open; the event loop's own."""

    def __init__(self, engine: Engine) -> None:
        self._holding = reading(engine)
        self.connection = self._holding.__enter__()
        cursor: Any = self.connection.connection.cursor()
        self.execute = cursor.execute

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Let all statements see the store as it is at the first."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("COMMIT")

    def close(self) -> None:
        """Give the connection back."""
        self._holding.__exit__(None, None, None)


class SqliteMap(_Map):
    """The map on held SQLite connections, used by the event loop's thread alone.

    Few asks are read at once; many in slices of a snapshot of their own, between which others
    get their turn.
    """

    def __init__(self, engine: Engine, log: MerkleLog, salts: Salts) -> None:
        super().__init__(engine, log, salts)
        self._few = _Held(engine)
        self._many = _Held(engine)
        self._many_free = asyncio.Lock()
        self._head, self._sets, self._members, self._tile = _sqlite_texts()

    async def proofs(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        """Return what the map tells of the subjects, at its newest checkpoint."""
        if len(asks) <= FEW:
            with self._few.snapshot():
                head, known = self._newest(self._few)
                return _proofs(known, head, self._subjects(self._few, asks, head, known))
        subjects: list[SubjectSets] = []
        async with self._many_free:
            with self._many.snapshot():
                head, known = self._newest(self._many)
                for start in range(0, len(asks), FEW):
                    some = asks[start : start + FEW]
                    subjects += self._subjects(self._many, some, head, known)
                    await asyncio.sleep(0)
        return _proofs(known, head, subjects)

    async def openness(self) -> Openness:
        """Return which items are protected, and were at each event."""
        with self._few.snapshot():
            return self._newest(self._few)[1].openness

    def _newest(self, held: _Held) -> tuple[HeadRow, _Known]:
        found = held.execute(self._head).fetchone()
        if found is None:
            raise MapNotReady
        head = HeadRow(*found)
        return head, self._goes_with(head, held.connection)

    def _subjects(
        self, held: _Held, asks: Sequence[SubjectAsk], head: HeadRow, known: _Known
    ) -> list[SubjectSets]:
        subjects = json.dumps([ask.subject for ask in asks])
        rows = Rows(
            head,
            known.openness,
            [SetRow(*row) for row in held.execute(self._sets, (subjects,))],
            held.execute(self._members, (subjects, head.map_time)).fetchall(),
        )

        def tiles(tree: int, place: int) -> Tile | None:
            return self._tile_at(held, 2 * place + tree, head.number)

        return sets_of(asks, rows, tiles, self._salts)

    def _tile_at(self, held: _Held, place: int, number: int) -> Tile | None:
        tile = self._tiles.fresh(place, number)
        if tile is None:
            row = held.execute(self._tile, (place,)).fetchone()
            tile = row and self._tiles.of(place, row[0], number)
        return tile

    def close(self) -> None:
        """Give the connections back."""
        self._few.close()
        self._many.close()


class PooledMap(_Map):
    """The map on a pool of threads, for stores across a network."""

    def __init__(self, engine: Engine, log: MerkleLog, salts: Salts) -> None:
        super().__init__(engine, log, salts)
        self._statements = _Statements(engine.dialect)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="map")
        # One of their own: single calls never wait behind batches.
        self._many = ThreadPoolExecutor(1, thread_name_prefix="map-batches")

    async def proofs(self, asks: Sequence[SubjectAsk]) -> MapProofs:
        """Return what the map tells of the subjects, at its newest checkpoint."""
        threads = self._threads if len(asks) <= FEW else self._many
        return await asyncio.get_running_loop().run_in_executor(threads, self._read, asks)

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
        self._many.shutdown()
