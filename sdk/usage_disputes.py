"""Disputes: evidence against a charge, out of a receipt book, for anyone to verify offline.

It needs nothing but the pinned key of receipts, or one linked to it (`creditgate.transparency.usage_evidence`).
"""

from collections.abc import Iterable, Iterator
from typing import Final

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage_charges import Difference, DifferenceKind
from creditgate.transparency.usage_evidence import (
    CONFLICT,
    MISCOUNTED,
    TWICE,
    UNPROMISED,
    VerifiedEvidence,
    verify_evidence,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.usage_evidence_pb2 import ShownLeaf, UsageEvidence
from creditgate.v1.usage_log_pb2 import UsageLeaf
from sdk.usage_book import UsageBook

_KINDS: Final = {
    DifferenceKind.CONFLICT: CONFLICT,
    DifferenceKind.TWICE: TWICE,
    DifferenceKind.MISCOUNTED: MISCOUNTED,
    DifferenceKind.UNPROMISED: UNPROMISED,
}


def dispute(
    book: UsageBook,
    usage_index: int,
    records: Iterable[DisclosedRecord] = (),
    items: Iterable[str] = (),
) -> tuple[bytes, VerifiedEvidence]:
    """Return evidence against what is charged at a place of the log, and what it shows.

    What convicts is taken first. ``records`` are those received in the answer, to be counted
    anew; of another region's ``items`` has the item here that came with each. Raises ProofInvalid where there is nothing to dispute, LookupError where the book has
    no such leaf.
    """
    own = list(records)
    made = _recounted(book, usage_index, own, list(items)) if own else _first(book, usage_index)
    evidence = made.SerializeToString(deterministic=True)
    return evidence, verify_evidence(evidence, book.keys)


def _first(book: UsageBook, usage_index: int) -> UsageEvidence:
    """Return the strongest evidence that a book has against a place."""
    found = list(_against(book, usage_index))
    for kind in (
        DifferenceKind.CONFLICT,
        DifferenceKind.TWICE,
        DifferenceKind.MISCOUNTED,
        DifferenceKind.UNPROMISED,
    ):
        for difference in found:
            if difference.kind is kind:
                return _evidence(book, difference)
    raise ProofInvalid("what is charged there is what was promised")


def _against(book: UsageBook, usage_index: int) -> Iterator[Difference]:
    return (each for each in book.differences() if each.usage_index == usage_index)


def _evidence(book: UsageBook, difference: Difference) -> UsageEvidence:
    evidence = UsageEvidence(kind=_KINDS[difference.kind])
    if difference.kind is DifferenceKind.CONFLICT:
        receipts = book.receipts_of(difference.usage_index)
        promised = next(each for each in receipts if each.leaf == difference.promised)
        evidence.leaves.append(ShownLeaf(receipt=promised))
    elif difference.kind is DifferenceKind.TWICE:
        first = UsageLeaf.FromString(difference.promised).usage_index
        evidence.leaves.append(_shown(book, first))
    evidence.leaves.append(_shown(book, difference.usage_index))
    return evidence


def _recounted(
    book: UsageBook, usage_index: int, records: list[DisclosedRecord], items: list[str]
) -> UsageEvidence:
    leaves = [_shown(book, usage_index)]
    return UsageEvidence(kind=MISCOUNTED, leaves=leaves, records=records, items=items)


def _shown(book: UsageBook, usage_index: int) -> ShownLeaf:
    logged = book.logged(usage_index)
    return ShownLeaf(logged=logged, detail=book.detail_told(logged.leaf))
