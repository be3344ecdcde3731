"""The copies an operator should hold, ready to be reconciled: found by element or by revision,
and coded, all following each change. Pure.

A million copies take a second or two to make ready, and milliseconds to keep so.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from creditgate.reconcile.elements import WORD, Words, joined
from creditgate.reconcile.symbols import CodedSet, Symbols
from gateway.conformance.blocks import BLOCK, Bits, Block, Facts, Sequences, bits_of, is_marked
from gateway.conformance.served import CutCopy

Places = NDArray[np.intp]
NOWHERE: Final = -1
_NEVER: Final = int(np.iinfo(np.int64).max)
_FEW: Final = 20_000
_READY: Final = 1_024
"""Symbols made from the start: enough for some 700 differences."""
_SPARE: Final = 100_000


class Columns(NamedTuple):
    """Revisions served whole, in order of their sequences: when their periods end (seconds,
    UTC), their elements of shape (n, 2), and whether they have ended."""

    sequences: Sequences
    untils: Sequences
    elements: Words
    ended: Bits

    @classmethod
    def none(cls) -> "Columns":
        """Return no revisions."""
        zero = np.zeros(0, np.int64)
        return cls(zero, zero, np.zeros((0, 2), WORD), np.zeros(0, np.bool_))

    @classmethod
    def of(cls, facts: Iterable[Facts], ended: Mapping[int, bytes]) -> "Columns":
        """Return revisions by their facts; ``ended`` are the bits of blocks."""
        ordered = sorted(facts)
        return cls(
            np.array([each.sequence for each in ordered], np.int64),
            np.array([each.until for each in ordered], np.int64),
            joined(each.element for each in ordered),
            np.array(
                [
                    is_marked(ended.get(each.sequence // BLOCK, b""), each.sequence)
                    for each in ordered
                ],
                np.bool_,
            ),
        )

    @classmethod
    def in_block(cls, block: Block, served: bytes, ended: bytes) -> "Columns":
        """Return those revisions of a block that the bits ``served`` tell, as far as it has
        them."""
        own = bits_of(served)[: len(block.untils)] & (block.untils > 0)
        return cls(
            np.flatnonzero(own) + block.number * BLOCK,
            block.untils[own],
            block.elements[own],
            bits_of(ended)[: len(own)][own],
        )

    def then(self, *more: "Columns") -> "Columns":
        """Return these and more, in order."""
        every = (self, *more)
        sequences = np.concatenate([each.sequences for each in every])
        order = np.argsort(sequences, kind="stable")
        return Columns(
            sequences[order],
            np.concatenate([each.untils for each in every])[order],
            np.concatenate([each.elements for each in every])[order],
            np.concatenate([each.ended for each in every])[order],
        )


class Indexed:
    """Revisions, each found by its element or sequence; ``live`` are those that may be held at
    ``now`` (seconds, UTC).

    Of revisions with the same element, a record corrected back to what it was, one at most is
    live: the one that has not ended.
    """

    def __init__(self, columns: Columns, now: int) -> None:
        self.columns = columns
        self.live = ~columns.ended & (columns.untils > now)
        self._order = np.argsort(columns.elements[:, 0], kind="stable")
        self._sorted = columns.elements[self._order, 0]

    def __len__(self) -> int:
        return len(self.columns.sequences)

    def find(self, elements: Words) -> Places:
        """Return the place of each element, that of a live one if there is; `NOWHERE` where
        there is none."""
        found = np.full(len(elements), NOWHERE, np.intp)
        first = np.searchsorted(self._sorted, elements[:, 0])
        # Of words alike there are hardly ever two: each round looks at the next.
        asked = np.flatnonzero(first < len(self))
        step = 0
        while asked.size:
            at = first[asked] + step
            asked, at = asked[at < len(self)], at[at < len(self)]
            alike = self._sorted[at] == elements[asked, 0]
            asked, at = asked[alike], at[alike]
            places = self._order[at]
            same = self.columns.elements[places, 1] == elements[asked, 1]
            better = same & (self.live[places] | (found[asked] == NOWHERE))
            found[asked[better]] = places[better]
            step += 1
        return found

    def places(self, sequences: Sequences) -> Places:
        """Return the places of revisions, those that are not here left out."""
        at = np.searchsorted(self.columns.sequences, sequences)
        inside = at < len(self)
        at, sequences = at[inside], sequences[inside]
        return at[self.columns.sequences[at] == sequences]

    def end(self, places: Places) -> Words:
        """Note that revisions have ended; return the elements of those that were live."""
        self.columns.ended[places] = True
        return self._bury(places[self.live[places]])

    def expire(self, now: int) -> Words:
        """Note what time it is; return the elements of those that were live till then."""
        return self._bury(np.flatnonzero(self.live & (self.columns.untils <= now)))

    def next_expiry(self) -> int:
        """Return the first instant at which time changes what is live."""
        untils = self.columns.untils[self.live]
        return int(untils.min()) if untils.size else _NEVER

    def _bury(self, places: Places) -> Words:
        self.live[places] = False
        return self.columns.elements[places]


class Held:
    """An operator's copies. One thread at a time.

    ``key`` is that of the symbols' checksums, ``now`` the time as of which they are held, in
    seconds UTC. Most stand where they were first read; recent ones stand apart until they
    are many.
    """

    def __init__(self, key: bytes, columns: Columns, now: int) -> None:
        self.key = key
        self.now = now
        self._cut: Mapping[bytes, CutCopy] = {}
        self._base = Indexed(columns, now)
        self._recent = Indexed(Columns.none(), now)
        self._coded = CodedSet(key)
        self._coded.add(columns.elements[self._base.live])
        self._coded.symbols(0, _READY)
        self._next_expiry = self._base.next_expiry()

    @property
    def copies(self) -> int:
        """How many copies the operator should hold."""
        return sum(int(np.count_nonzero(each.live)) for each in self.parts) + len(self._cut)

    @property
    def size(self) -> int:
        """How many copies are kept in memory, former ones too."""
        return len(self._base) + len(self._recent) + len(self._cut)

    @property
    def parts(self) -> tuple[Indexed, Indexed]:
        """All revisions served whole."""
        return self._base, self._recent

    @property
    def cut(self) -> Mapping[bytes, CutCopy]:
        """Copies under consents that may be held and are like none served whole."""
        return self._cut

    @property
    def worn(self) -> bool:
        """Whether it is better made anew: its symbols follow from more changes than copies."""
        return self._coded.entries > 2 * self.copies + _SPARE

    def symbols(self, first: int, number: int) -> Symbols:
        """Return symbols of the copies that should be held."""
        return self._coded.symbols(first, number)

    def follow(
        self, more: Columns, ended: Sequences, cut: Mapping[bytes, CutCopy], now: int
    ) -> bool:
        """Follow what changed: revisions ``more``, served since and not here; ``ended`` since;
        ``cut`` is all that may be held under consents now.

        False where time went back, and it must be made anew.
        """
        if now < self.now:
            return False
        self.now = now
        for part in self.parts:
            self._coded.remove(part.end(part.places(ended)))
        # Before any is added: what is made anew then knows nothing of what was live before.
        if now >= self._next_expiry:
            for part in self.parts:
                self._coded.remove(part.expire(now))
            self._next_expiry = min(part.next_expiry() for part in self.parts)
        if more.sequences.size:
            self._add(more)
        self._change_cut(cut)
        return True

    def _add(self, more: Columns) -> None:
        fresh = Indexed(more, self.now)
        self._coded.add(more.elements[fresh.live])
        self._next_expiry = min(self._next_expiry, fresh.next_expiry())
        self._recent = Indexed(self._recent.columns.then(more), self.now)
        if len(self._recent) > max(_FEW, len(self._base) // 8):
            self._base = Indexed(self._base.columns.then(self._recent.columns), self.now)
            self._recent = Indexed(Columns.none(), self.now)

    def _change_cut(self, cut: Mapping[bytes, CutCopy]) -> None:
        asked = joined(cut)
        whole = np.zeros(len(asked), np.bool_)
        for part in self.parts:
            places = part.find(asked)
            known = places != NOWHERE
            whole[known] |= part.live[places[known]]
        own = {
            element: copy
            for (element, copy), is_whole in zip(cut.items(), whole.tolist(), strict=True)
            if not is_whole
        }
        self._coded.remove(joined(self._cut.keys() - own.keys()))
        self._coded.add(joined(own.keys() - self._cut.keys()))
        self._cut = own
