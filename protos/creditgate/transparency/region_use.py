"""Use of other regions' records verified offline: what one's own gateway charged for them. Pure.

Source: federated_record_service.proto, usage_log.proto. What is wrong is a `ProofInvalid`.
"""

from collections import Counter
from collections.abc import Sequence

from creditgate.transparency.linked import Pinned
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import (
    CountedBy,
    counted_by,
    detail_of,
    fee_of,
    is_of_other_region,
    lines_by,
    promised_by,
    region_records_digest,
    require_told,
    verify_again,
)
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federated_record_service_pb2 import RegionPart
from creditgate.v1.usage_log_pb2 import UsageLeaf


def verify_question(receipt: Receipt, key: Pinned) -> UsageLeaf:
    """Return the use that a question to other regions was metered as: it charges nothing.

    ``key`` is the pinned key of receipts of one's own gateway. Raises ProofInvalid.
    """
    leaf = promised_by(receipt, key)
    if leaf.lines or leaf.detail_digest or leaf.records_digest or leaf.fee_micro_yuan:
        raise ProofInvalid("a question is charged")
    if not receipt.replayed:
        require_told(leaf, receipt, b"", 0)
    elif receipt.usage.again:
        verify_again(receipt, key, b"", b"")
    return leaf


def verify_region_use(parts: Sequence[RegionPart], key: Pinned) -> UsageLeaf:
    """Return the use that a chunk of another region was charged as, once that is what was received.

    ``parts`` are all of the chunk, in order; ``key`` as above. A retry has the receipt of the
    first answer: it must have all that was charged, but for what the region's own receipt charges
    and its retry has not any more. Whether records and receipt are the region's is another matter
    (`sdk.federated.RegionAnswer.verify`). Raises ProofInvalid.
    """
    receipt = parts[-1].receipt
    leaf = promised_by(receipt, key)
    if not is_of_other_region(leaf):
        raise ProofInvalid("the receipt is not of another region's records")
    records = [record for part in parts for record in part.answer.chunk.records]
    items = [item for part in parts for item in part.items]
    if len(items) != len(records):
        raise ProofInvalid("the parts do not tell the item of each record")
    detail = detail_of(leaf, receipt.usage.detail)
    if detail is None:
        raise ProofInvalid("the receipt does not tell what it charges for")
    charged = lines_by(detail.lines)
    digest = region_records_digest(items, records)
    if fee_of(detail.lines) != leaf.fee_micro_yuan:
        raise ProofInvalid("the charge is not that of its lines")
    if receipt.replayed:
        there = parts[-1].answer.chunk.receipt
        if leaf.records_digest != digest or len(records) != charged.total():
            _require_ended(charged, there, records)
        if receipt.usage.again:
            verify_again(receipt, key, b"", digest)
        return leaf
    require_told(leaf, receipt, digest, len(records))
    if charged != _counted(items, records):
        raise ProofInvalid("the charge is not that of the records received")
    return leaf


def _counted(items: Sequence[str], records: Sequence[DisclosedRecord]) -> Counter[CountedBy]:
    return Counter(
        CountedBy.of(record)._replace(item=item)
        for item, record in zip(items, records, strict=True)
    )


def _require_ended(
    charged: Counter[CountedBy], there: Receipt, records: Sequence[DisclosedRecord]
) -> None:
    """Check that a retry lacks no more of what was ``charged`` here than the region itself charged
    and does not give any more, by source and region: items have other names there.

    ``there`` is the region's receipt, ``records`` what it gave. Raises ProofInvalid.
    """
    if not there.replayed:
        raise ProofInvalid("a retry has other records than those that were charged")
    leaf = strictly(UsageLeaf, there.usage.leaf)
    detail = detail_of(leaf, there.usage.detail)
    if detail is None:
        raise ProofInvalid("the region's receipt does not tell what it charges for")
    given = _whatever_item(counted_by(records))
    ended = _whatever_item(lines_by(detail.lines))
    ended.subtract(given)
    lacking = _whatever_item(charged) - given
    if any(count > ended[kind] for kind, count in lacking.items()):
        raise ProofInvalid("a retry lacks records that were charged and that its region gives")


def _whatever_item(counted: Counter[CountedBy]) -> Counter[CountedBy]:
    summed: Counter[CountedBy] = Counter()
    for kind, count in counted.items():
        summed[kind._replace(item="")] += count
    return summed
