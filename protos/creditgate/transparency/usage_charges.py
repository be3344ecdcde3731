"""Charges compared with what was promised: which of a usage log's leaves charge too much. Pure.

What is compared is verified before (`creditgate.transparency.usage`): leaves of receipts, and
leaves of a log that lead to a signed checkpoint.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import (
    CountedBy,
    detail_of,
    fee_of,
    is_of_other_region,
    records_digest,
    region_records_digest,
    revisions_of,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageKind, UsageLeaf, UsageLine

LOGGED_WITHIN_SECONDS: Final = 60
"""So long after serving a gateway may need to log a use."""


class DifferenceKind(StrEnum):
    """How a log differs from what was promised."""

    CONFLICT = "conflict"
    """It has another leaf than a receipt promised for the place."""
    TWICE = "twice"
    """One chunk of one request is charged at two places."""
    MISCOUNTED = "miscounted"
    """A leaf charges other than it counts."""
    UNPROMISED = "unpromised"
    """A charge has no receipt."""
    UNLOGGED = "unlogged"
    """A receipt's place is behind the log's end: not counted yet, or never."""


class Difference(NamedTuple):
    """A place where the log is not what receipts promised.

    ``promised`` is the leaf of the receipt, or the earlier of two charges, ``logged`` that of
    the log; b"" where there is none. ``overcharge`` is in micro-yuan, 0 where nothing is
    charged too much.
    """

    kind: DifferenceKind
    usage_index: int
    overcharge: int
    promised: bytes
    logged: bytes


def compare(promised: Iterable[bytes], logged: Iterable[bytes]) -> list[Difference]:
    """Return where a usage log is not what receipts promised: overcharges, and what is uncounted.

    ``promised`` are leaves of receipts, in any order; ``logged`` those of the log from its first
    on. All are held in memory; `compare_places` and `charged_twice` are for those who have them
    in order. Raises ProofInvalid where one is no leaf, or not at its place.
    """
    leaves = list(logged)
    receipts = sorted(set(promised), key=lambda leaf: strictly(UsageLeaf, leaf).usage_index)
    found = list(compare_places(receipts, leaves))
    answers = [leaf for leaf in leaves if _read(leaf).kind == UsageKind.USAGE_KIND_ANSWER]
    # A stable sort: of one request the earlier place stays first.
    answers.sort(key=lambda leaf: _request(_read(leaf)))
    return [*found, *charged_twice(answers)]


def compare_places(promised: Iterable[bytes], logged: Iterable[bytes]) -> Iterator[Difference]:
    """Yield what `compare` tells, but for what is charged twice, as it goes along.

    ``promised`` are in order of usage_index, none twice.
    """
    receipts = iter(promised)
    receipt = next(receipts, None)
    for place, leaf in enumerate(logged):
        use = strictly(UsageLeaf, leaf)
        if use.usage_index != place:
            raise ProofInvalid("a leaf is logged at another place than it names")
        detail = detail_of(use)
        if detail is not None and (beyond := miscounted(use, detail)) is not None:
            yield Difference(DifferenceKind.MISCOUNTED, place, beyond, b"", leaf)
        # What credits the operator needs no receipt.
        promise_missing = use.kind == UsageKind.USAGE_KIND_ANSWER
        while receipt is not None and (own := _read(receipt)).usage_index == place:
            promise_missing = False
            if receipt != leaf:
                beyond = conflict_overcharge(own, use)
                yield Difference(DifferenceKind.CONFLICT, place, beyond, receipt, leaf)
            receipt = next(receipts, None)
        if promise_missing:
            yield Difference(DifferenceKind.UNPROMISED, place, use.fee_micro_yuan, b"", leaf)
    while receipt is not None:
        place = _read(receipt).usage_index
        yield Difference(DifferenceKind.UNLOGGED, place, 0, receipt, b"")
        receipt = next(receipts, None)


def charged_twice(answers: Iterable[bytes]) -> Iterator[Difference]:
    """Yield what is charged again: a request's chunk is charged once, however late it is retried.

    ``answers`` are an operator's leaves of kind ANSWER, those of one request and chunk next to
    each other, the earlier place first.
    """
    first: bytes | None = None
    for leaf in answers:
        use = _read(leaf)
        if first is None or _request(_read(first)) != _request(use):
            first = leaf
        else:
            kind, fee = DifferenceKind.TWICE, use.fee_micro_yuan
            yield Difference(kind, use.usage_index, fee, first, leaf)


def is_due(difference: Difference, now: int) -> bool:
    """Tell whether a difference holds at ``now`` (seconds UTC), the log just having been read.

    What was served a moment ago may be unlogged yet.
    """
    if difference.kind is not DifferenceKind.UNLOGGED:
        return True
    return _read(difference.promised).serve_seconds + LOGGED_WITHIN_SECONDS < now


def conflict_overcharge(promised: UsageLeaf, logged: UsageLeaf) -> int:
    """Return by how many micro-yuan the log charges more than was promised for the place."""
    return max(charge_of(logged) - charge_of(promised), 0)


def charge_of(leaf: UsageLeaf) -> int:
    """Return what a leaf adds to what is owed, micro-yuan: a reversal less than nothing."""
    fee = leaf.fee_micro_yuan
    return fee if leaf.kind == UsageKind.USAGE_KIND_ANSWER else -fee


def of_one_request(one: UsageLeaf, other: UsageLeaf) -> bool:
    """Tell whether two leaves are of the same chunk of the same request."""
    return (one.operator_id, *_request(one)) == (other.operator_id, *_request(other))


class Received(NamedTuple):
    """What an answer gave: its ``records``, and of another region's ``items``, the item of one's
    own gateway for each. Of a use of before items were signed (usage_log.proto) those are
    left out, and lines are compared by source and region."""

    records: Sequence[DisclosedRecord]
    items: Sequence[str] = ()


def known(leaf: UsageLeaf, received: Received) -> Received | None:
    """Return what is counted anew: what was received, None where that is not known. Of no records
    too there is a digest."""
    none = records_digest(()), region_records_digest((), ())
    return received if received.records or leaf.records_digest in none else None


def miscounted(
    leaf: UsageLeaf, detail: UsageDetail, received: Received | None = None
) -> int | None:
    """Return by how many micro-yuan a leaf charges too much by its own numbers, None where they
    are right.

    ``received`` are the records of the answer, where the leaf has their digest. Without them, as
    many count as the leaf names revisions; a use of another region names none, and counts as its
    lines say. It is not told which records are too many: what is there is taken at the highest
    price of its kind. Raises ProofInvalid where what was ``received`` is other.
    """
    if received is not None:
        _require_its_own(leaf, received)
        due = fee_of(right_lines(leaf, detail, received))
        charged: Counter[CountedBy] = Counter()
        for line in detail.lines:
            charged[_kind_of(leaf, received, line)] += line.entries
        right = charged == _kinds(leaf, received)
    elif is_of_other_region(leaf) and not detail.revisions:
        due, right = fee_of(detail.lines), True
    else:
        beyond = sum(line.entries for line in detail.lines) - len(revisions_of(detail))
        cheapest = min((line.unit_price_micro_yuan for line in detail.lines), default=0)
        due = fee_of(detail.lines) - max(beyond, 0) * cheapest
        right = beyond == 0
    if right and leaf.fee_micro_yuan == fee_of(detail.lines):
        return None
    return max(leaf.fee_micro_yuan - due, 0)


def right_lines(
    leaf: UsageLeaf, detail: UsageDetail, received: Received | None = None
) -> list[UsageLine]:
    """Return the lines a leaf ought to have by its own numbers, dearest first.

    What is there is taken at the highest price of its kind; where the records are not known, as
    many as there are revisions, at the highest prices, and of another region's as many as its
    lines say. Raises ProofInvalid.
    """
    dearest = sorted(detail.lines, key=lambda each: -each.unit_price_micro_yuan)
    there: Counter[CountedBy | None] = Counter()
    if received is not None:
        there.update(_kinds(leaf, received))
    elif is_of_other_region(leaf) and not detail.revisions:
        there[None] = sum(line.entries for line in detail.lines)
    else:
        there[None] = len(revisions_of(detail))
    found: list[UsageLine] = []
    for line in dearest:
        kind = None if received is None else _kind_of(leaf, received, line)
        entries = min(line.entries, there[kind])
        there[kind] -= entries
        if entries > 0:
            right = UsageLine()
            right.CopyFrom(line)
            right.entries = entries
            found.append(right)
    return found


def _require_its_own(leaf: UsageLeaf, received: Received) -> None:
    """Check that a leaf has the digest of what was received. Raises ProofInvalid."""
    records, items = received
    if items and (len(items) != len(records) or not is_of_other_region(leaf)):
        raise ProofInvalid("items are told of each record of another region, and of no other")
    digest = region_records_digest(items, records) if items else records_digest(records)
    if leaf.records_digest != digest and (records or known(leaf, received) is None):
        raise ProofInvalid("the records are not those of the leaf")


def _kinds(leaf: UsageLeaf, received: Received) -> Counter[CountedBy]:
    """Return how many records there are of each kind that lines are compared by."""
    records, items = received
    if items:
        counted = zip(items, records, strict=True)
        return Counter(CountedBy.of(record)._replace(item=item) for item, record in counted)
    return Counter(_kind_of(leaf, received, record) for record in records)


def _kind_of(
    leaf: UsageLeaf, received: Received, counted: DisclosedRecord | UsageLine
) -> CountedBy:
    """Return the kind that a line, or a record of one's own region, is counted by.

    Lines of another region's records have items of this gateway, the records the region's own.
    """
    kind = CountedBy.of(counted)
    whole = bool(received.items) or not is_of_other_region(leaf)
    return kind if whole else kind._replace(item="")


def _read(leaf: bytes) -> UsageLeaf:
    return UsageLeaf.FromString(leaf)


def _request(leaf: UsageLeaf) -> tuple[str, int]:
    return leaf.request_id, leaf.chunk
