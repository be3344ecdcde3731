"""This region's side of a clearing: every answer that is not cleared yet. Calls block.

Those of the period; those of earlier ones that came late; and those that earlier clearings left
out. Of these, what is as both know it is one element, whatever it has in it: it is compared, and
told, no more. What was resolved since, or has come since, is claimed anew.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from creditgate.clearing_disputes import Shown
from creditgate.clearing_entries import AnswerKey, ClearingEntry, Entries
from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind, ClearingStand
from gateway.federation.clearing.claims import (
    Part,
    claim_element,
    claim_of,
    open_element,
    packed,
    parts,
)
from gateway.federation.clearing.dispute_store import OpenDispute, SqlDisputes
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.stands import ASKING, HOME, claimed, side_of
from gateway.federation.clearing.store import SqlClearings

LATE_SECONDS: Final = 32 * 86_400
"""So far back entries may come late: a request is answered again for 31 days at most."""
MOST_ENTRIES: Final = 2_000_000
"""Most entries of the ledger in one clearing: at worst, of one record an answer, 500 MB while it is
made."""


class TooMany(Exception):
    """There are more entries than one clearing takes: clear shorter periods."""


class LedgerMoved(Exception):
    """The ledger is not what it was a moment ago: begin anew."""


class Carried(NamedTuple):
    """An open dispute as both know it: its kind by then, the last second of what the home region
    claims, and how many entries both versions have."""

    shown: Shown
    kind: ClearingDisputeKind.ValueType
    served: int
    entries: int


class OwnSide:
    """One region's side of one clearing, of the period from ``start`` on; see `OwnSides`.

    ``entries`` gives what it claims, any number of times. ``opened`` are the open disputes, by the
    ids of their answers, and ``anew`` those of them of which it claims what ``entries`` gives; of
    the others it claims its own version, as before: ``kept`` gives that and the other's.
    """

    def __init__(
        self,
        own: str,
        start: int,
        entries: Callable[[], Iterator[ClearingEntry]],
        opened: Mapping[bytes, Carried],
        anew: Collection[bytes],
        kept: Callable[[bytes], tuple[Entries, Entries]],
        in_ledger: int,
    ) -> None:
        self.own = own
        self.start = start
        self.opened = opened
        self.carried = {answer: each for answer, each in opened.items() if answer not in anew}
        self.in_ledger = in_ledger
        """How many entries the ledger has of the period itself."""
        self._entries = entries
        self.kept = kept
        self.most_elements = MOST_ENTRIES + 2 * len(opened)
        """Most elements that the other side can have: both know the same disputes, mostly."""
        self.most_claimed = MOST_ENTRIES + sum(each.entries for each in opened.values())
        """Most entries that the other side can claim: of its ledger, and of disputes."""
        growing: defaultdict[bytes, bytearray] = defaultdict(bytearray)
        for answer, entry in _by_answer(entries()):
            growing[answer] += packed(entry, own, start)
        self._claims = {answer: claim_of(bytes(grown)) for answer, grown in growing.items()}

    def __len__(self) -> int:
        return len(self._claims) + len(self.carried)

    @property
    def elements(self) -> bytes:
        """The elements of all answers, packed, in order."""
        return b"".join(sorted(element for _, element in self._units()))

    @property
    def answers(self) -> Iterable[bytes]:
        """The ids of the answers of which it claims something anew."""
        return self._claims.keys()

    def parts(self, answer: bytes) -> Iterator[Part]:
        """Give what it claims anew of an answer, by id."""
        return parts(self._claims.get(answer, b""))

    def ids(self, elements: Collection[bytes]) -> set[bytes]:
        """Return the ids of the answers that elements are of. Raises LedgerMoved where it has not
        all of them."""
        wanted = frozenset(elements)
        found = {answer for answer, element in self._units() if element in wanted}
        if len(found) != len(wanted):
            raise LedgerMoved
        return found

    def claims(self, answers: Collection[bytes]) -> dict[bytes, Entries]:
        """Return what it claims of answers, by id: () where it is nothing. Raises LedgerMoved."""
        wanted = frozenset(answers)
        found: dict[bytes, list[ClearingEntry]] = {answer: [] for answer in wanted}
        if wanted & self._claims.keys():
            for answer, entry in _by_answer(self._entries()):
                if answer in wanted:
                    found[answer].append(entry)
        claims = {answer: tuple(sorted(set(entries))) for answer, entries in found.items()}
        for answer in wanted:
            digests = sorted(entry.digest() for entry in claims[answer])
            if digests != [part.digest for part in self.parts(answer)]:
                raise LedgerMoved
            if answer in self.carried:
                claims[answer], _ = self.kept(answer)
        return claims

    def _units(self) -> Iterator[tuple[bytes, bytes]]:
        """Give the id and the element of each answer."""
        for answer, claim in self._claims.items():
            yield answer, claim_element(answer, (part.digest for part in parts(claim)))
        for answer, carried in self.carried.items():
            yield answer, open_element(answer, carried.shown)


class OwnSides:
    """Makes this region's sides of clearings. ``own`` is its entity identifier."""

    def __init__(
        self, ledger: RegionLedger, clearings: SqlClearings, disputes: SqlDisputes, own: str
    ) -> None:
        self._ledger = ledger
        self._clearings = clearings
        self._disputes = disputes
        self._own = own

    def of(self, region: str, start: int, until: int) -> OwnSide:
        """Return its side of the clearing with ``region`` of a period, [start, until) (seconds,
        UTC), which begins where the last one ended. Raises TooMany."""
        ledger = self._ledger
        opened = self._disputes.opened(region)
        known = opened.keys() | self._disputes.closed(region)
        late = [
            row
            for row in self._clearings.since(region, start - LATE_SECONDS)
            if ledger.count(region, row.start, row.until) != row.ledger_entries
        ]
        awaited = {answer for answer, each in opened.items() if self._may_come(each)}

        def found() -> Iterator[ClearingEntry]:
            yield from ledger.entries(region, start, until)
            if late:
                cleared = self._cleared(region, start)
                for row in late:
                    for entry in ledger.entries(region, row.start, row.until):
                        if entry.digest()[:ELEMENT_BYTES] not in cleared:
                            yield entry

        def new() -> Iterator[ClearingEntry]:
            number = 0
            for answer, entry in _by_answer(found()):
                if answer in known and answer not in awaited:
                    continue
                if number == MOST_ENTRIES:
                    raise TooMany
                number += 1
                yield entry

        came = {id_ for id_, _ in _by_answer(new())} & awaited if awaited else set[bytes]()
        sides = {answer: self._claimed(each) for answer, each in opened.items()}
        conceded = {
            answer: each
            for answer, each in opened.items()
            if answer not in came and sides[answer] != side_of(each.home, self._own)
        }

        def entries() -> Iterator[ClearingEntry]:
            yield from new()
            for answer, each in conceded.items():
                yield from self._disputes.entries(each, sides[answer])

        def kept(answer: bytes) -> tuple[Entries, Entries]:
            each = opened[answer]
            home, asking = (self._disputes.entries(each, side) for side in (HOME, ASKING))
            return (home, asking) if each.home == self._own else (asking, home)

        anew = came | conceded.keys()
        in_ledger = ledger.count(region, start, until)
        return OwnSide(self._own, start, entries, as_carried(opened), anew, kept, in_ledger)

    def _claimed(self, dispute: OpenDispute) -> ClearingStand.ValueType:
        return claimed(dispute.shown, dispute.stand, side_of(dispute.home, self._own))

    def _may_come(self, dispute: OpenDispute) -> bool:
        """Tell whether an answer may still come into this region's ledger: it has nothing of it,
        and nobody has said whose version stands."""
        own = dispute.shown.home if dispute.home == self._own else dispute.shown.asking
        return not own and not dispute.stand.side

    def _cleared(self, region: str, start: int) -> set[bytes]:
        """Return the elements that clearings agreed on as far back as entries may come late."""
        known: set[bytes] = set()
        for row in self._clearings.since(region, start - LATE_SECONDS):
            elements = self._clearings.elements(row.number)
            known.update(
                elements[place : place + ELEMENT_BYTES]
                for place in range(0, len(elements), ELEMENT_BYTES)
            )
        return known


def as_carried(opened: Mapping[bytes, OpenDispute]) -> dict[bytes, Carried]:
    """Return open disputes as both know them, by the ids of their answers."""
    return {
        answer: Carried(each.shown, each.kind, each.served, each.entries)
        for answer, each in opened.items()
    }


def _by_answer(entries: Iterable[ClearingEntry]) -> Iterator[tuple[bytes, ClearingEntry]]:
    """Give entries with the ids of their answers; those of an answer mostly follow one another."""
    last, answer = None, b""
    for entry in entries:
        if entry[: len(AnswerKey._fields)] != last:
            last = entry[: len(AnswerKey._fields)]
            answer = entry.answer.id
        yield answer, entry
