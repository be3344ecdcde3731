"""Revisions by the block: 4,096 in a row of sequences, so that a million load in no time. Pure."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from creditgate.reconcile.elements import ELEMENT_BYTES, WORD, Words, elements_of

BLOCK: Final = 4_096
_BITS_BYTES: Final = BLOCK // 8
NO_BITS: Final = bytes(_BITS_BYTES)

Sequences = NDArray[np.int64]
Bits = NDArray[np.bool_]
NO_SEQUENCES: Final[Sequences] = np.zeros(0, np.int64)


class Facts(NamedTuple):
    """What a revision is reconciled by: ``until`` is disclosed_until, in seconds UTC."""

    sequence: int
    until: int
    element: bytes


class Block(NamedTuple):
    """Revisions ``number`` * `BLOCK` and following, as far as there are any: ``untils`` (0
    where the sequence is no revision's), and ``elements`` of shape (n, 2)."""

    number: int
    untils: Sequences
    elements: Words

    @classmethod
    def unpacked(cls, number: int, untils: bytes, elements: bytes) -> "Block":
        """Return a block as it is stored."""
        return cls(number, np.frombuffer(untils, np.int64), elements_of(elements))

    @classmethod
    def empty(cls, number: int) -> "Block":
        """Return a block without any revision."""
        return cls(number, np.zeros(0, np.int64), np.zeros((0, 2), WORD))

    def with_facts(self, facts: Iterable[Facts]) -> "Block":
        """Return the block with facts of its revisions, which come in order."""
        by_place = {each.sequence % BLOCK: each for each in facts}
        length = max(len(self.untils), max(by_place, default=-1) + 1)
        untils = bytearray(self.untils.tobytes().ljust(length * 8, b"\0"))
        elements = bytearray(self.elements.tobytes().ljust(length * ELEMENT_BYTES, b"\0"))
        for place, each in by_place.items():
            untils[place * 8 : place * 8 + 8] = each.until.to_bytes(8, "little")
            elements[place * ELEMENT_BYTES : (place + 1) * ELEMENT_BYTES] = each.element
        return Block.unpacked(self.number, bytes(untils), bytes(elements))


def blocks_of(sequences: Sequences) -> list[int]:
    """Return the numbers of the blocks that revisions are in, each once."""
    return np.unique(sequences // BLOCK).tolist()


def by_block(facts: Iterable[Facts]) -> list[tuple[int, list[Facts]]]:
    """Return facts, which come in order of sequences, with the number of each block."""
    return [
        (number, list(some)) for number, some in groupby(facts, lambda each: each.sequence // BLOCK)
    ]


def bits_of(stored: bytes) -> Bits:
    """Return the bits of a block, `BLOCK` of them; b"" stands for none."""
    packed = np.frombuffer(stored or NO_BITS, np.uint8)
    return np.unpackbits(packed, bitorder="little").view(np.bool_)


def marked(stored: Mapping[int, bytes], sequences: Sequences) -> dict[int, bytes]:
    """Return the bits of the blocks of ``sequences`` with those set, by number of the block:
    those only that differ from what is ``stored``, where nothing stands for none."""
    numbers, index = np.unique(sequences // BLOCK, return_inverse=True)
    before = [stored.get(number) or NO_BITS for number in numbers.tolist()]
    packed = np.frombuffer(b"".join(before), np.uint8).copy()
    places = index * _BITS_BYTES + (sequences % BLOCK >> 3)
    np.bitwise_or.at(packed, places, np.left_shift(1, sequences & 7).astype(np.uint8))
    after = packed.tobytes()
    parts = [after[at : at + _BITS_BYTES] for at in range(0, len(after), _BITS_BYTES)]
    return {
        number: part
        for number, part, was in zip(numbers.tolist(), parts, before, strict=True)
        if part != was
    }


def sequences_of(stored: Mapping[int, bytes]) -> Sequences:
    """Return the sequences whose bits are set, in order."""
    parts = [np.flatnonzero(bits_of(stored[number])) + number * BLOCK for number in sorted(stored)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def with_more(sequences: Sequences, more: Sequences) -> Sequences:
    """Return sequences, which come in order, with a few more that do too."""
    if not more.size:
        return sequences
    return np.insert(sequences, np.searchsorted(sequences, more), more)


def newly_marked(before: Mapping[int, bytes], after: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return the bits that are set in ``after`` and not ``before``, of the blocks that have
    any."""
    return {
        number: _beyond(was, bits) if was else bits
        for number, bits in after.items()
        if bits != (was := before.get(number, b""))
    }


def is_marked(stored: bytes, sequence: int) -> bool:
    """Tell whether the bit of a revision of the block is set."""
    place = sequence % BLOCK
    return bool(stored) and bool(stored[place >> 3] >> (place & 7) & 1)


def _beyond(was: bytes, bits: bytes) -> bytes:
    return (np.frombuffer(bits, np.uint8) & ~np.frombuffer(was, np.uint8)).tobytes()
