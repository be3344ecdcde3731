"""Counting different subjects without a list of them. Pure.

Source: linear counting, K.-Y. Whang, B. T. Vander-Zanden and H. M. Taylor, "A linear-time
probabilistic counting algorithm for database applications", ACM TODS 15 (1990). Each subject
sets one of `BITS` bits; from how many are still unset follows how many there were. The
standard error is below 1 % up to 200,000 subjects. Bits cannot be read back as subjects.
"""

from collections.abc import Iterable
from hashlib import sha256
from math import log
from typing import Final

BITS: Final = 1 << 17
EMPTY: Final = bytes(BITS // 8)


def with_subjects(sketch: bytes, subjects: Iterable[str]) -> bytes:
    """Return a sketch after subjects."""
    bits = bytearray(sketch)
    for subject in subjects:
        place = int.from_bytes(sha256(subject.encode()).digest()[:4]) % BITS
        bits[place >> 3] |= 1 << (place & 7)
    return bytes(bits)


def estimate(sketch: bytes) -> int:
    """Return how many different subjects a sketch has seen, about."""
    unset = BITS - int.from_bytes(sketch).bit_count()
    return round(BITS * log(BITS / max(1, unset)))
