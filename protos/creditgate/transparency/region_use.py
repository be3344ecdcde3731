"""Use of other regions' records verified offline: what one's own gateway charged for them. Pure.

Source: federated_record_service.proto, usage_log.proto. What is wrong is a `ProofInvalid`.
"""

from collections import Counter
from collections.abc import Sequence

from creditgate.transparency.linked import Pinned
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage import (
    CountedBy,
    detail_of,
    fee_of,
    is_of_other_region,
    lines_by,
    promised_by,
    require_told,
)
from creditgate.v1.credit_record_service_pb2 import Receipt
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
        require_told(leaf, receipt, ())
    return leaf


def verify_region_use(parts: Sequence[RegionPart], key: Pinned) -> UsageLeaf:
    """Return the use that a chunk of another region was charged as, once that is what was received.

    ``parts`` are all of the chunk, in order; ``key`` as above. A retry has the receipt of the
    first answer. Whether the records are the region's is another matter
    (`sdk.federated.RegionAnswer.verify`). Raises ProofInvalid.
    """
    receipt = parts[-1].receipt
    leaf = promised_by(receipt, key)
    if not is_of_other_region(leaf):
        raise ProofInvalid("the receipt is not of another region's records")
    if receipt.replayed:
        return leaf
    records = [record for part in parts for record in part.answer.chunk.records]
    items = [item for part in parts for item in part.items]
    if len(items) != len(records):
        raise ProofInvalid("the parts do not tell the item of each record")
    require_told(leaf, receipt, records)
    detail = detail_of(leaf, receipt.usage.detail)
    counted = Counter(
        CountedBy.of(record)._replace(item=item)
        for item, record in zip(items, records, strict=True)
    )
    if detail is not None and (
        lines_by(detail.lines) != counted or fee_of(detail.lines) != leaf.fee_micro_yuan
    ):
        raise ProofInvalid("the charge is not that of the records received")
    return leaf
