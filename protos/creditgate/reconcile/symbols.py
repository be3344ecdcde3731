"""Coded symbols: what a set looks like to who knows most of it already. Pure.

Symbol ``i`` is the sum of all elements that are mapped to it: the XOR of the elements, the
XOR of their checksums, and how many they are, modulo 65,536. An element is mapped to symbol
0, and to symbol ``i`` with probability 1 / (1 + i / 2), by a sequence that its checksum
seeds. Symbols can be made without end, and each follows when the set changes.
Source: Yang et al., SIGCOMM 2024, sections 4.1 and 4.2; the sequence is that of the authors'
published program.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from creditgate.reconcile.elements import WORD, Words, checksums_of, elements_of

FORMAT_VERSION: Final = 1
SYMBOL_BYTES: Final = 26
MOST_SYMBOLS: Final = 1 << 20
"""Most symbols of one set: enough for 700,000 differences."""

Counts = NDArray[np.uint16]
Indices = NDArray[np.uint32]
_FACTOR: Final = 0xDA942042E4DD58B5
_MULTIPLIER: Final = np.uint64(_FACTOR)
_WORD_BITS: Final = (1 << 64) - 1
_LAST: Final = (1 << 32) - 1
_NEVER: Final = float(_LAST)
_FEW: Final = 100
"""So many elements at most go on one by one."""
_SHORT: Final = 1 << 16
_MOST_PARTS: Final = 32
# As symbols stand in messages.
_PACKED: Final = np.dtype([("sum", WORD, 2), ("check", WORD), ("count", ">u2")])


class Symbols(NamedTuple):
    """Some symbols in order: ``sums`` of shape (n, 2), ``checks`` and ``counts`` of shape (n)."""

    sums: Words
    checks: Words
    counts: Counts

    @classmethod
    def none(cls, number: int) -> "Symbols":
        """Return the symbols of an empty set."""
        return cls(np.zeros((number, 2), WORD), np.zeros(number, WORD), np.zeros(number, np.uint16))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Symbols":
        """Return symbols as they stand in a message; raises ValueError for a broken one."""
        read = np.frombuffer(packed, dtype=_PACKED)
        return cls(read["sum"].copy(), read["check"].copy(), read["count"].astype(np.uint16))

    def packed(self) -> bytes:
        """Return symbols as they stand in messages, 26 bytes each."""
        written = np.empty(len(self.checks), dtype=_PACKED)
        written["sum"], written["check"], written["count"] = self
        return written.tobytes()

    def part(self, first: int, number: int) -> "Symbols":
        """Return ``number`` of them from ``first``; changes of these are changes of them."""
        own = slice(first, first + number)
        return Symbols(self.sums[own], self.checks[own], self.counts[own])

    def without(self, others: "Symbols") -> "Symbols":
        """Return the symbols of what only one of two sets has."""
        return Symbols(
            self.sums ^ others.sums, self.checks ^ others.checks, self.counts - others.counts
        )

    def then(self, more: "Symbols") -> "Symbols":
        """Return these and those that follow."""
        return Symbols(
            np.concatenate((self.sums, more.sums)),
            np.concatenate((self.checks, more.checks)),
            np.concatenate((self.counts, more.counts)),
        )


class Mapped(NamedTuple):
    """Signed elements, each with where its sequence stands: ``states`` of the generator and
    the ``next`` symbol it is mapped to."""

    elements: Words
    checks: Words
    signs: Counts
    states: Words
    next: Indices

    @classmethod
    def at_start(cls, elements: Words, checks: Words, signs: Counts) -> "Mapped":
        """Return elements before the first symbol: all are mapped to symbol 0."""
        return cls(elements, checks, signs, checks.copy(), np.zeros(len(checks), np.uint32))

    @classmethod
    def joined(cls, parts: "Sequence[Mapped]") -> "Mapped":
        """Return the elements of all parts."""
        return cls(
            np.concatenate([each.elements for each in parts]),
            np.concatenate([each.checks for each in parts]),
            np.concatenate([each.signs for each in parts]),
            np.concatenate([each.states for each in parts]),
            np.concatenate([each.next for each in parts]),
        )

    def add_to(self, symbols: Symbols) -> NDArray[np.intp]:
        """Add each element to the symbols it is mapped to, from where its sequence stands.

        ``symbols`` begin with symbol 0. Returns the indices of symbols that changed.
        """
        limit = len(symbols.checks)
        if len(self.checks) <= _FEW:
            return self._add_few_to(symbols, limit)
        changed = np.zeros(limit, np.bool_)
        active = np.flatnonzero(self.next < limit)
        while active.size:
            at = self.next[active]
            changed[at] = True
            _add(symbols, at, self.elements[active], self.checks[active], self.signs[active])
            self._go_on(active, at)
            active = active[self.next[active] < limit]
        return np.flatnonzero(changed)

    def _add_few_to(self, symbols: Symbols, limit: int) -> NDArray[np.intp]:
        # A call of numpy takes longer than a hundred steps of a sequence: all are gone first, and
        # what they lead to is added at once.
        sequences = [
            _gone_on(*each, limit)
            for each in zip(self.states.tolist(), self.next.tolist(), strict=True)
        ]
        self.states[:] = [each.state for each in sequences]
        self.next[:] = [each.next for each in sequences]
        at = np.array([place for each in sequences for place in each.places], np.uint32)
        own = np.repeat(np.arange(len(sequences)), [len(each.places) for each in sequences])
        if at.size:
            _add(symbols, at, self.elements[own], self.checks[own], self.signs[own])
        return np.unique(at).astype(np.intp)

    def _go_on(self, active: NDArray[np.intp], at: Indices) -> None:
        states = self.states[active] * _MULTIPLIER
        step = np.ceil((at + 1.5) * ((1 << 32) / np.sqrt(states.astype(np.float64) + 1) - 1))
        self.states[active] = states
        # Farther than any symbol there is: 64 bits of it are not kept.
        self.next[active] = np.minimum(at + step, _NEVER).astype(np.uint32)


class CodedSet:
    """A set with its symbols, which follow each change of it.

    ``key`` is that of the checksums. Not for several threads at once.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        # What was put in first is the bulk, and not copied for each of the changes that follow.
        self._entries: list[Mapped] = []
        self._symbols = Symbols.none(0)

    @property
    def entries(self) -> int:
        """How many changes are kept: a removal is one more, so now and then begin anew."""
        return sum(len(each.checks) for each in self._entries)

    @property
    def ready(self) -> int:
        """How many symbols are ready."""
        return len(self._symbols.checks)

    def add(self, elements: Words) -> None:
        """Add elements, none of which the set has."""
        self._change(elements, 1)

    def remove(self, elements: Words) -> None:
        """Remove elements, all of which the set has."""
        self._change(elements, -1)

    def symbols(self, first: int, number: int) -> Symbols:
        """Return ``number`` symbols from ``first``, making those that are not ready."""
        missing = first + number - self.ready
        if missing > 0:
            self._symbols = self._symbols.then(Symbols.none(missing))
            for entries in self._entries:
                entries.add_to(self._symbols)
        return self._symbols.part(first, number)

    def _change(self, elements: Words, sign: int) -> None:
        if not len(elements):
            return
        elements = np.ascontiguousarray(elements)
        signs = np.full(len(elements), sign % _SHORT, np.uint16)
        entries = Mapped.at_start(elements, checksums_of(elements, self._key), signs)
        entries.add_to(self._symbols)
        self._entries.append(entries)
        if len(self._entries) > _MOST_PARTS:
            first, *others = self._entries
            self._entries = [first, Mapped.joined(others)]


