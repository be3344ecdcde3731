"""Elements of the sets that are reconciled, by the million. Pure.

An element is the first 16 bytes of the digest of a copy (`creditgate.transparency.facts`);
many of them are an array of shape (n, 2), each row the 16 bytes as two words.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from creditgate.transparency.facts import SHORT_BYTES, Copy, copy_digest

ELEMENT_BYTES: Final = SHORT_BYTES
KEY_BYTES: Final = 16
CHECKSUM_BYTES: Final = 8

Words = NDArray[np.uint64]
"""Words of 64 bits, in the order of bytes in which they stand in messages (little-endian)."""
WORD: Final = np.dtype("<u8")


def element_of(copy: Copy) -> bytes:
    """Return the element of a copy as it is held."""
    return copy_digest(copy)[:ELEMENT_BYTES]


def elements_of(elements: bytes | bytearray | memoryview) -> Words:
    """Return packed elements as an array of shape (n, 2); raises ValueError for a broken one."""
    return np.frombuffer(elements, dtype=WORD).reshape(-1, 2)


def joined(elements: Iterable[bytes]) -> Words:
    """Return elements as an array of shape (n, 2)."""
    return elements_of(b"".join(elements))


def checksums_of(elements: Words, key: bytes) -> Words:
    """Return the checksum of each element: BLAKE2b with a key of 16 bytes (RFC 7693), 8 bytes.

    The key keeps who can choose what is disclosed from choosing elements that look like
    others.
    """
    packed = memoryview(np.ascontiguousarray(elements).tobytes())
    return np.frombuffer(
        b"".join(
            [
                blake2b(
                    packed[start : start + ELEMENT_BYTES], digest_size=CHECKSUM_BYTES, key=key
                ).digest()
                for start in range(0, len(packed), ELEMENT_BYTES)
            ]
        ),
        dtype=WORD,
    )
