"""Whatever two ledgers differ by, both sides agree on the rest, list the same disputes, and end."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.clearing_disputes import dispute_id
from creditgate.clearing_entries import ClearingEntry, Entries
from creditgate.reconcile.elements import ELEMENT_BYTES
from creditgate.reconcile.symbols import coded
from creditgate.refusal import Refused
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import CodedSymbols
from gateway.federation.clearing.agreeing import (
    Differs,
    Outcome,
    handed_back,
    outcome,
    proposal,
    require_same,
)
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.comparing import Comparison
from gateway.federation.clearing.own_side import Carried, LedgerMoved, OwnSide
from gateway.federation.clearing.paging import (
    ENTRIES_AT_ONCE,
    Claimed,
    Unclaimable,
    claims_of,
    differences_of,
)
from sdk.documents import DocumentRefused
from tests.examples import examples

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"
UNTIL: Final = 1_775_001_600
START: Final = UNTIL - 86_400
KEY: Final = bytes(range(16))

Ledger = Sequence[ClearingEntry]


class Book:
    """What a side knows from one clearing to the next: what was agreed, and what is open."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.agreed: set[ClearingEntry] = set()
        self.opened: dict[bytes, tuple[Carried, Entries, Entries]] = {}

    def side(self, ledger: Ledger) -> OwnSide:
        """Return its side, by a ledger that has everything so far."""
        held = {entry.answer.id for entry in ledger if entry not in self.agreed}
        anew = {answer for answer in held & self.opened.keys() if not self.opened[answer][1]}
        carried = self.opened.keys() - anew
        new = [
            entry for entry in ledger if entry not in self.agreed and entry.answer.id not in carried
        ]
        return OwnSide(
            self.own,
            START,
            lambda: iter(new),
            {answer: known for answer, (known, *_) in self.opened.items()},
            anew,
            lambda answer: self.opened[answer][1:],
            len(ledger),
        )

    def take(self, found: Outcome, ledger: Ledger) -> None:
        """Keep what follows from a clearing."""
        elements = {found.elements[at : at + 16] for at in range(0, len(found.elements), 16)}
        self.agreed |= {entry for entry in ledger if entry.digest()[:16] in elements}
        self.opened = {
            answer: (self.opened[answer][0]._replace(kind=kind), *self.opened[answer][1:])
            for answer, kind in found.carried.items()
        }
        for each in found.found:
            home, asking = each.home_entries, each.asking_entries
            mine, theirs = (home, asking) if each.answer.home == self.own else (asking, home)
            served = max((entry.serve_seconds for entry in home), default=0)
            known = Carried(each.shown, each.kind, served, len(home) + len(asking))
            self.opened[each.answer.id] = (known, mine, theirs)


def elements_in(side: OwnSide) -> set[bytes]:
    packed = side.elements
    return {packed[at : at + ELEMENT_BYTES] for at in range(0, len(packed), ELEMENT_BYTES)}


def told(messages: Iterable[pb.ClearingClaims], most: int) -> Claimed:
    claimed = Claimed(frozenset({NORTH, SOUTH}), UNTIL, most)
    for message in messages:
        assert len(message.entries) <= ENTRIES_AT_ONCE
        claimed.add(message.entries)
    return claimed


def compared(one: OwnSide, other: OwnSide) -> tuple[Claims, Claims]:
    """Return what each side is told that the other claims, as regions tell each other."""
    only_one, only_other = (
        sorted(elements_in(a) - elements_in(b)) for a, b in ((one, other), (other, one))
    )
    mine, theirs = one.claims(one.ids(only_one)), other.claims(other.ids(only_other))
    to_other = told(claims_of(mine), other.most_claimed).claims(theirs)
    differences = differences_of(only_one, theirs)
    of_callee = [pb.ClearingClaims(entries=each.only_callee) for each in differences]
    return told(of_callee, one.most_claimed).claims(mine), to_other


def cleared(
    books: tuple[Book, Book], ledgers: tuple[Ledger, Ledger], until: int = UNTIL
) -> tuple[Outcome, Outcome]:
    """Clear, and return what each side found: the one that is asked signs what is proposed."""
    north, south = (book.side(ledger) for book, ledger in zip(books, ledgers, strict=True))
    to_north, to_south = compared(north, south)
    found = outcome(north, to_north, until, NORTH)
    theirs = outcome(south, to_south, until, NORTH)
    document = proposal(
        found, (), own=NORTH, other=SOUTH, start=START, until=until, previous="", now=until + 9
    )
    require_same(document, theirs)
    for book, ledger, each in zip(books, ledgers, (found, theirs), strict=True):
        book.take(each, ledger)
    return found, theirs


