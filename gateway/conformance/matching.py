"""Matching an operator's copies with those it should hold: what symbols told of them, or all of
them. Pure."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from creditgate.reconcile.decode import SymbolsInconsistent
from creditgate.reconcile.elements import Words, element_of, joined
from creditgate.transparency.facts import Copy
from gateway.conformance.blocks import Bits, Sequences, with_more
from gateway.conformance.held import NOWHERE, Held, Indexed, Places
from gateway.conformance.judging import Differing
from gateway.conformance.served import CutCopy

MOST_UNKNOWN: Final = 50_000
"""Most copies like none served that are kept to be judged: more than an operator has time to mend
before it attests again. Further ones are counted."""


class Repeated(ValueError):
    """A copy came twice, or was not asked for."""


class _Placed(NamedTuple):
    """Where elements are in the parts of what is held, `NOWHERE` where they are not; whether
    they may be held."""

    places: tuple[Places, Places]
    live: Bits

    @property
    def nowhere(self) -> Bits:
        """Which elements are in no part."""
        in_base, in_recent = self.places
        return (in_base == NOWHERE) & (in_recent == NOWHERE)


class Matching:
    """The copies of one operator, matched with ``held``; ``cut`` are all copies it was ever
    served under consents, by element."""

    def __init__(self, held: Held, cut: Mapping[bytes, CutCopy]) -> None:
        self._held = held
        self._cut = cut
        self._seen = [np.zeros(len(part), np.bool_) for part in held.parts]
        self._seen_cut: set[bytes] = set()
        self._shown: dict[bytes, Copy] = {}
        self._asked: set[bytes] = set()
        self._beyond = 0

    @property
    def copies(self) -> int:
        """How many copies the operator holds, as far as it told."""
        whole = sum(int(np.count_nonzero(seen)) for seen in self._seen)
        return whole + len(self._seen_cut) + len(self._shown) + self._beyond

    def whole_right(self) -> Sequences:
        """Return the revisions of those that were served whole and may be held, in order."""
        parts = zip(self._held.parts, self._seen, strict=True)
        own = (part.columns.sequences[seen & part.live] for part, seen in parts)
        return functools.reduce(with_more, own)

    def take_differences(self, theirs: Words, ours: Words) -> Sequence[bytes]:
        """Take it that the operator holds all it should but ``ours``, and ``theirs`` besides;
        return those that are like none served to it, which it has to show.

        Raises SymbolsInconsistent where that cannot be.
        """
        held = self._held
        self._seen = [part.live.copy() for part in held.parts]
        in_ours, in_theirs = self._place(ours), self._place(theirs)
        missing_cut = set(_packed(ours[in_ours.nowhere]))
        unknown = set(_packed(theirs[in_theirs.nowhere]))
        if (
            np.count_nonzero(in_ours.live) + len(missing_cut) != len(ours)
            or not missing_cut <= held.cut.keys()
            or in_theirs.live.any()
            or not unknown.isdisjoint(held.cut)
        ):
            raise SymbolsInconsistent("what differs is not what it can be")
        self._mark(in_ours, seen=False)
        self._mark(in_theirs, seen=True)
        former_cut = unknown & self._cut.keys()
        self._seen_cut.update(held.cut.keys() - missing_cut, former_cut)
        self._asked = unknown - former_cut
        return sorted(self._asked)

    def show(self, copies: Iterable[Copy]) -> None:
        """Take copies that had to be shown; raises Repeated."""
        for copy in copies:
            element = element_of(copy)
            if element not in self._asked:
                raise Repeated
            self._asked.remove(element)
            self._keep(element, copy)

    def take_copies(self, copies: Sequence[Copy]) -> None:
        """Take some of all the copies there are; raises Repeated, but not of those only counted."""
        before = self.copies
        elements = [element_of(copy) for copy in copies]
        placed = self._place(joined(elements))
        self._mark(placed, seen=True)
        for index in np.flatnonzero(placed.nowhere).tolist():
            element = elements[index]
            if element in self._cut:
                self._seen_cut.add(element)
            else:
                self._keep(element, copies[index])
        if self.copies != before + len(copies):
            raise Repeated

    def differing(self) -> Differing:
        """Return what the copies and those that should be held differ by."""
        held, missing, former = self._held, list[int](), list[int]()
        for part, seen in zip(held.parts, self._seen, strict=True):
            sequences = part.columns.sequences
            missing += sequences[part.live & ~seen].tolist()
            former += sequences[seen & ~part.live].tolist()
        missing_cut = [copy for key, copy in held.cut.items() if key not in self._seen_cut]
        former_cut = [self._cut[each] for each in self._seen_cut if each not in held.cut]
        shown = list(self._shown.values())
        return Differing(missing, missing_cut, former, former_cut, shown, self._beyond)

    def _place(self, elements: Words) -> _Placed:
        """Return where elements are among what was served whole: live where one is, and else
        where the newer is."""
        base, recent = self._held.parts
        in_base, in_recent = base.find(elements), recent.find(elements)
        base_live, recent_live = _live(base, in_base), _live(recent, in_recent)
        in_base[(in_recent != NOWHERE) & ~base_live] = NOWHERE
        in_recent[base_live] = NOWHERE
        return _Placed((in_base, in_recent), base_live | recent_live)

    def _mark(self, placed: _Placed, *, seen: bool) -> None:
        for places, marks in zip(placed.places, self._seen, strict=True):
            marks[places[places != NOWHERE]] = seen

    def _keep(self, element: bytes, copy: Copy) -> None:
        if len(self._shown) < MOST_UNKNOWN or element in self._shown:
            self._shown[element] = copy
        else:
            self._beyond += 1


def _live(part: Indexed, places: Places) -> Bits:
    live = np.zeros(len(places), np.bool_)
    known = places != NOWHERE
    live[known] = part.live[places[known]]
    return live


def _packed(elements: Words) -> list[bytes]:
    return [each.tobytes() for each in elements]
