"""The receipts in a book's file: each is a promise of its place in the log, or evidence alone."""

from sqlalchemy import Connection, Engine, delete, literal, select
from sqlalchemy.dialects.sqlite import insert

from creditgate.transparency.merkle import leaf_hash
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageReceipt
from sdk.usage_tables import DOUBTED, RECEIPTS


class KeptReceipts:
    """Receipts whose signature holds, written down once for each leaf: a retry brings the same leaf,
    signed anew. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, use: UsageLeaf, receipt: UsageReceipt) -> None:
        """Write down a receipt of which it is not known any more what came with it."""
        with self._engine.begin() as connection:
            _add(connection, use, receipt)

    def promise(self, use: UsageLeaf, receipt: UsageReceipt) -> None:
        """Write down a receipt that is of what came."""
        own = DOUBTED.c.usage_index == use.usage_index, DOUBTED.c.leaf_hash == _hash(receipt)
        with self._engine.begin() as connection:
            _add(connection, use, receipt)
            connection.execute(delete(DOUBTED).where(*own))

    def doubt(self, use: UsageLeaf, receipt: UsageReceipt) -> None:
        """Write down a receipt that is not of what came.

        Where an earlier one of the leaf is here, that stays what it is: what a retry gives takes
        nothing from what its first answer was rightly charged.
        """
        kept = RECEIPTS.c
        own = (
            kept.usage_index == use.usage_index,
            kept.leaf_hash == _hash(receipt),
            kept.receipt == literal(receipt.SerializeToString(deterministic=True)),
        )
        doubted = insert(DOUBTED).from_select(
            ["usage_index", "leaf_hash"], select(kept.usage_index, kept.leaf_hash).where(*own)
        )
        with self._engine.begin() as connection:
            _add(connection, use, receipt)
            connection.execute(doubted.on_conflict_do_nothing())

    def of(self, usage_index: int) -> list[UsageReceipt]:
        """Return the receipts of a place: several only where the gateway contradicts itself."""
        query = (
            select(RECEIPTS.c.receipt)
            .where(RECEIPTS.c.usage_index == usage_index)
            .order_by(RECEIPTS.c.leaf_hash)
        )
        with self._engine.connect() as connection:
            return [UsageReceipt.FromString(row) for row in connection.execute(query).scalars()]


def _add(connection: Connection, use: UsageLeaf, receipt: UsageReceipt) -> None:
    row = {
        "usage_index": use.usage_index,
        "leaf_hash": _hash(receipt),
        "receipt": receipt.SerializeToString(deterministic=True),
    }
    connection.execute(insert(RECEIPTS).values(row).on_conflict_do_nothing())


def _hash(receipt: UsageReceipt) -> bytes:
    return leaf_hash(receipt.leaf)
