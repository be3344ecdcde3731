"""Finding what two sets differ by, from the symbols of both: peeling. Pure.

A symbol that holds one element only is known by its checksum; taking that element out of the
other symbols it is mapped to leaves more symbols with one. Source: Yang et al., SIGCOMM 2024,
section 4.3.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from creditgate.reconcile.elements import WORD, Words, checksums_of
from creditgate.reconcile.symbols import Mapped, Symbols

# Symbols before this hold too many elements to tell how many differ.
_FIRST_TELLING: Final = 8
_OVERHEAD: Final = 1.35
"""Symbols that are needed for each difference, once there are many (section 5 there)."""
MOST_ROUNDS: Final = 1_024
"""Most rounds of peeling. Two sets that differ by 1 to 100,000 elements took 105 at most, for all
singles of a round are taken out at once; symbols made up can free one element a round."""


class SymbolsInconsistent(ValueError):
    """The symbols are of no two sets: whoever made one did not keep to the format."""


class Decoder:
    """Takes symbols of both sides as they come, and tells the differences once it has enough.

    ``key`` is that of the checksums; ``surplus`` how many more elements the other side has
    than this one, negative where it has fewer.
    """

    def __init__(self, key: bytes, surplus: int) -> None:
        self._key = key
        self._surplus = surplus
        self._left = Symbols.none(0)
        self._counts = np.zeros(0, np.uint16)
        none = np.zeros(0, WORD)
        self._found = Mapped.at_start(np.zeros((0, 2), WORD), none, np.zeros(0, np.uint16))
        self._known: set[int] = set()
        self._rounds = 0

    @property
    def taken(self) -> int:
        """How many symbols of each side were taken."""
        return len(self._counts)

    @property
    def decoded(self) -> bool:
        """Whether all differences are found."""
        left = self._left
        return self.taken > 0 and not (left.sums.any() or left.checks.any() or left.counts.any())

    @property
    def exhausted(self) -> bool:
        """Whether peeling was given up: it took more rounds than any two sets need."""
        return self._rounds >= MOST_ROUNDS

    @property
    def theirs(self) -> Words:
        """Elements found that only the other side has, of shape (n, 2)."""
        return self._found.elements[self._found.signs != 1]

    @property
    def ours(self) -> Words:
        """Elements found that only this side has, of shape (n, 2)."""
        return self._found.elements[self._found.signs == 1]

    def take(self, theirs: Symbols, ours: Symbols) -> None:
        """Take the next symbols, as many of each side. Raises SymbolsInconsistent."""
        more = theirs.without(ours)
        first = self.taken
        self._counts = np.concatenate((self._counts, more.counts))
        self._left = self._left.then(more)
        # What is found already is in the new symbols too.
        self._found.add_to(self._left)
        self._peel(np.arange(first, self.taken))

    def expected(self) -> float:
        """Estimate how many elements differ, from how far the counts are from what they would
        be on average.

        An element is in symbol i with probability p, so that of d elements a count differs
        from its mean by d * p * (1 - p) squared, whichever side they are of.
        """
        at = np.arange(min(_FIRST_TELLING, self.taken), self.taken)
        if not at.size:
            return 0.0
        probability = 1 / (1 + at / 2)
        mean = np.rint(self._surplus * probability).astype(np.int64)
        off = (self._counts[at].astype(np.int64) - mean).astype(np.int16).astype(np.float64)
        return float(np.mean(off**2 / (probability * (1 - probability))))

    def wanted(self) -> int:
        """Return how many more symbols are worth asking for."""
        # Less one standard error of the estimate: to ask once more costs a turn, to ask for too
        # many costs bytes.
        surely = max(0.0, 1 - math.sqrt(2 / max(self.taken, 2)))
        enough = int(_OVERHEAD * surely * self.expected())
        return max(enough - self.taken, 8 + self.taken // 16)

    def _peel(self, looked_at: NDArray[np.intp]) -> None:
        left, parts = self._left, [self._found]
        while looked_at.size and not self.exhausted:
            single = self._singles(looked_at)
            if not single.size:
                break
            self._rounds += 1
            found = Mapped.at_start(left.sums[single], left.checks[single], left.counts[single])
            self._remember(found.checks)
            # Taken out of the symbols with its own sign turned round.
            taken_out = found._replace(signs=(-found.signs.astype(np.int32)).astype(np.uint16))
            looked_at = taken_out.add_to(left)
            if _is_anything(left, single):
                raise SymbolsInconsistent("an element was found where it cannot be")
            parts.append(taken_out)
        self._found = Mapped.joined(parts)

    def _singles(self, looked_at: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return which symbols hold one element only, one symbol for each element."""
        left = self._left
        counts = left.counts[looked_at]
        looked_at = looked_at[(counts == 1) | (counts == np.iinfo(np.uint16).max)]
        if not looked_at.size:
            return looked_at
        checks = left.checks[looked_at]
        looked_at = looked_at[checksums_of(left.sums[looked_at], self._key) == checks]
        _, first = np.unique(left.checks[looked_at], return_index=True)
        return looked_at[first]

    def _remember(self, checks: Words) -> None:
        before = len(self._known)
        self._known.update(checks.tolist())
        if len(self._known) != before + len(checks) or len(self._known) > self.taken:
            raise SymbolsInconsistent("an element was found twice")


def _is_anything(symbols: Symbols, at: NDArray[np.intp]) -> bool:
    """Tell whether any of the symbols ``at`` still holds something."""
    return bool(symbols.sums[at].any() or symbols.checks[at].any() or symbols.counts[at].any())
