"""The filter of a directory: whom a region may have public records of. Pure.

A Bloom filter (B. H. Bloom, CACM 13(7), 1970) whose positions come from a keyed hash (BLAKE2b,
RFC 7693). It is padded: its size is a power of two, and as many invented entries fill it as it
has room for, so that all directories of a size are equally full and none tells how many
subjects there are. About one subject in forty is answered yes of whom there is nothing, so
that no yes proves anything. The key changes with each epoch, and the filter with it.
"""

from collections.abc import Iterable
from hashlib import blake2b, shake_128
from typing import Final, NamedTuple, Self

KEY_BYTES: Final = 32
LEAST_ENTRIES_POWER: Final = 10
MOST_ENTRIES_POWER: Final = 25
_BITS_AN_ENTRY: Final = 8
_HASHES: Final = 4
_HASH_BYTES: Final = 8
_AT_ONCE: Final = 65_536


class TooManySubjects(ValueError):
    """There are more subjects than a filter has room for."""


class SubjectFilter(NamedTuple):
    """A filter of ``2 ** power`` entries, under ``key``. ``bits`` are 8 for each entry."""

    power: int
    key: bytes
    bits: bytes

    @classmethod
    def read(cls, power: int, key: bytes, bits: bytes) -> Self:
        """Return the filter of these parts. Raises ValueError where they do not fit together."""
        if not LEAST_ENTRIES_POWER <= power <= MOST_ENTRIES_POWER:
            raise ValueError("the filter is of no known size")
        if len(key) != KEY_BYTES or len(bits) != 1 << power:
            raise ValueError("the filter's key or bits are not of its size")
        return cls(power, key, bits)

    def may_hold(self, subject: str) -> bool:
        """Tell whether ``subject`` may be among those it was made of; no is certain."""
        bits = self.bits
        return all(
            bits[at >> 3] >> (at & 7) & 1 for at in _positions(self.key, self.power, subject)
        )


def filter_of(subjects: Iterable[str], key: bytes) -> SubjectFilter:
    """Return the filter of ``subjects``, each given once. Raises TooManySubjects.

    A function of both alone: asked anew in the same epoch nothing more can be learnt from it.
    """
    among = list(subjects)
    power = max(LEAST_ENTRIES_POWER, max(len(among) - 1, 0).bit_length())
    if power > MOST_ENTRIES_POWER:
        raise TooManySubjects
    bits = bytearray(1 << power)
    for subject in among:
        for at in _positions(key, power, subject):
            bits[at >> 3] |= 1 << (at & 7)
    _pad(bits, key, power, (1 << power) - len(among))
    return SubjectFilter(power, key, bytes(bits))


def _positions(key: bytes, power: int, subject: str) -> list[int]:
    digest = blake2b(subject.encode(), key=key, digest_size=_HASHES * _HASH_BYTES).digest()
    mask = (_BITS_AN_ENTRY << power) - 1
    return [
        int.from_bytes(digest[start : start + _HASH_BYTES], "big") & mask
        for start in range(0, len(digest), _HASH_BYTES)
    ]


def _pad(bits: bytearray, key: bytes, power: int, entries: int) -> None:
    """Set what ``entries`` invented subjects would."""
    mask = (_BITS_AN_ENTRY << power) - 1
    for start in range(0, entries, _AT_ONCE):
        count = min(_AT_ONCE, entries - start) * _HASHES
        seed = b"padding" + start.to_bytes(8, "big") + key
        stream = shake_128(seed).digest(4 * count)
        for at in memoryview(stream).cast("I"):
            at &= mask  # noqa: PLW2901  # a number of its own would take longer
            bits[at >> 3] |= 1 << (at & 7)
