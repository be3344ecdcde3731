"""Receipts of what was charged before: for whoever lost an answer that does not come any more."""

from typing import Final

from sqlalchemy import Engine, select

from gateway.meter.model import ANSWER
from gateway.meter.receipts import ReceiptSigner, detailed
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from gateway.usage.leaves import LedgerLeaves

_OWN: Final = USAGE.c
_MOST: Final = 100


class EarlierReceipts:
    """Signs receipts of answers in the ledger anew. Calls block; any thread."""

    def __init__(self, records: Engine, signer: ReceiptSigner) -> None:
        self._records = records
        self._signer = signer

    def of(self, operator_id: str, request_id: str, first: int) -> list[bytes]:
        """Return the receipts of a request's chunks from number ``first`` on, in order, each a
        serialised UsageReceipt; a hundred at most. Raises what the store raises, and LookupError
        where it lacks a revenue line."""
        query = (
            select(_OWN.sequence)
            .where(
                _OWN.operator_id == operator_id,
                _OWN.request_id == request_id,
                _OWN.chunk >= first,
                _OWN.kind == ANSWER,
            )
            .order_by(_OWN.chunk)
            .limit(_MOST)
        )
        leaves = LedgerLeaves()
        with reading(self._records) as connection:
            found = [
                leaf
                for sequence in connection.execute(query).scalars().all()
                if (leaf := leaves.of(connection, operator_id, sequence)) is not None
            ]
        if not found:
            return []
        receipts = self._signer.receipts([each.leaf for each in found])
        return [detailed(*each) for each in zip(receipts, (f.detail for f in found), strict=True)]
