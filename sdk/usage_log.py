"""The usage log in a receipt book: taken on leaf by leaf, verified by its checkpoints, compared with
the receipts."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVarTuple

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select

from creditgate.transparency.linked import LinkedKeys, open_linked
from creditgate.transparency.merkle import EMPTY_ROOT, ProofInvalid, leaf_hash
from creditgate.transparency.note import Checkpoint, origin_of
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage_charges import (
    Difference,
    DifferenceKind,
    charged_twice,
    compare_places,
)
from creditgate.v1.usage_evidence_pb2 import LoggedLeaf
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageReceipt
from sdk.usage_keys import BookKeys
from sdk.usage_tables import CHECKPOINTS, DOUBTED, LEAVES, RECEIPTS, LeafTree

_AT_ONCE: Final = 1_000
_Columns = TypeVarTuple("_Columns")


class BookLog:
    """The log of ``operator_id`` in a book's file, by the keys that it knows. Calls block; any
    thread."""

    def __init__(self, engine: Engine, operator_id: str, keys: BookKeys) -> None:
        self._engine = engine
        self.operator_id = operator_id
        self._keys = keys

    @property
    def keys(self) -> LinkedKeys:
        """The keys of receipts: the one pinned first, and those that follow it."""
        return self._keys.known

    @property
    def _log_keys(self) -> LinkedKeys:
        """What verifies checkpoints of the operator's usage log."""
        return self.keys.of_operator(self.operator_id)

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint that the leaves held are verified by, of size 0 before the first."""
        with self._engine.connect() as connection:
            _, note = newest_held(connection)
        if not note:
            return Checkpoint(self._log_keys.present.name, 0, EMPTY_ROOT)
        return open_linked(note, self._log_keys)

    def take(self, first: int, leaves: Sequence[bytes]) -> None:
        """Take on leaves from a place on, yet to be verified, instead of any from there on.

        Raises ProofInvalid where they are not the operator's at their places, LookupError where
        ``first`` is verified already.
        """
        rows = [self._row(place, leaf) for place, leaf in enumerate(leaves, first)]
        with self._engine.begin() as connection:
            _lock(connection)
            if first < newest_held(connection)[0]:
                raise LookupError("these leaves are verified already")
            connection.execute(delete(LEAVES).where(LEAVES.c.usage_index >= first))
            if rows:
                connection.execute(insert(LEAVES), rows)

    def verify(self, note: str) -> int:
        """Verify the leaves taken on by a signed checkpoint; return how many there are in all.

        Where they are not, behind those verified before, the tree that the gateway signed, the
        log is not what it was, or no log: they are dropped. Under a key that follows it is the same
        log, and a former key signs no more of it. Raises ProofInvalid.
        """
        keys = self._log_keys
        checkpoint = open_linked(note, keys)
        with self._engine.begin() as connection:
            _lock(connection)
            known, newest = newest_held(connection)
            if checkpoint.size < known:
                raise ProofInvalid("the log has become shorter")
            later = keys.place(checkpoint.origin) - keys.place(origin_of(newest)) if newest else 0
            if later < 0:
                raise ProofInvalid("the log is signed by a former key again")
            tree = LeafTree(connection)
            if (
                _taken(connection) == checkpoint.size
                and tree.root(checkpoint.size) == checkpoint.root
            ):
                if later:
                    own = CHECKPOINTS.c.size == checkpoint.size
                    connection.execute(delete(CHECKPOINTS).where(own))
                if later or checkpoint.size > known:
                    row = {"size": checkpoint.size, "note": note}
                    connection.execute(insert(CHECKPOINTS).values(row))
                return checkpoint.size
            connection.rollback()
        with self._engine.begin() as connection:
            known, _ = newest_held(connection)
            connection.execute(delete(LEAVES).where(LEAVES.c.usage_index >= known))
        raise ProofInvalid("the log's leaves are not those of its checkpoint")

    def logged(self, usage_index: int) -> LoggedLeaf:
        """Return a verified leaf with its audit path to the newest checkpoint held.

        Raises LookupError.
        """
        query = select(LEAVES.c.leaf).where(LEAVES.c.usage_index == usage_index)
        with self._engine.begin() as connection:
            # One state of the book for all three.
            _lock(connection)
            size, note = newest_held(connection)
            leaf = connection.execute(query).scalar()
            if leaf is None or usage_index >= size:
                raise LookupError(f"the book has no verified leaf {usage_index}")
            path = LeafTree(connection).inclusion(usage_index, size)
        return LoggedLeaf(leaf=leaf, audit_path=path, checkpoint=note)

    def leaves(self, size: int | None = None) -> Iterator[bytes]:
        """Yield the verified leaves from the first on, or the first ``size`` of them."""
        query = select(LEAVES.c.leaf).order_by(LEAVES.c.usage_index)
        yield from self._streamed(_verified(query, size))

    def differences(self, size: int | None = None) -> Iterator[Difference]:
        """Yield where the log is not what the receipts promise, in bounded memory; of a log that
        others may take on meanwhile, where its first ``size`` verified leaves are not.

        UNLOGGED are receipts behind these: right while their checkpoint is about as old.
        UNPROMISED is also what has no other receipt than one that is not of what came.
        """
        receipts = select(RECEIPTS.c.receipt).order_by(RECEIPTS.c.usage_index, RECEIPTS.c.leaf_hash)
        promised = (UsageReceipt.FromString(each).leaf for each in self._streamed(receipts))
        yield from compare_places(promised, self.leaves(size))
        doubted = (
            select(LEAVES.c.leaf, DOUBTED.c.leaf_hash)
            .join(DOUBTED, DOUBTED.c.usage_index == LEAVES.c.usage_index)
            .order_by(LEAVES.c.usage_index)
        )
        for leaf, doubt in self._rows(_verified(doubted, size)):
            # Of another leaf it is a conflict, which is told.
            if leaf_hash(leaf) == doubt:
                use = UsageLeaf.FromString(leaf)
                kind, fee = DifferenceKind.UNPROMISED, use.fee_micro_yuan
                yield Difference(kind, use.usage_index, fee, b"", leaf)
        answers = (
            select(LEAVES.c.leaf)
            .where(LEAVES.c.kind == UsageKind.USAGE_KIND_ANSWER)
            .order_by(LEAVES.c.request_id, LEAVES.c.chunk, LEAVES.c.usage_index)
        )
        yield from charged_twice(self._streamed(_verified(answers, size)))

    def _row(self, place: int, leaf: bytes) -> dict[str, object]:
        use = strictly(UsageLeaf, leaf)
        if (use.operator_id, use.usage_index) != (self.operator_id, place):
            raise ProofInvalid("a leaf of the log is of another operator or place")
        return {
            "usage_index": place,
            "kind": use.kind,
            "request_id": use.request_id,
            "chunk": use.chunk,
            "serve_seconds": use.serve_seconds,
            "leaf": leaf,
        }

    def _streamed(self, query: Select[*tuple[Any, ...]]) -> Iterator[Any]:
        return (first for first, *_ in self._rows(query))

    def _rows(self, query: Select[*tuple[Any, ...]]) -> Iterator[Any]:
        with self._engine.connect() as connection:
            yield from connection.execution_options(yield_per=_AT_ONCE).execute(query)


def _verified(query: Select[*_Columns], size: int | None) -> Select[*_Columns]:
    """Return a query of leaves for those that are verified, or the first ``size`` of them."""
    verified = select(func.coalesce(func.max(CHECKPOINTS.c.size), 0)).scalar_subquery()
    found = query.where(LEAVES.c.usage_index < verified)
    return found if size is None else found.where(LEAVES.c.usage_index < size)


def _lock(connection: Connection) -> None:
    """Keep others from writing from here on, so that what is read holds until it is written."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def newest_held(connection: Connection) -> tuple[int, str]:
    """Return how many leaves are verified, and the checkpoint they are by, "" for none."""
    query = select(CHECKPOINTS.c.size, CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc())
    row = connection.execute(query.limit(1)).first()
    return (0, "") if row is None else (row.size, row.note)


def _taken(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(LEAVES)).scalar_one()
