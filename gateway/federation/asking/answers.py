"""What a region answered, verified: nothing of it is believed before. Pure.

A chunk is what the region signed for the very question asked, complete for every subject and
item of it by the map of its signed checkpoint, and charged as its signed receipt says
(guarantee G10). `creditgate.transparency` has the rules; here they are put together.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from creditgate.federated_query import batch_of
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey
from creditgate.transparency.usage import CountedBy, detail_of, verify_served
from creditgate.transparency.verify import verify_answer
from creditgate.v1.credit_record_service_pb2 import BatchGetSubjectRecordsResponse, Receipt
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest, QueryRecordsResponse
from creditgate.v1.usage_log_pb2 import UsageLeaf

MOST_SKEW_SECONDS: Final = 360
"""How far a region's instant of serving may lie from the time here: clocks may differ by 5
minutes, and an answer takes its time."""


class RegionKeys(NamedTuple):
    """The keys of a region, from its trust chain: of its disclosure log, and of its receipts."""

    disclosure: VerifierKey
    usage: VerifierKey

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


class Chunk(NamedTuple):
    """A chunk of a region's answer that was verified.

    ``records`` are all its records in order, ``counts`` how many of them each part had;
    ``first`` and ``subject_count`` say which subjects of the question it covers. ``prices`` are what the
    region charges for one record of each kind, micro-yuan, ``leaf`` the use as it is in the
    region's usage log, ``checkpoint`` the head of its disclosure log, whose signed note is
    ``note``.
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

    def price(self, record: DisclosedRecord) -> int:
        """Return what the region charges for one of its records, micro-yuan."""
        return self.prices[CountedBy.of(record)]


def verified_chunk(
    query: QueryRecordsRequest,
    consent: str,
    parts: Sequence[QueryRecordsResponse],
    keys: RegionKeys,
    expected_first: int,
    now: int,
) -> Chunk:
    """Return what the parts of a chunk prove, all of them in order.

    ``query`` is the question as it was sent and ``consent`` the name the region knows the
    consent of its receipt by, "" without; ``expected_first`` is the first subject that was not
    answered yet, ``now`` in seconds UTC. Raises ProofInvalid.
    """
    answers: list[BatchGetSubjectRecordsResponse] = [part.chunk for part in parts]
    last = answers[-1]
    batch = batch_of(query, consent).SerializeToString(deterministic=True)
    verified = verify_answer(
        batch, [answer.SerializeToString(deterministic=True) for answer in answers], keys.disclosure
    )
    if last.first_subject != expected_first:
        raise ProofInvalid("the chunk is not the next one of the answer")
    receipt = verified.receipt
    if abs(receipt.serve_time.seconds - now) > MOST_SKEW_SECONDS:
        raise ProofInvalid("the answer was given at another time than this")
    leaf = verify_served(answers, keys.usage)
    if leaf.purpose != query.purpose:
        raise ProofInvalid("the use is counted for another purpose than that asked for")
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
    )


def _prices(
    leaf: UsageLeaf, receipt: Receipt, records: Sequence[DisclosedRecord]
) -> dict[CountedBy, int]:
    detail = detail_of(leaf, receipt.usage.detail)
    if detail is None:
        raise ProofInvalid("the receipt does not tell what it charges for")
    prices = {CountedBy.of(line): line.unit_price_micro_yuan for line in detail.lines}
    if any(CountedBy.of(record) not in prices for record in records):
        raise ProofInvalid("a record is not among those charged")
    return prices
