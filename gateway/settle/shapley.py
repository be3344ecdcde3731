"""The Shapley value of sources in an answer: what each contributed to its worth. Pure.

Shapley, "A value for n-person games" (1953): the average, over all orders in which the
sources could come, of what each adds when it comes. For up to `EXACT_SOURCES` sources all
orders are gone through. For more, `ORDERS` orders are drawn (Castro, Gomez and Tejada,
"Polynomial calculation of the Shapley value based on sampling", 2009) from a seed, so that
anyone draws the same; by Hoeffding's inequality and the union bound no value is then off by
more than `bound_per_million` of the worth, but with probability `MISS_PER_MILLION`.

The game: an answer is worth what its items cost. An item is there as soon as one of its
sources is: sources that give the same share its worth, and one without which an item
would be missing keeps it. ``completeness`` parts of `WHOLE` of the worth are there only
once all items are: answers that must be complete are worth more than their parts.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal, localcontext
from functools import cache
from hashlib import shake_256
from itertools import permutations
from math import factorial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.settle.shares import WHOLE

EXACT_SOURCES: Final = 8
ORDERS: Final = factorial(EXACT_SOURCES)
"""How many orders are drawn, and what every value is a multiple of 1/(ORDERS x WHOLE) of."""
MISS_PER_MILLION: Final = 1_000
_KEY_BYTES: Final = 8
# Keeps what is held at once small, however many sources there are.
_BLOCK: Final = 1_008

_Numbers = NDArray[np.intp]


def shapley(
    worths: Mapping[str, int],
    sources_of: Mapping[str, frozenset[str]],
    completeness: int,
    seed: bytes,
) -> dict[str, int]:
    """Return the value of each source, in units of 1/(ORDERS x WHOLE).

    ``worths`` (0 or more) and ``sources_of`` are by item, and name the same items, each with
    a source at least. The values sum to the worth of all items, exactly. ``seed`` is used
    only where there are more than `EXACT_SOURCES` sources.
    """
    sources = sorted(frozenset[str]().union(*sources_of.values()))
    place_of = {source: index for index, source in enumerate(sources)}
    given = {item: [place_of[source] for source in sorted(sources_of[item])] for item in worths}
    values = [0] * len(sources)
    for order, places in _orders(sources, seed):
        complete = np.zeros(len(places), dtype=places.dtype)
        for item, at in given.items():
            # The source that comes first among those of an item brings it.
            first = places[:, at].min(axis=1)
            complete = np.maximum(complete, first)
            _add(values, order, first, worths[item] * (WHOLE - completeness))
        _add(values, order, complete, sum(worths.values()) * completeness)
    weight = 1 if len(sources) > EXACT_SOURCES else ORDERS // factorial(len(sources))
    return {source: value * weight for source, value in zip(sources, values, strict=True)}


def bound_per_million(sources: int) -> int:
    """Return how far off a value may be, in millionths of the worth; 0 where it is exact."""
    if sources <= EXACT_SOURCES:
        return 0
    with localcontext(prec=30) as context:
        # Hoeffding (1963), theorem 2: what a source adds lies between 0 and the worth.
        chances = Decimal(2 * sources).ln() - Decimal(MISS_PER_MILLION).scaleb(-6).ln()
        bound = context.divide(chances, Decimal(2 * ORDERS)).sqrt().scaleb(6)
        return int(bound.to_integral_value(ROUND_CEILING))


def _add(values: list[int], order: _Numbers, at: _Numbers, each: int) -> None:
    """Add ``each`` to the source that comes at the place ``at``, once for every order."""
    if each:
        coming = np.take_along_axis(order, at[:, None], axis=1)[:, 0]
        for source, times in enumerate(np.bincount(coming, minlength=len(values)).tolist()):
            values[source] += times * each


def _orders(sources: Sequence[str], seed: bytes) -> Iterator[tuple[_Numbers, _Numbers]]:
    """Yield orders of the sources in blocks: which comes at each place, the place of each.

    All orders, or `ORDERS` drawn ones. Those sort the sources by keys of eight bytes, big
    endian: what SHAKE256 (FIPS 202) gives of the seed, the number of the block (four bytes)
    and the names of the sources, one a line.
    """
    count = len(sources)
    if count <= EXACT_SOURCES:
        yield _all_orders(count)
        return
    named = "\n".join(sources).encode()
    for block in range(ORDERS // _BLOCK):
        drawn = shake_256(seed + block.to_bytes(4) + named).digest(_BLOCK * count * _KEY_BYTES)
        keys = np.frombuffer(drawn, dtype=">u8").reshape(_BLOCK, count)
        yield _with_places(keys.argsort(axis=1, kind="stable"))


@cache
def _all_orders(count: int) -> tuple[_Numbers, _Numbers]:
    return _with_places(np.array(list(permutations(range(count))), dtype=np.intp))


def _with_places(order: _Numbers) -> tuple[_Numbers, _Numbers]:
    return order, order.argsort(axis=1, kind="stable")