def coded(elements: bytes, key: bytes) -> CodedSet:
    """Return the coded set of packed elements, 16 bytes each, no two alike."""
    made = CodedSet(key)
    made.add(elements_of(elements))
    return made


class _Sequence(NamedTuple):
    """Where the sequence of one element went, and where it stands."""

    places: list[int]
    state: int
    next: int


def _gone_on(state: int, at: int, limit: int) -> _Sequence:
    places: list[int] = []
    while at < limit:
        places.append(at)
        state = state * _FACTOR & _WORD_BITS
        step = math.ceil((at + 1.5) * ((1 << 32) / math.sqrt(float(state) + 1) - 1))
        at = min(at + step, _LAST)
    return _Sequence(places, state, at)


def _add(symbols: Symbols, at: Indices, elements: Words, checks: Words, signs: Counts) -> None:
    """Add elements to the symbols ``at``, of which several may be the same."""
    # Sixteen bits are sorted by radix, several times as fast.
    keys = at.astype(np.uint16) if len(symbols.checks) <= _SHORT else at
    order = np.argsort(keys, kind="stable")
    ordered = at[order]
    starts = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
    places = ordered[starts]
    symbols.sums[places] ^= np.bitwise_xor.reduceat(elements[order], starts, axis=0)
    symbols.checks[places] ^= np.bitwise_xor.reduceat(checks[order], starts)
    symbols.counts[places] += np.add.reduceat(signs[order], starts, dtype=np.uint16)
