"""Checking a log: every hash is made anew from the entries, up to the signed checkpoints."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from creditgate.transparency.merkle import GrowingRoot, ProofInvalid, leaf_hash, root_of
from creditgate.transparency.note import Checkpoint, VerifierKey, checkpoint_body, open_checkpoint
from creditgate.transparency.tiles import TILE_WIDTH, entries_of, hashes_of
from gateway.transparency.faults import Faults
from gateway.transparency.tables import BUNDLES, CHECKPOINTS, LOGS, TILES, AnyLogId


class CheckedLog:
    """One log as ``connection`` sees it; `entries` checks it all as it goes."""

    def __init__(
        self, connection: Connection, log: AnyLogId, key: VerifierKey, faults: Faults
    ) -> None:
        self._connection = connection
        self._log = log
        self._key = key
        self._faults = faults
        self._levels: list[list[bytes]] = []
        self._tiles: list[int] = []
        self._grown = GrowingRoot()
        self._checkpoint: tuple[int, bytes, int, str] | None = None
        self.checkpoints: dict[int, int] = {}
        """When each size was signed, as it is kept."""

    def entries(self) -> Iterator[bytes]:
        """Yield every entry in order; what is wrong is noted. Raises EnoughFaults."""
        size = self._begun()
        for number, width in _widths(size):
            for index, entry in enumerate(self._bundle(number, width), number * TILE_WIDTH):
                self._take(leaf_hash(entry))
                yield entry
                self._at(index + 1)
        self._end(size, bundles=-(-size // TILE_WIDTH))

    def leaf_hashes(self) -> Iterator[bytes]:
        """Yield the hash of every leaf in order, of a log whose entries are kept elsewhere: its
        caller compares them; all else is checked as by `entries`. Raises EnoughFaults."""
        size = self._begun()
        for number, width in _widths(size):
            for index, value in enumerate(self._hashes(number, width), number * TILE_WIDTH):
                self._take(value)
                yield value
                self._at(index + 1)
        self._end(size, bundles=0)

    def _begun(self) -> int:
        """Return the log's size."""
        query = select(LOGS.c.size).where(LOGS.c.log == self._log)
        size = self._connection.execute(query).scalar() or 0
        self._next_checkpoint(-1)
        self._at(0)
        return size

    def _take(self, value: bytes) -> None:
        self._add(0, value)
        self._grown.add(value)

    def _end(self, size: int, *, bundles: int) -> None:
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._tile(level, hashes)
        self._require_no_more(size, bundles)

    def _hashes(self, number: int, width: int) -> list[bytes]:
        try:
            hashes = hashes_of(self._tile_kept(0, number))
        except ProofInvalid:
            hashes = []
        self._faults.require(
            len(hashes) == width,
            f"log_tiles, {self._log.path}, level 0, number {number}",
            "it does not hold the log's leaves",
        )
        return hashes[:width]

    def _bundle(self, number: int, width: int) -> list[bytes]:
        place = f"log_bundles, {self._log.path}, number {number}"
        kept = self._connection.execute(
            select(BUNDLES.c.entries).where(BUNDLES.c.log == self._log, BUNDLES.c.number == number)
        ).scalar()
        try:
            entries = entries_of(bytes(kept or b""))
        except ProofInvalid:
            entries = []
        self._faults.require(len(entries) == width, place, "it does not hold the log's entries")
        return entries[:width]

    def _add(self, level: int, value: bytes) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._tiles.append(0)
        hashes = self._levels[level]
        hashes.append(value)
        if len(hashes) == TILE_WIDTH:
            self._tile(level, hashes)
            self._add(level + 1, root_of(hashes))
            hashes.clear()

    def _tile(self, level: int, hashes: list[bytes]) -> None:
        number = self._tiles[level]
        self._tiles[level] += 1
        self._faults.require(
            self._tile_kept(level, number) == b"".join(hashes),
            f"log_tiles, {self._log.path}, level {level}, number {number}",
            "its hashes are not those of the entries",
        )

    def _tile_kept(self, level: int, number: int) -> bytes:
        kept = self._connection.execute(
            select(TILES.c.hashes).where(
                TILES.c.log == self._log, TILES.c.level == level, TILES.c.number == number
            )
        ).scalar()
        return bytes(kept or b"")

    def _at(self, size: int) -> None:
        """Check the checkpoint of a size, if there is one."""
        if self._checkpoint is None or self._checkpoint[0] != size:
            return
        _, root, at, note = self._checkpoint
        place = f"log_checkpoints, {self._log.path}, size {size}"
        expected = Checkpoint(self._key.name, size, self._grown.root())
        self._faults.require(root == expected.root, place, "its root is not that of the entries")
        try:
            signed = open_checkpoint(note, self._key)
        except ProofInvalid as error:
            self._faults.note(place, str(error))
        else:
            self._faults.require(signed == expected, place, "what is signed is not of the entries")
            # Other signatures would not be looked at, so there must be none.
            self._faults.require(
                note.startswith(checkpoint_body(expected)) and note.count("\n") == 5,
                place,
                "the note holds more than the log's signature",
            )
        self.checkpoints[size] = at
        self._next_checkpoint(size)

    def _next_checkpoint(self, after: int) -> None:
        row = self._connection.execute(
            select(CHECKPOINTS.c.size, CHECKPOINTS.c.root, CHECKPOINTS.c.at, CHECKPOINTS.c.note)
            .where(CHECKPOINTS.c.log == self._log, CHECKPOINTS.c.size > after)
            .order_by(CHECKPOINTS.c.size)
            .limit(1)
        ).first()
        self._checkpoint = None if row is None else (row.size, bytes(row.root), row.at, row.note)

    def _require_no_more(self, size: int, bundles: int) -> None:
        name = self._log.path
        self._faults.require(
            self._checkpoint is None,
            f"log_checkpoints, {name}",
            "a checkpoint is of more entries than there are",
        )
        self._faults.require(
            size in self.checkpoints or not size,
            f"log_checkpoints, {name}, size {size}",
            "the log's end is not signed",
        )
        for table, expected in (
            (TILES, sum(self._tiles)),
            (BUNDLES, bundles),
            (CHECKPOINTS, len(self.checkpoints)),
        ):
            kept = self._connection.execute(
                select(func.count()).select_from(table).where(table.c.log == self._log)
            ).scalar_one()
            self._faults.require(
                kept == expected, f"{table.name}, {name}", "there are rows too many, or too few"
            )


def _widths(size: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each bundle of a log, and how many entries it has."""
    for number in range(-(-size // TILE_WIDTH)):
        yield number, min(TILE_WIDTH, size - number * TILE_WIDTH)
