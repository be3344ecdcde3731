"""What a region answered, verified: nothing of it is believed before. Pure.

A chunk is what the region signed for the very question asked, complete for every subject and
item of it by the map of its signed checkpoint, and charged as its signed receipt says
(guarantee G10). `creditgate.transparency` has the rules; here they are put together.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from creditgate.federated_query import batch_of, region_client_id
from creditgate.transparency.content import members_of
from creditgate.transparency.linked import Pinned, linked
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey
from creditgate.transparency.usage import (
    CountedBy,
    detail_of,
    fee_of,
    lines_by,
    revisions_of,
    verify_receipt,
    verify_served,
)
from creditgate.transparency.verify import verify_answer
from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsResponse, Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federation_service_pb2 import (
    MeteredBefore,
    MeteredRecord,
    QueryRecordsRequest,
    QueryRecordsResponse,
)
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageKind, UsageLeaf, UsageReceipt
from gateway.federation.trust.book import Region
from gateway.federation.trust.log_keys import log_keys
from operators.shapes import covers

MOST_SKEW_SECONDS: Final = 360
"""How far a region's instant of serving may lie from the time here: clocks may differ by 5
minutes, and an answer takes its time."""
MOST_AGE_SECONDS: Final = 31 * 86_400 + MOST_SKEW_SECONDS
"""How far back a use may lie that is told again: a request is answered again for 31 days at most."""
# As a record's id is kept (`gateway.federation.asking.tables`).
_RECORD: Final = re.compile(r"records/[^\x00\r\n]{1,128}")


class RegionKeys(NamedTuple):
    """The keys of a region, from its trust chain, that it signs with by now: of its disclosure log,
    and of its receipts. Those before sign no more. A key of receipts that is announced may sign
    already; one of the disclosure log may not, or there would be two logs at a time."""

    disclosure: Pinned
    usage: Pinned

    @classmethod
    def of(cls, log_keys: Mapping[str, str]) -> "RegionKeys":
        """Read C2SP verifier keys by what they sign. Raises ProofInvalid where one lacks: what
        cannot be verified is not asked for."""
        try:
            return cls(
                VerifierKey.parse(log_keys["disclosure"]), VerifierKey.parse(log_keys["usage"])
            )
        except (KeyError, ValueError):
            raise ProofInvalid("the region's statement names no keys of its logs") from None

    @classmethod
    def of_region(cls, region: Region) -> "RegionKeys":
        """Return the keys of a region. Raises as `of`."""
        return cls(log_keys(region, "disclosure").present, log_keys(region, "usage").live)


class Place(NamedTuple):
    """Where a chunk is in a region's answer: the subject it begins at, and how many chunks lie
    before it. Both begin at 0."""

    first: int
    number: int


class NeverAsked(ProofInvalid):
    """A region answers, or tells that it charged, what nobody had asked it for."""


class Metered(NamedTuple):
    """What a region charged for a chunk when it answered it first, as its receipt proves it.

    ``leaf`` is the use as it is in the region's usage log, ``usage`` its receipt, ``records`` all
    that were charged, ``prices`` what the region charges for one of each kind, micro-yuan.
    """

    leaf: UsageLeaf
    usage: UsageReceipt
    records: tuple[MeteredRecord, ...]
    prices: Mapping[CountedBy, int]


class Chunk(NamedTuple):
    """A chunk of a region's answer that was verified.

    ``records`` are all its records in order, ``counts`` how many of them each part had;
    ``first`` and ``subject_count`` say which subjects of the question it covers. ``prices`` are what the
    region charges for one record of each kind, micro-yuan, ``leaf`` the use as it is in the
    region's usage log, ``checkpoint`` the head of its disclosure log, whose signed note is
    ``note``. ``gone`` are records that were charged for when the chunk was answered first and
    that it has not any more. ``complete`` tells whether the records are proved to be all there are,
    ``withheld`` how many there are besides; ``last_event`` is the last event that the head of its map
    covers, 0 where it is proved by none.
    """

    records: tuple[DisclosedRecord, ...]
    counts: tuple[int, ...]
    receipt: Receipt
    first: int
    subject_count: int
    leaf: UsageLeaf
    prices: Mapping[CountedBy, int]
    checkpoint: Checkpoint
    note: str
    gone: tuple[MeteredRecord, ...] = ()
    complete: bool = True
    withheld: int = 0
    last_event: int = 0

    def price(self, record: DisclosedRecord) -> int:
        """Return what the region charges for one of its records, micro-yuan."""
        return self.prices[CountedBy.of(record)]


def verified_chunk(
    query: QueryRecordsRequest,
    consent: str,
    parts: Sequence[QueryRecordsResponse],
    keys: RegionKeys,
    number: int,
    now: int,
    before: Metered | None = None,
) -> Chunk:
    """Return what the parts of a chunk prove, all of them in order.

    ``query`` is the question as it was sent and ``consent`` the name the region knows the
    consent of its receipt by, "" without; ``number`` is how many chunks of the answer lie before
    this one, ``now`` in seconds UTC. ``before`` is what the region told of what it charged first;
    without it the chunk must have all that it is charged for. Raises ProofInvalid.
    """
    answers: list[BatchGetSubjectRecordsResponse] = [part.chunk for part in parts]
    last = answers[-1]
    batch = batch_of(query, consent).SerializeToString(deterministic=True)
    verified = verify_answer(
        batch,
        [answer.SerializeToString(deterministic=True) for answer in answers],
        linked(keys.disclosure).named_in(last.proof.checkpoint),
    )
    if last.first_subject != query.resume_from:
        raise ProofInvalid("the chunk is not the next one of the answer")
    receipt = verified.receipt
    if abs(receipt.serve_time.seconds - now) > MOST_SKEW_SECONDS:
        raise ProofInvalid("the answer was given at another time than this")
    leaf = verify_served(answers, keys.usage)
    _require_of(leaf, query, number)
    return Chunk(
        verified.records,
        tuple(len(answer.records) for answer in answers),
        receipt,
        last.first_subject,
        last.subject_count,
        leaf,
        _prices(leaf, receipt, verified.records),
        verified.checkpoint,
        last.proof.checkpoint,
        _gone(leaf, receipt, verified.records, before),
        verified.complete,
        sum(sum(each.withheld.values()) for each in verified.subjects),
        0 if verified.head is None else verified.head.event_sequence,
    )


def require_reach(
    records: Iterable[DisclosedRecord | MeteredRecord], reach: Collection[str]
) -> None:
    """Raise ProofInvalid where a record is of a division beyond ``reach``, the codes that the
    question was narrowed to: the region was not asked for it, and the firm may not have it (G3)."""
    if not all(covers(reach, region) for region in {record.region for record in records}):
        raise NeverAsked("a record is of a division that was not asked for")


def require_fields(
    records: Iterable[DisclosedRecord], fields: Mapping[str, Collection[str]]
) -> None:
    """Raise ProofInvalid where a record has more than the consent relied on opens: ``fields`` are
    those that may be had of each item there that is had under it (G3)."""
    for record in records:
        opened = fields.get(record.item)
        if opened is None:
            continue
        try:
            names = {each.name for each in members_of(record.content.decode())}
        except ValueError:
            raise ProofInvalid("the content of a record is not canonical") from None
        if not names <= set(opened):
            raise ProofInvalid("a record has fields that were not consented to")


def verified_before(
    query: QueryRecordsRequest,
    told: MeteredBefore,
    keys: RegionKeys,
    number: int,
    now: int,
    since: int,
) -> Metered:
    """Return what a region tells that it charged for a chunk of ``query`` when it answered first.

    ``number`` is how many chunks of the answer lie before that one, ``since`` when the region was
    asked first (seconds, UTC). Raises ProofInvalid, also where it names other records than its
    receipt charges.
    """
    leaf = verify_receipt(told.usage, keys.usage)
    _require_of(leaf, query, number)
    least = max(now - MOST_AGE_SECONDS, since - MOST_SKEW_SECONDS)
    if not least <= leaf.serve_seconds <= now + MOST_SKEW_SECONDS:
        raise ProofInvalid(
            "the use is older than the question, too old to be answered again, or of a time to come"
        )
    detail = _detail(leaf, told.usage)
    records = tuple(told.records)
    charged = Counter(CountedBy(each.item, each.source, each.region) for each in records)
    if (
        revisions_of(detail) != tuple(each.event_sequence for each in records)
        or lines_by(detail.lines) != charged
        or fee_of(detail.lines) != leaf.fee_micro_yuan
    ):
        raise ProofInvalid("other records are told than the receipt charges for")
    if any(_RECORD.fullmatch(each.name) is None or each.revision < 1 for each in records):
        raise ProofInvalid("a record is told by what is no name of one")
    if not {each.item for each in records} <= set(query.items):
        raise NeverAsked("records are charged of items that were not asked for")
    return Metered(leaf, told.usage, records, _prices_of(detail))


def _require_of(leaf: UsageLeaf, query: QueryRecordsRequest, number: int) -> None:
    """Raise ProofInvalid unless a use is that of the chunk ``number`` of ``query``: of another one
    its receipt is no evidence (`sdk.clearings`)."""
    asked = (
        UsageKind.USAGE_KIND_ANSWER,
        query.request_id,
        number,
        region_client_id(query.asking_region),
        query.purpose,
    )
    if (leaf.kind, leaf.request_id, leaf.chunk, leaf.client_id, leaf.purpose) != asked:
        raise ProofInvalid("the receipt is of another question, or of another chunk of this one")


def _gone(
    leaf: UsageLeaf,
    receipt: Receipt,
    records: Sequence[DisclosedRecord],
    before: Metered | None,
) -> tuple[MeteredRecord, ...]:
    if before is not None:
        if before.leaf != leaf:
            raise ProofInvalid("what was charged before is told of another chunk")
        here = {record.event_sequence for record in records}
        return tuple(each for each in before.records if each.event_sequence not in here)
    if receipt.replayed and len(revisions_of(_detail(leaf, receipt.usage))) != len(records):
        raise ProofInvalid("more was charged before than the region tells of")
    return ()


def _detail(leaf: UsageLeaf, usage: UsageReceipt) -> UsageDetail:
    detail = detail_of(leaf, usage.detail)
    if detail is None:
        raise ProofInvalid("the receipt does not tell what it charges for")
    return detail


def _prices_of(detail: UsageDetail) -> dict[CountedBy, int]:
    return {CountedBy.of(line): line.unit_price_micro_yuan for line in detail.lines}


def _prices(
    leaf: UsageLeaf, receipt: Receipt, records: Sequence[DisclosedRecord]
) -> dict[CountedBy, int]:
    prices = _prices_of(_detail(leaf, receipt.usage))
    if any(CountedBy.of(record) not in prices for record in records):
        raise ProofInvalid("a record is not among those charged")
    return prices
