"""A gateway's promises and log, made of messages alone: honest ones, and lies it could sign."""

import struct
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.transparency.merkle import audit_path, leaf_hash, levels_of, root_of
from creditgate.transparency.note import Checkpoint, checkpoint_body, signed
from creditgate.transparency.receipts import usage_log_key
from creditgate.transparency.usage import (
    CountedBy,
    counted_by,
    packed_revisions,
    records_digest,
    region_records_digest,
)
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsResponse,
    GetSubjectRecordsResponse,
    Receipt,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.usage_evidence_pb2 import LoggedLeaf, ShownLeaf
from creditgate.v1.usage_log_pb2 import (
    UsageDetail,
    UsageKind,
    UsageLeaf,
    UsageLine,
    UsageReceipt,
)
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.meter.receipts import again
from gateway.transparency.keys import LogKey
from tests.receipts import KEY, RECEIPTS

OPERATOR = "alpha"
PRICE = 250_000
SERVED = 1_800_000_000
ANSWER = UsageKind.USAGE_KIND_ANSWER
REVERSAL = UsageKind.USAGE_KIND_REVERSAL


def record(number: int, item: str = "penalty") -> DisclosedRecord:
    """Return an invented record."""
    content = f'{{"finding":"late filing {number}"}}'.encode()
    return DisclosedRecord(
        name=f"records/r-{number}",
        revision=1,
        subject="91000000DEM000011A",
        item=item,
        source="Invented Bureau",
        region="000000",
        content=content,
        content_digest=sha256(content).digest(),
        event_sequence=number,
    )


def pieces(whole: DisclosedRecord, at: int) -> list[DisclosedRecord]:
    """Return two messages whose bytes, one behind the other, are those of a record: the second
    begins with the field that has the number ``at``."""
    halves = [DisclosedRecord(), DisclosedRecord()]
    for field, value in whole.ListFields():
        half: Any = halves[field.number >= at]
        setattr(half, field.name, value)
    return halves


def use(place: int, records: Sequence[DisclosedRecord] = (), **changes: Any) -> UsageLeaf:
    """Return the leaf of an answer with ``records``."""
    counts: Counter[CountedBy] = counted_by(records)
    lines = [
        UsageLine(
            item=kind.item,
            source=kind.source,
            region=kind.region,
            entries=count,
            unit_price_micro_yuan=PRICE,
        )
        for kind, count in counts.items()
    ]
    fields: dict[str, Any] = {
        "kind": ANSWER,
        "operator_id": OPERATOR,
        "usage_index": place,
        "client_id": "alpha-one",
        "request_id": f"r-{place}",
        "payload_digest": bytes(32),
        "licence": "L-ALPHA",
        "purpose": Purpose.PURPOSE_SUPPLIER_CHECK,
        "decision_id": f"d-{place}",
        "serve_seconds": SERVED + place,
        "disclosure_sequence": 900,
        "lines": lines,
        "fee_micro_yuan": PRICE * len(records),
        "revisions": struct.pack(f"<{len(records)}q", *(each.event_sequence for each in records)),
    }
    if "records_digest" not in changes:
        fields["records_digest"] = records_digest(records)
    return UsageLeaf(**fields | changes)


def elsewhere(place: int, records: Sequence[DisclosedRecord] = (), **changes: Any) -> UsageLeaf:
    """Return the leaf of another region's records, whose items count as "penalty" here."""
    here = [
        DisclosedRecord(item="penalty", source=each.source, region=each.region) for each in records
    ]
    fields: dict[str, Any] = {
        "disclosure_sequence": 0,
        "revisions": b"",
        "records_digest": region_records_digest(["penalty"] * len(records), records),
    }
    return use(place, here, **fields | changes)


def condensed(leaf: UsageLeaf) -> tuple[UsageLeaf, bytes]:
    """Return a leaf as a large answer has it, and the detail that it has the digest of."""
    detail = UsageDetail(lines=leaf.lines, revisions=leaf.revisions)
    text = detail.SerializeToString(deterministic=True)
    short = UsageLeaf()
    short.CopyFrom(leaf)
    for name in ("lines", "revisions", "records_digest"):
        short.ClearField(name)
    short.detail_digest = sha256(text).digest()
    return short, text


