"""The format of symbols written out plainly, one element at a time, as docs and paper have it."""

import math
from collections.abc import Collection, Iterator
from hashlib import blake2b


def checksum(element: bytes, key: bytes) -> bytes:
    """Return the checksum of an element."""
    return blake2b(element, digest_size=8, key=key).digest()


def indices(element: bytes, key: bytes, limit: int) -> Iterator[int]:
    """Yield the symbols below ``limit`` that an element is mapped to."""
    state = int.from_bytes(checksum(element, key), "little")
    at = 0
    while at < limit:
        yield at
        state = state * 0xDA942042E4DD58B5 % (1 << 64)
        at += math.ceil((at + 1.5) * ((1 << 32) / math.sqrt(float(state) + 1) - 1))


def symbols(elements: Collection[bytes], key: bytes, number: int) -> bytes:
    """Return the first ``number`` symbols of a set, as they stand in messages."""
    sums, checks, counts = [0] * number, [0] * number, [0] * number
    for element in elements:
        for index in indices(element, key, number):
            sums[index] ^= int.from_bytes(element, "big")
            checks[index] ^= int.from_bytes(checksum(element, key), "big")
            counts[index] += 1
    return b"".join(
        sums[at].to_bytes(16, "big")
        + checks[at].to_bytes(8, "big")
        + (counts[at] % 65_536).to_bytes(2, "big")
        for at in range(number)
    )