ENTRIES = st.lists(
    st.builds(
        ClearingEntry,
        st.just(NORTH),
        st.just(SOUTH),
        st.sampled_from(["q-1", "q-2", "q-3"]),
        st.integers(0, 1),
        st.sampled_from([f"record-{number}" for number in range(6)]),
        st.just(1),
        st.sampled_from(["xzcf", "xzxk"]),
        st.just(UNTIL - 9_000),
        st.sampled_from([0, 10, 250_000]),
    ),
    max_size=40,
    unique=True,
)


def turned(entry: ClearingEntry) -> ClearingEntry:
    """Return an entry of the other direction, for some answers."""
    if entry.request_id == "q-3":
        return entry._replace(home=SOUTH, asking=NORTH)
    return entry


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[Ledger, Ledger]:
    """Two ledgers of the same use, with any subset dropped on either side, also all of it."""
    every = list(map(turned, draw(ENTRIES)))
    kept = st.one_of(
        st.just(frozenset[int]()),
        st.just(frozenset(range(len(every)))),
        st.frozensets(st.integers(0, max(0, len(every) - 1))),
    )
    first = draw(kept)
    sides = [[e for n, e in enumerate(every) if n in first]]
    second = draw(kept)
    sides.append([e for n, e in enumerate(every) if n in second])
    return sides[0], sides[1]


@settings(max_examples=examples(400))
@given(ledgers())
def test_both_agree_on_all_but_what_was_dropped_and_list_the_same_disputes(
    pair: tuple[Ledger, Ledger],
) -> None:
    books = Book(NORTH), Book(SOUTH)
    found, theirs = cleared(books, pair)
    alike = set(pair[0]) & set(pair[1])
    assert books[0].agreed == books[1].agreed == alike
    assert found.sums == theirs.sums
    assert found.sums.entries == len(alike)
    assert found.sums.proposing_due == sum(each.fee for each in alike if each.home == NORTH)
    assert found.sums.other_due == sum(each.fee for each in alike if each.home == SOUTH)
    assert found.left_out == theirs.left_out
    assert set(found.found) == set(theirs.found)
    differing = set(pair[0]) ^ set(pair[1])
    assert {e for d in found.found for e in (*d.home_entries, *d.asking_entries)} == differing
    assert {each.answer for each in found.found} == {each.answer for each in differing}

    # What is open counts no more: nothing of it differs, and nothing of it is told.
    north, south = (book.side(ledger) for book, ledger in zip(books, pair, strict=True))
    awaited = {answer for book in books for answer, (_, mine, _) in book.opened.items() if not mine}
    assert {dispute_id(each) for each in north.carried} == {
        dispute_id(each.answer.id) for each in found.found
    }
    assert elements_in(north) == elements_in(south)
    again, once_more = cleared(books, pair, UNTIL + 86_400)
    assert (again.sums.entries, again.found, once_more.found) == (0, (), ())
    assert again.left_out.disputes + again.left_out.under_way == len(found.found)
    assert awaited <= again.carried.keys()


@given(ledgers())
def test_what_comes_after_all_is_agreed_and_its_disputes_are_closed(
    pair: tuple[Ledger, Ledger],
) -> None:
    books = Book(NORTH), Book(SOUTH)
    cleared(books, pair)
    every = sorted({*pair[0], *pair[1]})
    late = [
        tuple({*ledger, *(e for e in every if not book.opened.get(e.answer.id, (0, (), ()))[1])})
        for book, ledger in zip(books, pair, strict=True)
    ]
    found, theirs = cleared(books, (late[0], late[1]), UNTIL + 86_400)
    assert found.left_out == theirs.left_out
    alike = set(late[0]) & set(late[1])
    assert books[0].agreed == books[1].agreed == alike


@given(ledgers(), st.integers(0, 3))
def test_a_clearing_that_says_anything_else_is_not_signed(
    pair: tuple[Ledger, Ledger], place: int
) -> None:
    north, south = Book(NORTH).side(pair[0]), Book(SOUTH).side(pair[1])
    to_north, to_south = compared(north, south)
    found = outcome(north, to_north, UNTIL, NORTH)
    document = proposal(
        found, (), own=NORTH, other=SOUTH, start=START, until=UNTIL, previous="", now=UNTIL
    )
    name = ("entries", "proposing_due", "disputes", "under_way")[place]
    other = document.model_copy(update={name: getattr(document, name) + 1})
    with pytest.raises(Differs):
        require_same(other, outcome(south, to_south, UNTIL, NORTH))
    # As it is where what the other claims is lost meanwhile: it is compared anew.
    if found.found and to_south:
        with pytest.raises(Differs):
            require_same(document, outcome(south, {}, UNTIL, NORTH))


