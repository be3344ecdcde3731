"""What a region was charged for a chunk when that was answered first, told to it again.

The answer may have been lost and records of it may have ended since. The region is told what it
was charged, by receipt and by the records' names, so that its ledger has what this one has
(`MeteredBefore`). What a record says, and whom it is about, is not told: it ended.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Engine, select

from creditgate.transparency.strict import strictly
from creditgate.v1.federation_service_pb2 import MeteredBefore, MeteredRecord
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.reader import SqlUsageReader
from gateway.meter.receipts import ReceiptSigner, detailed
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from gateway.usage.leaves import LedgerLeaves

_OWN: Final = USAGE.c
Told = tuple[str, int]
"""A revision as an answer has it: the record's name, and the number of the revision."""


class MeteredAnswers:
    """Tells what chunks were charged for. Calls block; any thread."""

    def __init__(self, records: Engine, receipts: ReceiptSigner) -> None:
        self._records = records
        self._receipts = receipts
        self._reader = SqlUsageReader(records)

    def before(
        self, operator_id: str, request_id: str, chunk: int, told: Collection[Told]
    ) -> MeteredBefore | None:
        """Return what a chunk was charged for, None where it was for no more than ``told``.

        Raises what the store raises, and LookupError where the ledger names what is not there.
        """
        query = select(_OWN.sequence, _OWN.entries).where(
            _OWN.operator_id == operator_id,
            _OWN.request_id == request_id,
            _OWN.chunk == chunk,
            _OWN.kind == ANSWER,
        )
        with reading(self._records) as connection:
            row = connection.execute(query).one_or_none()
            leaf = None if row is None else LedgerLeaves().of(connection, operator_id, row.sequence)
        if row is None or leaf is None or not row.entries:
            return None
        (answer,) = self._reader.answers(
            operator_id,
            from_=None,
            until=None,
            request_id=request_id,
            after=row.sequence - 1,
            least_entries=1,
        ).answers
        records = [
            MeteredRecord(
                name=f"records/{entry.record_id}",
                revision=entry.revision,
                event_sequence=sequence,
                item=entry.item,
                source=entry.source,
                region=entry.region,
            )
            for entry, sequence in zip(answer.entries, unpack_entries(row.entries), strict=True)
        ]
        if {(each.name, each.revision) for each in records} <= set(told):
            return None
        (receipt,) = self._receipts.receipts([leaf.leaf])
        usage = strictly(UsageReceipt, detailed(receipt, leaf.detail))
        return MeteredBefore(usage=usage, records=records)