def bytes_of(leaf: UsageLeaf) -> bytes:
    """Return a leaf's bytes."""
    return leaf.SerializeToString(deterministic=True)


def promised(*leaves: UsageLeaf) -> list[UsageReceipt]:
    """Return the receipts of leaves that are signed together."""
    made = RECEIPTS.receipts([bytes_of(leaf) for leaf in leaves])
    return [UsageReceipt.FromString(receipt) for receipt in made]


def promised_again(
    leaf: UsageLeaf,
    records: Sequence[DisclosedRecord],
    at: int | None = None,
    region_digest: bytes = b"",
) -> UsageReceipt:
    """Return the receipt of a retry that gives ``records`` of an answer; of another region's those
    have a ``region_digest``."""
    entries = b"" if region_digest else packed_revisions(records)
    digest = region_digest or records_digest(records)
    mark = again(bytes_of(leaf), entries, digest, leaf.serve_seconds if at is None else at)
    return UsageReceipt.FromString(b"".join(RECEIPTS.receipts([bytes_of(leaf)], None, [mark])))


def answer(
    leaf: UsageLeaf,
    records: Sequence[DisclosedRecord],
    receipt: UsageReceipt | None = None,
    **changes: Any,
) -> GetSubjectRecordsResponse:
    """Return the answer whose receipt has ``leaf``."""
    fields: dict[str, Any] = {
        "decision_id": leaf.decision_id,
        "serve_time": Timestamp(seconds=leaf.serve_seconds),
        "disclosure_sequence": leaf.disclosure_sequence,
        "charged_entries": len(records),
        "charged_micro_yuan": leaf.fee_micro_yuan,
        "usage": receipt or promised(leaf)[0],
    }
    return GetSubjectRecordsResponse(records=records, receipt=Receipt(**fields | changes))


def chunk(
    leaf: UsageLeaf, first: Sequence[DisclosedRecord], rest: Sequence[DisclosedRecord]
) -> list[BatchGetSubjectRecordsResponse]:
    """Return a chunk of a batch in two parts; the last has the receipt."""
    whole = answer(leaf, [*first, *rest]).receipt
    former = Receipt(decision_id=whole.decision_id, serve_time=whole.serve_time)
    return [
        BatchGetSubjectRecordsResponse(records=first, receipt=former),
        BatchGetSubjectRecordsResponse(records=rest, receipt=whole, chunk_complete=True),
    ]


class Log:
    """The usage log of an operator, with whatever leaves."""

    def __init__(
        self, *leaves: UsageLeaf, operator_id: str = OPERATOR, signed_by: LogKey = KEY
    ) -> None:
        self.leaves = [bytes_of(leaf) for leaf in leaves]
        self._key = signed_by.named(usage_log_key(signed_by.verifier, operator_id).name)
        self._levels = levels_of([leaf_hash(leaf) for leaf in self.leaves])

    @property
    def note(self) -> str:
        """The checkpoint, signed."""
        root = root_of([leaf_hash(leaf) for leaf in self.leaves])
        head = Checkpoint(self._key.verifier.name, len(self.leaves), root)
        return signed(checkpoint_body(head), self._key)

    def path(self, place: int) -> list[bytes]:
        """Return the audit path of a leaf."""
        return audit_path(self._levels, place)

    def shown(self, place: int, detail: bytes = b"") -> ShownLeaf:
        """Return a leaf as evidence shows it."""
        logged = LoggedLeaf(
            leaf=self.leaves[place], audit_path=self.path(place), checkpoint=self.note
        )
        return ShownLeaf(logged=logged, detail=detail)


def by_receipt(leaf: UsageLeaf) -> ShownLeaf:
    """Return a leaf as evidence shows it by its receipt."""
    return ShownLeaf(receipt=promised(leaf)[0])
