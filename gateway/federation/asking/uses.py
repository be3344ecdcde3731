"""Uses of other regions as they are kept.

Both ends meter a use that crosses regions: the home region in its ledger, and this one by what the
home region's signed receipt says (`gateway.federation.asking.use_store`). What the home region
charged and the operator was not given, since an answer was lost and the record ended before it was
asked for again, is kept too, without whom it is about: this region owes it, and its operator nothing.
"""

from typing import Final, NamedTuple

from creditgate.transparency.facts import NO_END
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from gateway.federation.asking.again import GivenRecord, RecordKey

NOT_PASSED_ON: Final = ""
"""The subject of a record that was charged by its region and never given to the operator."""
_RECORDS: Final = "records/"


class RegionChunk(NamedTuple):
    """A chunk of another region as the ledger knows it: its request's id there, and its number."""

    region_request_id: str
    chunk: int


class RegionAnswer(NamedTuple):
    """A chunk of a region's answer; fields as the columns of `tables.REGION_ANSWERS`."""

    operator_id: str
    request_id: str
    region: str
    first_subject: int
    region_request_id: str
    client_id: str
    licence: str
    purpose: int
    consent: str
    decision_id: str
    region_decision: str
    mapping_version: int
    subject_count: int
    records: int
    served_at: int
    recorded_at: int
    region_fee: int
    own_fee: int
    receipt: bytes
    checkpoint: str
    opened: int | None = 0


class RegionUse(NamedTuple):
    """One record of a chunk; fields as those of `tables.REGION_USES` that its answer lacks, those
    from the digest of its content on None where they were not kept yet."""

    record_id: str
    revision: int
    subject: str
    item: str
    own_item: str
    source: str
    region_code: str
    fee: int
    own_fee: int
    content_digest: bytes | None = None
    disclosed_from: int | None = None
    disclosed_until: int | None = None
    severity: int | None = None
    cut: bool | None = None
    opened: bool | None = False
    withheld: bool | None = False

    @property
    def passed_on(self) -> bool:
        """Whether the operator was given it."""
        return self.subject != NOT_PASSED_ON

    @property
    def key(self) -> RecordKey:
        """What it is known by within its request."""
        return self.record_id, self.revision

    @property
    def as_given(self) -> GivenRecord:
        """What its region charged and gave of it."""
        charged = (self.item, self.source, self.region_code, self.fee)
        if not self.passed_on or self.content_digest is None:
            return GivenRecord(charged, None)
        return GivenRecord(
            charged,
            (
                self.subject,
                self.content_digest,
                self.disclosed_from,
                self.disclosed_until,
                self.severity,
                self.cut,
            ),
        )

    @classmethod
    def of(
        cls, record: DisclosedRecord, own_item: str, fee: int, own_fee: int, *, opened: bool
    ) -> "RegionUse":
        """Return the use of a record as a region gave it; fees are micro-yuan, ``opened`` tells
        whether the consent relied on opened it."""
        has_end = record.HasField("disclosed_until")
        return cls(
            record_id=record.name.removeprefix(_RECORDS),
            revision=record.revision,
            subject=record.subject,
            item=record.item,
            own_item=own_item,
            source=record.source,
            region_code=record.region,
            fee=fee,
            own_fee=own_fee,
            content_digest=record.content_digest,
            disclosed_from=record.disclosed_from.seconds,
            disclosed_until=record.disclosed_until.seconds if has_end else NO_END,
            severity=record.severity,
            cut=bool(record.served_fields),
            opened=opened,
        )
