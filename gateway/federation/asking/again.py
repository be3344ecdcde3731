"""Whether what a region gives again under a request id is what it gave first. Pure.

A region charges a chunk once, and signs that once: whoever asks again is shown the same leaf of its
usage log, and given those records that it still discloses. So another leaf, other borders or a record
that was not charged then is no retry, but another answer, which nobody keeps and nobody is charged for.
"""

from collections.abc import Mapping
from typing import NamedTuple

from creditgate.transparency.merkle import ProofInvalid

RecordKey = tuple[str, int]
"""A record's id, and the number of its revision."""


class GivenRecord(NamedTuple):
    """A record of a chunk: what it was charged as, and what was given of it, None where nothing
    was or it was not kept."""

    charged: tuple[object, ...]
    given: tuple[object, ...] | None


class GivenChunk(NamedTuple):
    """A chunk as its region gave it.

    ``leaf`` is the use that the region signed, ``subject_count`` how many subjects it covers, 0
    where none of it came; ``records`` are all that are charged by it.
    """

    leaf: bytes
    subject_count: int
    records: Mapping[RecordKey, GivenRecord]


def require_same(first: GivenChunk, again: GivenChunk) -> None:
    """Raise ProofInvalid unless a chunk that is given again is what was given first, or less."""
    if again.leaf != first.leaf:
        raise ProofInvalid("another use is signed for a chunk than when it was given first")
    if first.subject_count and again.subject_count not in {0, first.subject_count}:
        raise ProofInvalid("a chunk has other borders than when it was given first")
    if again.records.keys() != first.records.keys():
        raise ProofInvalid("a chunk has other records than when it was given first")
    for key, before in first.records.items():
        now = again.records[key]
        if now.charged != before.charged:
            raise ProofInvalid("a record is charged as another than when it was given first")
        if None not in {now.given, before.given} and now.given != before.given:
            raise ProofInvalid("a record is another than when it was given first")
