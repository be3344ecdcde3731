"""Claims on the ledger of what operators ask of other regions, and their receipts."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from consent.model import Consent
from creditgate.v1.credit_record_service_pb2 import Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.authorise.bounds import SubjectBounds
from gateway.authorise.gate import Passage
from gateway.disclose.model import Line
from gateway.meter.model import UsageClaim
from gateway.respond.use import Use


class Decided(NamedTuple):
    """What an operator may ask for at an instant.

    ``prices`` are what one record of each item costs it here, micro-yuan; ``consent`` is the
    one relied on, None where none is.
    """

    passage: Passage
    bounds: SubjectBounds | None
    prices: Mapping[str, int]
    consent: Consent | None

    def reach(self, subject: str) -> Mapping[str, frozenset[str]]:
        """Return the region codes that each item may be asked for in, of ``subject``."""
        passage = self.passage if self.bounds is None else self.bounds.of(subject)
        return passage.allow.regions_by_item

    def opens(self, record: DisclosedRecord, item: str) -> bool:
        """Tell whether a record of a region, of the ``item`` here, is passed on under the consent:
        of its subject, and of an item that needs one here, or that its region opened by it."""
        return (
            self.consent is not None
            and record.subject == self.consent.subject
            and (item in self.passage.consent_items or bool(record.served_fields))
        )


class ChargedAs(NamedTuple):
    """What a use is charged as in the ledger: its request's id, and the number of its chunk."""

    request_id: str
    chunk: int


class Charge(NamedTuple):
    """Records of a chunk of another region, to be charged to the operator.

    ``charged`` is what a retry of it is known by, ``counts`` how many there are of each item here,
    source and region, ``subjects`` how many subjects it covers; ``records_digest`` as UsageLeaf
    has it.
    """

    charged: ChargedAs
    counts: Mapping[Line, int]
    subjects: int
    records_digest: bytes


def claim_of(
    use: Use,
    decided: Decided,
    charged: ChargedAs,
    decision_id: str,
    now: int,
    replay_seconds: int,
    good_until: int,
    stands: Callable[[], bool],
) -> UsageClaim:
    """Return a claim without records of what was decided of a use at ``now`` (seconds, UTC)."""
    allow, consent = decided.passage.allow, decided.consent
    if consent is not None:
        replay_seconds = min(replay_seconds, consent.terms.data_life_seconds)
    return UsageClaim(
        operator_id=allow.operator_id,
        client_id=use.ask.client_id,
        request_id=charged.request_id,
        chunk=charged.chunk,
        payload_digest=use.digest,
        licence=allow.licence,
        purpose=use.purpose,
        decision_id=decision_id,
        served_at=now,
        disclosure_sequence=0,
        entries=b"",
        lines=(),
        daily_quota=allow.daily_record_quota,
        replay_seconds=replay_seconds,
        good_until=good_until,
        may_be_empty=True,
        stands=stands,
    )


def receipt_of(
    claim: UsageClaim, decision_id: str, fee: int, usage: bytes, *, replayed: bool = False
) -> Receipt:
    """Return the receipt of a claim that was charged; of a retry it states no charge."""
    receipt = Receipt(
        decision_id=decision_id,
        charged_entries=0 if replayed else claim.region_records,
        charged_micro_yuan=fee,
        replayed=replayed,
        usage=UsageReceipt.FromString(usage),
    )
    receipt.serve_time.seconds = claim.served_at
    return receipt
