"""What a region claims of each answer, kept small: the elements of the sets that are compared. Pure.

A claim is packed records of its entries in order: digest, fee, whether this region is home of it,
and whether it is from before the period.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Final, NamedTuple

from creditgate.clearing_disputes import Shown, dispute_id, open_digest
from creditgate.clearing_entries import ClearingEntry, Entries
from creditgate.reconcile.elements import ELEMENT_BYTES

_RECORD: Final = struct.Struct(">32sQ??")
_CLAIM: Final = b"creditgate/clearing-claim/v1\n"


Claims = Mapping[bytes, Entries]
"""What another region claims of answers that differ, by their ids: () where it is nothing."""


class Part(NamedTuple):
    """What clearing has to know of one entry."""

    digest: bytes
    fee: int
    is_home: bool
    is_late: bool


def packed(entry: ClearingEntry, own: str, start: int) -> bytes:
    """Return the record of an entry for the region ``own``, in a period from ``start`` on."""
    return _RECORD.pack(entry.digest(), entry.fee, entry.home == own, entry.serve_seconds < start)


def claim_of(records: bytes) -> bytes:
    """Return the claim of packed records: in order, each once."""
    places = range(0, len(records) + 1, _RECORD.size)
    return b"".join(sorted({records[first:end] for first, end in pairwise(places)}))


def parts(claim: bytes) -> Iterator[Part]:
    """Give what a claim has."""
    return map(Part._make, _RECORD.iter_unpack(claim))


def entries_of(claim: bytes) -> int:
    """Return how many entries a claim has."""
    return len(claim) // _RECORD.size


def claim_element(answer: bytes, digests: Iterable[bytes]) -> bytes:
    """Return the element of what is claimed of an answer, by its id."""
    return sha256(_CLAIM + answer + b"".join(digests)).digest()[:ELEMENT_BYTES]


def open_element(answer: bytes, shown: Shown) -> bytes:
    """Return the element of an open dispute on an answer that is as both know it."""
    return open_digest(dispute_id(answer), shown)[:ELEMENT_BYTES]
