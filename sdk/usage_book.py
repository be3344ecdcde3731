"""The receipt book: a local file of all receipts of use, and of the usage log they are compared to.

One SQLite file for several threads and processes, bound to one operator and the pinned key of
receipts when it is made. Receipts are only ever added. Leaves of the log count once they are
verified, with all before them, by a checkpoint of the gateway's.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_new
from sqlalchemy.exc import SQLAlchemyError

from creditgate.transparency.merkle import EMPTY_ROOT, ProofInvalid, leaf_hash
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from creditgate.transparency.receipts import usage_log_key
from creditgate.transparency.region_use import verify_question, verify_region_use
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import Answer, detail_of, verify_receipt, verify_served
from creditgate.transparency.usage_charges import (
    Difference,
    charged_twice,
    compare_places,
)
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.federated_record_service_pb2 import RegionPart
from creditgate.v1.usage_evidence_pb2 import LoggedLeaf
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageKind, UsageLeaf, UsageReceipt
from sdk.usage_tables import (
    AGREED,
    CHECKPOINTS,
    LEAVES,
    METADATA,
    OWNER,
    RECEIPTS,
    LeafTree,
    open_file,
)

_AT_ONCE: Final = 1_000


class BookRefused(ValueError):
    """A file is no receipt book, or that of another operator or key; the message says which."""


class Held(NamedTuple):
    """What a book holds: receipts; leaves of the log that are verified; the checkpoint they are
    verified by as it was signed, "" before the first."""

    receipts: int
    leaves: int
    note: str


class HasAgreed(NamedTuple):
    """How many uses the operator has agreed with, by this book, and when it last did, or tried to
    (seconds, UTC)."""

    size: int
    at: int


class UsageBook:
    """A receipt book; make it by `begin` or `open`. Calls block; any thread.

    ``key`` is the pinned key of receipts. All raise what SQLAlchemy raises where the file cannot
    be used.
    """

    def __init__(self, engine: Engine, operator_id: str, key: VerifierKey) -> None:
        self._engine = engine
        self.operator_id = operator_id
        self.key = key
        self.log_key = usage_log_key(key, operator_id)
        """What verifies checkpoints of the operator's usage log."""

    @classmethod
    def begin(cls, file: Path, operator_id: str, key: VerifierKey) -> Self:
        """Make a book, or open the one that is there. Raises BookRefused where that is another's."""
        engine = open_file(file)
        try:
            METADATA.create_all(engine)
            owner = {"id": 1, "operator_id": operator_id, "key": str(key)}
            with engine.begin() as connection:
                connection.execute(insert_new(OWNER).values(owner).on_conflict_do_nothing())
        finally:
            engine.dispose()
        book = cls.open(file)
        if (book.operator_id, book.key) != (operator_id, key):
            book.close()
            raise BookRefused(f"{file} is the book of another operator, or by another key")
        return book

    @classmethod
    def open(cls, file: Path) -> Self:
        """Open a book. Raises BookRefused."""
        if not file.is_file():
            raise BookRefused(f"There is no book {file}.")
        engine = open_file(file)
        try:
            # Books that are older have none yet.
            AGREED.create(engine, checkfirst=True)
            with engine.connect() as connection:
                owner = connection.execute(select(OWNER.c.operator_id, OWNER.c.key)).one()
            return cls(engine, owner.operator_id, VerifierKey.parse(owner.key))
        except (SQLAlchemyError, ValueError):
            engine.dispose()
            raise BookRefused(f"{file} is no receipt book.") from None

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def keep(self, *answer: Answer) -> UsageLeaf:
        """Keep the receipt of an answer, or of all parts of a chunk in order; return its use.

        A receipt that the gateway signed is kept even where it is not of what was received:
        it is evidence then. Raises ProofInvalid.
        """
        self._keep(answer[-1].receipt.usage)
        return verify_served(answer, self.key)

    def keep_question(self, receipt: Receipt) -> UsageLeaf:
        """Keep the receipt of a question to other regions; return its use. Otherwise as `keep`."""
        self._keep(receipt.usage)
        return verify_question(receipt, self.key)

    def keep_region(self, *chunk: RegionPart) -> UsageLeaf:
        """Keep the receipt of a chunk of another region, given all its parts in order; return its
        use. Otherwise as `keep`."""
        self._keep(chunk[-1].receipt.usage)
        return verify_region_use(chunk, self.key)

    def _keep(self, receipt: UsageReceipt) -> None:
        use = verify_receipt(receipt, self.key)
        if use.operator_id != self.operator_id:
            raise ProofInvalid("the receipt is of another operator")
        row = {
            "usage_index": use.usage_index,
            "leaf_hash": leaf_hash(receipt.leaf),
            "receipt": receipt.SerializeToString(deterministic=True),
        }
        with self._engine.begin() as connection:
            # A retry brings the same leaf, signed anew.
            connection.execute(insert_new(RECEIPTS).values(row).on_conflict_do_nothing())

    def receipts_of(self, usage_index: int) -> list[UsageReceipt]:
        """Return the receipts of a place: several only where the gateway contradicts itself."""
        query = (
            select(RECEIPTS.c.receipt)
            .where(RECEIPTS.c.usage_index == usage_index)
            .order_by(RECEIPTS.c.leaf_hash)
        )
        with self._engine.connect() as connection:
            return [UsageReceipt.FromString(row) for row in connection.execute(query).scalars()]

    def detail(self, use: UsageLeaf) -> UsageDetail | None:
        """Return lines and revisions of a use, None where neither leaf nor receipt has them."""
        told = detail_of(use)
        if told is not None:
            return told
        return detail_of(use, self.detail_told(use.SerializeToString(deterministic=True)))

    def detail_told(self, leaf: bytes) -> bytes:
        """Return the serialised UsageDetail that came with the receipt of a leaf, b"" for none."""
        promised = self.receipts_of(UsageLeaf.FromString(leaf).usage_index)
        return next((each.detail for each in promised if each.leaf == leaf), b"")

    def gaps(self) -> Iterator[range]:
        """Yield the runs of places before the last receipt that have none.

        `differences` tells which of them are charged: a reversal has no receipt.
        """
        expected = 0
        query = select(RECEIPTS.c.usage_index).distinct().order_by(RECEIPTS.c.usage_index)
        for index in self._streamed(query):
            if index > expected:
                yield range(expected, index)
            expected = index + 1

    def held(self) -> Held:
        """Return what the book holds."""
        with self._engine.connect() as connection:
            receipts = connection.execute(select(func.count()).select_from(RECEIPTS)).scalar_one()
            newest = _newest(connection)
        return Held(receipts, *newest)

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint that the leaves held are verified by, of size 0 before the first."""
        note = self.held().note
        return (
            open_checkpoint(note, self.log_key)
            if note
            else Checkpoint(self.log_key.name, 0, EMPTY_ROOT)
        )

    def agreed(self) -> HasAgreed:
        """Return how far the operator has agreed, as this book knows."""
        with self._engine.connect() as connection:
            row = connection.execute(select(AGREED.c.size, AGREED.c.at)).first()
        return HasAgreed(0, 0) if row is None else HasAgreed(*row)

    def keep_agreed(self, size: int, at: int) -> None:
        """Note that the operator has agreed with ``size`` uses by ``at`` (seconds, UTC), or with 0
        that it tried to."""
        new = insert_new(AGREED).values(id=1, size=size, at=at)
        newer = {"size": func.max(AGREED.c.size, new.excluded.size), "at": new.excluded.at}
        with self._engine.begin() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=newer))

    def take(self, first: int, leaves: Sequence[bytes]) -> None:
        """Take on leaves from a place on, yet to be verified, instead of any from there on.

        Raises ProofInvalid where they are not the operator's at their places, LookupError where
        ``first`` is verified already.
        """
        rows = [self._row(place, leaf) for place, leaf in enumerate(leaves, first)]
        with self._engine.begin() as connection:
            _lock(connection)
            if first < _newest(connection)[0]:
                raise LookupError("these leaves are verified already")
            connection.execute(delete(LEAVES).where(LEAVES.c.usage_index >= first))
            if rows:
                connection.execute(insert(LEAVES), rows)

    def verify(self, note: str) -> int:
        """Verify the leaves taken on by a signed checkpoint; return how many there are in all.

        Where they are not, behind those verified before, the tree that the gateway signed, the
        log is not what it was, or no log: they are dropped. Raises ProofInvalid.
        """
        checkpoint = open_checkpoint(note, self.log_key)
        with self._engine.begin() as connection:
            _lock(connection)
            known, _ = _newest(connection)
            if checkpoint.size < known:
                raise ProofInvalid("the log has become shorter")
            tree = LeafTree(connection)
            if (
                _taken(connection) == checkpoint.size
                and tree.root(checkpoint.size) == checkpoint.root
            ):
                if checkpoint.size > known:
                    row = {"size": checkpoint.size, "note": note}
                    connection.execute(insert(CHECKPOINTS).values(row))
                return checkpoint.size
            connection.rollback()
        with self._engine.begin() as connection:
            known, _ = _newest(connection)
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
            size, note = _newest(connection)
            leaf = connection.execute(query).scalar()
            if leaf is None or usage_index >= size:
                raise LookupError(f"the book has no verified leaf {usage_index}")
            path = LeafTree(connection).inclusion(usage_index, size)
        return LoggedLeaf(leaf=leaf, audit_path=path, checkpoint=note)

    def leaves(self) -> Iterator[bytes]:
        """Yield the verified leaves, from the first on."""
        query = select(LEAVES.c.leaf).order_by(LEAVES.c.usage_index)
        yield from self._streamed(self._verified(query))

    def differences(self) -> Iterator[Difference]:
        """Yield where the log is not what the receipts promise, in bounded memory.

        UNLOGGED are receipts behind the checkpoint: right while it is about as old.
        """
        receipts = select(RECEIPTS.c.receipt).order_by(RECEIPTS.c.usage_index, RECEIPTS.c.leaf_hash)
        promised = (UsageReceipt.FromString(each).leaf for each in self._streamed(receipts))
        yield from compare_places(promised, self.leaves())
        answers = (
            select(LEAVES.c.leaf)
            .where(LEAVES.c.kind == UsageKind.USAGE_KIND_ANSWER)
            .order_by(LEAVES.c.request_id, LEAVES.c.chunk, LEAVES.c.usage_index)
        )
        yield from charged_twice(self._streamed(self._verified(answers)))

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

    def _verified(self, query: Select[Any]) -> Select[Any]:
        """Return a query of leaves for those that are verified."""
        size = select(func.coalesce(func.max(CHECKPOINTS.c.size), 0)).scalar_subquery()
        return query.where(LEAVES.c.usage_index < size)

    def _streamed(self, query: Select[Any]) -> Iterator[Any]:
        with self._engine.connect() as connection:
            found = connection.execution_options(yield_per=_AT_ONCE).execute(query)
            yield from found.scalars()


def _lock(connection: Connection) -> None:
    """Keep others from writing from here on, so that what is read holds until it is written."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _newest(connection: Connection) -> tuple[int, str]:
    query = select(CHECKPOINTS.c.size, CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc())
    row = connection.execute(query.limit(1)).first()
    return (0, "") if row is None else (row.size, row.note)


def _taken(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(LEAVES)).scalar_one()