@given(ledgers())
def test_what_is_handed_back_is_what_both_signed_whatever_the_ledger_has_by_now(
    pair: tuple[Ledger, Ledger],
) -> None:
    books = Book(NORTH), Book(SOUTH)
    cleared(books, pair)
    known = {answer: carried for answer, (carried, *_) in books[0].opened.items()}
    before = set(books[1].agreed)
    more = (*pair[0], *pair[1])
    found, _ = cleared(books, (more, more), UNTIL + 86_400)
    document = proposal(
        found, (), own=NORTH, other=SOUTH, start=START, until=UNTIL, previous="", now=UNTIL
    )
    agreed = {entry.digest() for entry in books[1].agreed - before}
    closed = frozenset(known.keys() - books[1].opened.keys())
    assert handed_back(document, agreed, found.found, closed, known) == found
    with pytest.raises(DocumentRefused, match="entries"):
        handed_back(document, agreed | {bytes(32)}, found.found, closed, known)
    if known:
        with pytest.raises(DocumentRefused, match="left out"):
            handed_back(document, agreed, found.found, frozenset(known.keys() - closed), known)


def many(number: int, region: str) -> list[ClearingEntry]:
    return [
        ClearingEntry(NORTH, SOUTH, f"{region}-{place}", 0, "r", 1, "xzcf", UNTIL - 9_000, 10)
        for place in range(number)
    ]


@pytest.mark.parametrize(
    ("alike", "north", "south"), [(9_000, 2, 3), (1_000, 6_000, 0), (5, 0, 0), (0, 9_000, 9_000)]
)
def test_however_many_differ_they_are_found_in_bounded_messages(
    alike: int, north: int, south: int
) -> None:
    shared = many(alike, "both")
    mine = OwnSide(
        NORTH, START, lambda: iter(shared + many(north, "north")), {}, (), lambda _: ((), ()), 0
    )
    theirs = OwnSide(
        SOUTH, START, lambda: iter(shared + many(south, "south")), {}, (), lambda _: ((), ()), 0
    )
    compared = Comparison(KEY, theirs.elements, len(mine))
    symbols = coded(mine.elements, KEY)
    taken = 0
    while wanted := compared.wanted():
        packed = symbols.symbols(taken, wanted).packed()
        assert len(packed) < 1 << 20
        compared.take(CodedSymbols(first_index=taken, symbols=packed), wanted)
        taken += wanted
    if wanted is None:
        assert taken * 26 <= max(len(mine.elements), 1_024 * 26)
        compared.take_all(mine.elements)
    assert (wanted is None) == (north + south >= 4_000)
    assert {len(compared.only_theirs), len(compared.only_ours)} == {north, south}
    assert len(compared.only_theirs) == north
    assert len(theirs.ids(compared.only_ours)) == south
    messages = differences_of(compared.only_theirs, theirs.claims(theirs.ids(compared.only_ours)))
    assert all(each.more for each in messages[:-1])
    assert not messages[-1].more
    assert max(each.ByteSize() for each in messages) < 1 << 20


def test_elements_that_are_not_as_many_as_was_said_are_refused() -> None:
    compared = Comparison(KEY, b"", 2)
    for elements in (b"a" * 16, b"a" * 32, b"a" * 15, b"abcdefgh" * 6):
        with pytest.raises(Refused):
            compared.take_all(elements)
    compared.take_all(b"a" * 16 + b"b" * 16)
    assert len(compared.only_theirs) == 2


def test_what_cannot_be_claimed_is_not_taken() -> None:
    entry = many(1, "q")[0]
    refused: Collection[ClearingEntry] = (
        entry._replace(home="https://third.invalid"),
        entry._replace(home=SOUTH),
        entry._replace(serve_seconds=UNTIL),
        entry._replace(record_id="a\nb"),
        entry._replace(fee=-1),
    )
    for each in refused:
        with pytest.raises(Unclaimable):
            Claimed(frozenset({NORTH, SOUTH}), UNTIL, 9).add([each.message()])
    with pytest.raises(Unclaimable):
        Claimed(frozenset({NORTH, SOUTH}), UNTIL, 9).add([entry.message()] * 10)


def test_a_ledger_that_changed_meanwhile_is_noticed() -> None:
    rows = many(3, "q")
    side = OwnSide(NORTH, START, lambda: iter(rows), {}, (), lambda _: ((), ()), 0)
    ids = side.ids(elements_in(side))
    assert len(side.claims(ids)) == 3
    rows.pop()
    with pytest.raises(LedgerMoved):
        side.claims(ids)
    with pytest.raises(LedgerMoved):
        side.ids([bytes(16)])
