"""Use verified offline, by the pinned key of receipts, or those linked to it: receipts, answers,
logged leaves. Pure.

Whatever does not hold is a `ProofInvalid` that tells what. Sources: usage_log.proto for the
formats, RFC 6962 section 2.1 for the trees, C2SP tlog-checkpoint for heads of logs.
"""

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from creditgate.transparency.linked import Pinned, key_of, linked, open_linked
from creditgate.transparency.merkle import ProofInvalid, inclusion_root, leaf_hash, verify_inclusion
from creditgate.transparency.note import Checkpoint
from creditgate.transparency.receipts import receipt_text
from creditgate.transparency.strict import strictly
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsResponse,
    GetRecordResponse,
    GetSubjectRecordsResponse,
    Receipt,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.usage_log_pb2 import (
    UsageAgain,
    UsageDetail,
    UsageKind,
    UsageLeaf,
    UsageLine,
    UsageReceipt,
)

Answer = GetSubjectRecordsResponse | GetRecordResponse | BatchGetSubjectRecordsResponse

_REVISION_BYTES: Final = 8
_KEY_ID_BYTES: Final = 4
_REGION_RECORDS: Final = b"creditgate/region-records/v1\n"
_LENGTH_BYTES: Final = 4


class LoggedUse(NamedTuple):
    """A use that is in its operator's usage log, whose head is ``checkpoint``."""

    leaf: UsageLeaf
    checkpoint: Checkpoint


class CountedBy(NamedTuple):
    """What records are counted by in a leaf, but for their price."""

    item: str
    source: str
    region: str

    @classmethod
    def of(cls, counted: DisclosedRecord | UsageLine) -> "CountedBy":
        """Return what a record counts as, or a line counts."""
        return cls(counted.item, counted.source, counted.region)


def verify_receipt(receipt: UsageReceipt, pinned: Pinned) -> UsageLeaf:
    """Return the use that the gateway of ``pinned`` promised to count. Raises ProofInvalid,
    UnknownKey where it is signed by none of its keys."""
    _require_signed(receipt, pinned, receipt.leaf, receipt.group_index, receipt.group_path)
    return strictly(UsageLeaf, receipt.leaf)


def _require_signed(
    receipt: UsageReceipt, pinned: Pinned, leaf: bytes, index: int, path: Sequence[bytes]
) -> None:
    """Check that a receipt's signature is over a tree with ``leaf`` at ``index``, by ``path``.
    Raises as `verify_receipt`."""
    key = key_of(pinned, receipt.key_id.to_bytes(_KEY_ID_BYTES, "big"), "the receipt")
    root = inclusion_root(index, receipt.group_size, leaf_hash(leaf), list(path))
    key.verify(receipt_text(key.name, receipt.group_size, root), receipt.signature)


def verify_served(answer: Sequence[Answer], key: Pinned) -> UsageLeaf:
    """Return the use that an answer was charged as, once that is what was received.

    ``answer`` is one message, or all parts of a chunk in order. A retry has the receipt of the
    first answer, and may have fewer records: whether it is one, the answer does not prove
    (`sdk.usage_book.UsageBook.sending`). Lines and revisions that neither leaf nor receipt has
    are not compared. Raises ProofInvalid.
    """
    receipt = answer[-1].receipt
    leaf = promised_by(receipt, key)
    records = [record for part in answer for record in part.records]
    detail = detail_of(leaf, receipt.usage.detail)
    if receipt.replayed:
        if detail is not None:
            _require_paid(leaf, detail, records)
        # Gateways of an earlier version signed no retry as one.
        if receipt.usage.again:
            verify_again(receipt, key, packed_revisions(records), records_digest(records))
        return leaf
    require_told(leaf, receipt, records_digest(records), len(records))
    if detail is not None:
        _require_counted(leaf, detail, records)
    return leaf


def promised_by(receipt: Receipt, key: Pinned) -> UsageLeaf:
    """Return the use that the receipt of an answer is signed for. Raises ProofInvalid."""
    if not receipt.HasField("usage"):
        raise ProofInvalid("the answer has no receipt of its use")
    leaf = verify_receipt(receipt.usage, key)
    if leaf.kind != UsageKind.USAGE_KIND_ANSWER or leaf.decision_id != receipt.decision_id:
        raise ProofInvalid("the receipt is of another answer")
    return leaf


def require_told(leaf: UsageLeaf, receipt: Receipt, digest: bytes, records: int) -> None:
    """Check that an answer with so many ``records``, which is no retry, tells what its leaf
    charges; ``digest`` is that of the records. Raises ProofInvalid."""
    told = (
        receipt.charged_micro_yuan,
        receipt.charged_entries,
        receipt.serve_time.seconds,
        receipt.disclosure_sequence,
    )
    if told != (leaf.fee_micro_yuan, records, leaf.serve_seconds, leaf.disclosure_sequence):
        raise ProofInvalid("the answer tells of another charge than its receipt")
    if leaf.records_digest and leaf.records_digest != digest:
        raise ProofInvalid("the records are not those that were charged")


def verify_again(receipt: Receipt, key: Pinned, revisions: bytes, digest: bytes) -> None:
    """Check that the gateway signed that an answer is a retry, and what it gave: ``revisions`` as
    UsageLeaf has them, ``digest`` that of the records. Raises ProofInvalid."""
    usage = receipt.usage
    if not usage.again:
        raise ProofInvalid("the answer is marked as a retry, which is not signed")
    _require_signed(usage, key, usage.again, usage.again_index, usage.again_path)
    again = strictly(UsageAgain, usage.again)
    told = again.leaf_hash, again.serve_seconds, again.revisions_digest
    given = leaf_hash(usage.leaf), receipt.serve_time.seconds, sha256(revisions).digest()
    if told != given or (again.records_digest and again.records_digest != digest):
        raise ProofInvalid("what is signed of the retry is not what was received")


