"""A Merkle log: entries only ever added, each state of it signed once.

Appending and signing are parts of a transaction of the caller's, so that what is logged and
what is worked out from it are committed together. A checkpoint is signed for a size once:
with the tree it is of, in one commit, or not at all.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, RootTransaction, bindparam, insert, select, update

from creditgate.transparency.merkle import HASH_BYTES
from creditgate.transparency.note import (
    Checkpoint,
    Signer,
    VerifierKey,
    checkpoint_body,
    signed,
)
from creditgate.transparency.tiles import TILE_WIDTH, bundle_of, entries_of, hashes_of
from creditgate.transparency.tree import MOST_TILES, ReadTile, Subtrees
from gateway.storage.engines import reading
from gateway.transparency.growing import bundle_in, grow, grow_hashes, present_root, tile_in
from gateway.transparency.identity import require_own
from gateway.transparency.keys import LogKey
from gateway.transparency.last_signed import NOTHING, Signed
from gateway.transparency.tables import CHECKPOINTS, LOGS, AnyLogId

_CHECKPOINTS: Final = select(
    CHECKPOINTS.c.size,
    CHECKPOINTS.c.root,
    CHECKPOINTS.c.note,
    CHECKPOINTS.c.at,
    CHECKPOINTS.c.cosignatures,
).where(CHECKPOINTS.c.log == bindparam("of_log"))
_LATEST: Final = _CHECKPOINTS.order_by(CHECKPOINTS.c.size.desc()).limit(1)
_OF_SIZE: Final = _CHECKPOINTS.where(CHECKPOINTS.c.size == bindparam("of_size"))
_COSIGNED: Final = (
    _CHECKPOINTS.where(CHECKPOINTS.c.size <= bindparam("of_size"), CHECKPOINTS.c.cosignatures != "")
    .order_by(CHECKPOINTS.c.size.desc())
    .limit(bindparam("most"))
)
_KEEP: Final = insert(CHECKPOINTS)
_SIZE: Final = select(LOGS.c.size).where(LOGS.c.log == bindparam("of_log"))
_GROWN: Final = update(LOGS).where(LOGS.c.log == bindparam("of_log")).values(size=bindparam("now"))


class SignedCheckpoint(NamedTuple):
    """The head of a log, signed: ``note`` is what verifies, ``at`` when it was signed
    (seconds, UTC); ``cosignatures`` are the lines of witnesses so far."""

    size: int
    root: bytes
    note: str
    at: int
    cosignatures: str = ""

    @property
    def cosigned(self) -> str:
        """The note with the witnesses' lines behind the log's own."""
        return self.note + self.cosignatures


class LogReader:
    """One log of a store, as it is read; ``key`` verifies it. Calls block; any thread."""

    def __init__(
        self, engine: Engine, log: AnyLogId, key: VerifierKey, most_tiles: int = MOST_TILES
    ) -> None:
        self.log = log
        self.key = key
        self._engine = engine
        self._trees = Subtrees(most_tiles)

    def latest(self) -> SignedCheckpoint | None:
        """Return the newest checkpoint, None before the first."""
        with reading(self._engine) as connection:
            return self.latest_in(connection)

    def latest_in(self, connection: Connection) -> SignedCheckpoint | None:
        """Return the newest checkpoint that ``connection`` sees."""
        row = connection.execute(_LATEST, {"of_log": self.log}).first()
        return None if row is None else SignedCheckpoint(*row)

    def checkpoint_of(self, size: int) -> SignedCheckpoint | None:
        """Return the checkpoint signed of a size, None where none was."""
        with reading(self._engine) as connection:
            return self._of_size(connection, size)

    def _of_size(self, connection: Connection, size: int) -> SignedCheckpoint | None:
        row = connection.execute(_OF_SIZE, {"of_log": self.log, "of_size": size}).first()
        return None if row is None else SignedCheckpoint(*row)

    def cosigned_up_to(self, size: int, most: int = 16) -> list[SignedCheckpoint]:
        """Return the newest checkpoints that have cosignatures, up to one of ``size``, newest
        first, at most so many."""
        asked = {"of_log": self.log, "of_size": size, "most": most}
        with reading(self._engine) as connection:
            return [SignedCheckpoint(*row) for row in connection.execute(_COSIGNED, asked)]

    def entry(self, index: int) -> bytes:
        """Return the leaf data of one entry. Raises LookupError."""
        return self.entries([index])[0]

    def entries(self, indexes: Sequence[int]) -> list[bytes]:
        """Return the leaf data of entries, in the order asked. Raises LookupError."""
        with reading(self._engine) as connection:
            return self.entries_in(connection, indexes)

    def entries_in(self, connection: Connection, indexes: Sequence[int]) -> list[bytes]:
        """Return the same as ``connection`` sees it. Raises LookupError."""
        numbers = {index // TILE_WIDTH for index in indexes}
        bundles = {number: entries_of(self._bundle(connection, number)) for number in numbers}
        return [bundles[index // TILE_WIDTH][index % TILE_WIDTH] for index in indexes]

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        """Return the hashes of the leaves from one place up to another. Raises LookupError."""
        numbers = range(start // TILE_WIDTH, -(-stop // TILE_WIDTH))
        with reading(self._engine) as connection:
            read = self._tiles(connection)
            hashes = [each for number in numbers for each in hashes_of(read(0, number))]
        first = start // TILE_WIDTH * TILE_WIDTH
        if first + len(hashes) < stop:
            raise LookupError("the log is not so long yet")
        return hashes[start - first : stop - first]

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of an entry in the tree of ``size``, leaf to root.

        Raises LookupError.
        """
        return self.inclusions([index], size)[0]

    def inclusions(self, indexes: Sequence[int], size: int) -> list[list[bytes]]:
        """Return the audit paths of entries in the tree of ``size``. Raises LookupError."""
        with reading(self._engine) as connection:
            return self.inclusions_in(connection, indexes, size)

    def inclusions_in(
        self, connection: Connection, indexes: Sequence[int], size: int
    ) -> list[list[bytes]]:
        """Return the same as ``connection`` sees it. Raises LookupError."""
        if any(not 0 <= index < size for index in indexes):
            raise LookupError("the entry is outside the tree")
        read = self._tiles(connection)
        return [self._trees.inclusion(index, size, read) for index in indexes]

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the tree of ``second`` entries begins with that of ``first``.

        Raises LookupError.
        """
        if not 0 <= first <= second:
            raise LookupError("the trees' sizes are not in order")
        with reading(self._engine) as connection:
            return self._trees.consistency(first, second, self._tiles(connection))

    def root(self, size: int) -> bytes:
        """Return the root of the tree of ``size`` entries. Raises LookupError."""
        with reading(self._engine) as connection:
            return self._trees.root(0, size, self._tiles(connection))

    def tile(self, level: int, number: int, width: int = TILE_WIDTH) -> bytes:
        """Return the first ``width`` hashes of a tile. Raises LookupError."""
        with reading(self._engine) as connection:
            hashes = self._tiles(connection)(level, number)
        if len(hashes) < width * HASH_BYTES:
            raise LookupError("the tile is not so wide yet")
        return hashes[: width * HASH_BYTES]

    def bundle(self, number: int, width: int = TILE_WIDTH) -> bytes:
        """Return the first ``width`` entries of a bundle, as a bundle. Raises LookupError."""
        with reading(self._engine) as connection:
            bundle = self._bundle(connection, number)
        entries = entries_of(bundle)
        if len(entries) < width:
            raise LookupError("the bundle is not so wide yet")
        return bundle if len(entries) == width else bundle_of(entries[:width])

    def _tiles(self, connection: Connection) -> ReadTile:
        def read(level: int, number: int) -> bytes:
            return tile_in(connection, self.log, level, number) or _missing()

        return read

    def _bundle(self, connection: Connection, number: int) -> bytes:
        return bundle_in(connection, self.log, number) or _missing()


class MerkleLog(LogReader):
    """One log of a store; ``key`` signs it. Calls block; any thread."""

    def __init__(
        self, engine: Engine, log: AnyLogId, key: Signer, most_tiles: int = MOST_TILES
    ) -> None:
        super().__init__(engine, log, key.verifier, most_tiles)
        self._signer = key
        self._last = key.last if isinstance(key, LogKey) else None
        self._locked: _Locked | None = None

    def append(self, connection: Connection, leaves: Sequence[bytes]) -> int:
        """Add entries, given as their leaf data; return the place of the first.

        Raises ValueError for an entry longer than 65,535 bytes, AnotherLog.
        """
        size = self.size(connection, writing=True)
        grow(connection, self.log, size, leaves)
        self._grown(connection, size + len(leaves))
        return size

    def append_hashes(self, connection: Connection, hashes: Sequence[bytes]) -> int:
        """Add entries that are kept elsewhere, given as the hashes of their leaves; return the
        place of the first. A log is of these alone, or of none.

        Raises AnotherLog.
        """
        size = self.size(connection, writing=True)
        grow_hashes(connection, self.log, size, hashes)
        self._grown(connection, size + len(hashes))
        return size

    def _grown(self, connection: Connection, size: int) -> None:
        connection.execute(_GROWN, {"of_log": self.log, "now": size})
        self._locked = _Locked(connection.get_transaction(), size)

    def sign(self, connection: Connection, at: int) -> SignedCheckpoint:
        """Return the signed checkpoint of the log as it stands in ``connection``.

        Its caller tells once it is `committed`. Raises AnotherLog, and NeverSign where the key
        has signed another tree of this size, or a greater one.
        """
        size = self.size(connection, writing=True)
        known = self._of_size(connection, size)
        if known is not None:
            return known
        root = present_root(connection, self.log, size)
        checkpoint = Checkpoint(self.key.name, size, root)
        if self._last is not None:
            before = self.latest_in(connection)
            self._last.about_to_sign(
                NOTHING if before is None else Signed(before.size, before.root), checkpoint
            )
        note = signed(checkpoint_body(checkpoint), self._signer)
        connection.execute(
            _KEEP, {"log": self.log, "size": size, "root": root, "at": at, "note": note}
        )
        return SignedCheckpoint(size, root, note, at)

    def committed(self) -> None:
        """Note that what was signed last is committed."""
        if self._last is not None:
            self._last.committed()

    def size(self, connection: Connection, *, writing: bool = False) -> int:
        """Return the number of entries; ``writing`` keeps other writers out to the commit,
        and begins a log that there is not yet, unless what its key signs last is kept.

        Raises AnotherLog.
        """
        if not writing:
            return connection.execute(_SIZE, {"of_log": self.log}).scalar() or 0
        locked, transaction = self._locked, connection.get_transaction()
        if transaction is None or locked is None or locked.transaction is not transaction:
            # A key whose signatures are kept is that of a log which had begun as it was looked up.
            begins = self._last is None
            size = require_own(connection, self.log, self.key, writing=True, begins=begins)
            locked = self._locked = _Locked(connection.get_transaction(), size)
        return locked.size


class _Locked(NamedTuple):
    """A transaction that keeps other writers out of a log, and the log's size in it: nobody else
    changes it there."""

    transaction: RootTransaction | None
    size: int


def _missing() -> bytes:
    raise LookupError("the log is not so long yet")