def packed_revisions(records: Iterable[DisclosedRecord]) -> bytes:
    """Return the revisions of records as UsageLeaf has them."""
    sequences = [record.event_sequence for record in records]
    return struct.pack(f"<{len(sequences)}q", *sequences)


def verify_logged(
    leaf: bytes, path: Sequence[bytes], checkpoint: str, operator_id: str, key: Pinned
) -> LoggedUse:
    """Return the use that ``leaf`` states, once it is in the usage log of ``operator_id`` at the
    place it names. ``key`` is that of receipts. Raises ProofInvalid."""
    head = open_linked(checkpoint, linked(key).of_operator(operator_id))
    use = strictly(UsageLeaf, leaf)
    if use.operator_id != operator_id:
        raise ProofInvalid("the leaf is of another operator")
    verify_inclusion(use.usage_index, head.size, leaf_hash(leaf), path, head.root)
    return LoggedUse(use, head)


def is_of_other_region(leaf: UsageLeaf) -> bool:
    """Tell whether the records that a leaf charges are another region's.

    It was read at no state of this gateway's disclosure log, then, and names no revisions: a
    record of its own is in that log, whose size is 1 at least. The digest of the records ties
    the charge to what was received. Leaves of every age tell it in this way (usage_log.proto).
    """
    return (
        leaf.kind == UsageKind.USAGE_KIND_ANSWER
        and leaf.disclosure_sequence == 0
        and not leaf.revisions
        and bool(leaf.records_digest)
    )


def detail_of(leaf: UsageLeaf, detail: bytes = b"") -> UsageDetail | None:
    """Return lines and revisions of a use, None where the leaf has but their digest.

    Then ``detail`` gives them, a serialised UsageDetail. Raises ProofInvalid where it is
    another's.
    """
    if not leaf.detail_digest:
        return UsageDetail(lines=leaf.lines, revisions=leaf.revisions, licences=leaf.licences)
    if not detail:
        return None
    if sha256(detail).digest() != leaf.detail_digest:
        raise ProofInvalid("the detail is not that of the leaf")
    return strictly(UsageDetail, detail)


def revisions_of(detail: UsageDetail) -> tuple[int, ...]:
    """Return the numbers of the revisions served. Raises ProofInvalid."""
    count, rest = divmod(len(detail.revisions), _REVISION_BYTES)
    if rest:
        raise ProofInvalid("the revisions are not of eight bytes each")
    return struct.unpack(f"<{count}q", detail.revisions)


def records_digest(records: Iterable[DisclosedRecord]) -> bytes:
    """Return the digest of records as a leaf has it.

    It is of their bytes one behind the other, which pieces of them have too. A record begins with its
    name, so what has a name each is divided as it was served. Raises ProofInvalid for one without.
    """
    hashed = sha256()
    for record in records:
        if not record.name:
            raise ProofInvalid("there is a record without a name, which is a piece of one")
        hashed.update(record.SerializeToString(deterministic=True))
    return hashed.digest()


def region_records_digest(items: Sequence[str], records: Sequence[DisclosedRecord]) -> bytes:
    """Return the digest of another region's records as a leaf has it: with the item here that
    each is charged as.

    SHA-256 over a line that tells what it is of, and for each record its item and itself,
    serialised, each behind its length in four bytes, the most significant first.
    """
    hashed = sha256(_REGION_RECORDS)
    for item, record in zip(items, records, strict=True):
        for text in (item.encode(), record.SerializeToString(deterministic=True)):
            hashed.update(len(text).to_bytes(_LENGTH_BYTES, "big") + text)
    return hashed.digest()


def counted_by(counted: Iterable[DisclosedRecord]) -> Counter[CountedBy]:
    """Return how many records there are of each kind."""
    return Counter(map(CountedBy.of, counted))


def lines_by(lines: Iterable[UsageLine]) -> Counter[CountedBy]:
    """Return how many records of each kind lines charge, at whatever price."""
    counted: Counter[CountedBy] = Counter()
    for line in lines:
        counted[CountedBy.of(line)] += line.entries
    return counted


def fee_of(lines: Iterable[UsageLine]) -> int:
    """Return what lines come to, micro-yuan."""
    return sum(line.entries * line.unit_price_micro_yuan for line in lines)


def _require_paid(leaf: UsageLeaf, detail: UsageDetail, records: Sequence[DisclosedRecord]) -> None:
    revisions = revisions_of(detail)
    if not set(revisions).issuperset(record.event_sequence for record in records):
        raise ProofInvalid("a retry has records that were not paid for")
    charged = lines_by(detail.lines)
    if charged.total() != len(revisions) or counted_by(records) - charged:
        raise ProofInvalid("a retry has other records than those that were paid for")
    if fee_of(detail.lines) != leaf.fee_micro_yuan:
        raise ProofInvalid("the charge is not that of its lines")


def _require_counted(
    leaf: UsageLeaf, detail: UsageDetail, records: Sequence[DisclosedRecord]
) -> None:
    if revisions_of(detail) != tuple(record.event_sequence for record in records):
        raise ProofInvalid("the revisions charged are not those received")
    if lines_by(detail.lines) != counted_by(records) or fee_of(detail.lines) != leaf.fee_micro_yuan:
        raise ProofInvalid("the charge is not that of the records received")
