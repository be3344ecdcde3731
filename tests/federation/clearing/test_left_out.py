"""What clearings leave out is kept from one to the next, told of once, and proved in turn."""

from collections.abc import Mapping

import pytest
from sqlalchemy import select

from creditgate.clearing_disputes import (
    HOME_ONLY,
    UNDER_WAY,
    UNDER_WAY_SECONDS,
    Dispute,
    dispute_id,
    dispute_of,
)
from creditgate.clearing_entries import ClearingEntry
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind, ClearingStand
from gateway.alerts.tables import ALERTS
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.disputed import OtherVersion
from gateway.federation.clearing.evidence_store import Piece, Shown, SqlEvidence
from gateway.federation.clearing.stands import HOME, UNDECIDED, Stand, stand_of
from gateway.federation.clearing.store import Made, Settled, SqlClearings
from gateway.storage.engines import Engines

EAST, WEST = "https://east.invalid", "https://west.invalid"
DAY = 86_400
NOBODY = ClearingStand.CLEARING_STAND_UNSPECIFIED
NONE = Shown((), ())


def for_home(*_: object) -> ClearingStand.ValueType:
    """Judge for the home region."""
    return HOME


def for_nobody(*_: object) -> ClearingStand.ValueType:
    """Judge for nobody."""
    return NOBODY


class Book:
    """The clearings of the east, which asked, with the west."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.disputes = SqlDisputes(engines.evidence)
        self.evidence = SqlEvidence(engines.evidence)

    def clear(
        self,
        day: int,
        found: tuple[Dispute, ...] = (),
        carried: Mapping[bytes, ClearingDisputeKind.ValueType] | None = None,
        evidence: Shown = NONE,
    ) -> None:
        """Agree on the clearing of a day."""
        made = Made(
            region=WEST,
            start=(day - 1) * DAY,
            until=day * DAY,
            proposing=EAST,
            document=f"document-{day}",
            acceptance="signed",
            made_at=day * DAY,
            agreed_at=day * DAY,
            entries=0,
            adjusted=0,
            owed=0,
            due=0,
            disputes=0,
            under_way=0,
            ledger_entries=0,
            elements=b"",
        )
        settled = Settled(EAST, found, carried or {}, evidence, for_home, "region-west")
        SqlClearings(self.engines.evidence).agree(made, settled)

    def alerts(self) -> list[int]:
        """Return how much each alert counted."""
        with self.engines.evidence.connect() as connection:
            query = select(ALERTS.c.counted).order_by(ALERTS.c.number)
            return list(connection.execute(query).scalars())

    def left_out(self, day: int) -> list[str]:
        """Return the ids of what the clearing of a day left out."""
        rows = self.disputes.left_out(WEST, day * DAY, after="", limit=100)
        return [row.dispute_id for row in rows]


def dispute(number: int, day: int, before: int = 9_000, fee: int = 5) -> Dispute:
    """Return one on an answer that the west gave so long before the end of a day."""
    entry = ClearingEntry(WEST, EAST, f"q-{number}", 0, "r", 1, "penalty", day * DAY - before, fee)
    return dispute_of((entry,), (), day * DAY)


def id_of(found: Dispute) -> str:
    return dispute_id(found.answer.id)


def test_a_dispute_is_told_of_once_and_what_was_under_way_when_it_is_one(engines: Engines) -> None:
    book = Book(engines)
    one, young = dispute(1, 1), dispute(2, 1, UNDER_WAY_SECONDS)
    assert (one.kind, young.kind) == (HOME_ONLY, UNDER_WAY)
    book.clear(1, (one, young))
    assert book.alerts() == [1]
    carried = {one.answer.id: HOME_ONLY, young.answer.id: HOME_ONLY}
    book.clear(2, (), carried)
    assert book.alerts() == [1, 1]
    book.clear(3, (), carried)
    assert book.alerts() == [1, 1]
    assert {each.kind for each in book.disputes.opened(WEST).values()} == {HOME_ONLY}


def test_each_clearing_lists_what_it_left_out_as_it_was_then(engines: Engines) -> None:
    book = Book(engines)
    one, two = dispute(1, 1), dispute(2, 1)
    book.clear(1, (one, two))
    book.clear(2, (dispute(1, 1, fee=6),), {two.answer.id: HOME_ONLY})
    book.clear(3, (dispute(3, 3),), {two.answer.id: HOME_ONLY})
    both = sorted(map(id_of, (one, two)))
    assert book.left_out(1) == book.left_out(2) == both
    assert book.left_out(3) == sorted(map(id_of, (two, dispute(3, 3))))
    versions = {
        (row.since, row.home_version)
        for day in (1, 2)
        for row in book.disputes.left_out(WEST, day * DAY, after="", limit=9)
        if row.dispute_id == id_of(one)
    }
    assert len({version for _, version in versions}) == 2
    assert book.disputes.closed(WEST) == {one.answer.id}
    changed = book.disputes.changed(WEST, 3 * DAY)
    assert (changed.found, changed.closed) == ((dispute(3, 3),), frozenset({one.answer.id}))
    # One that was closed and comes again is another demand.
    book.clear(4, (one,), {two.answer.id: HOME_ONLY, dispute(3, 3).answer.id: HOME_ONLY})
    assert book.disputes.opened(WEST)[one.answer.id].stand == UNDECIDED
    assert len(book.left_out(4)) == 3


def test_a_stand_is_on_the_version_that_was_shown(engines: Engines) -> None:
    book = Book(engines)
    one = dispute(1, 1)
    book.clear(1, (one,))
    with pytest.raises(OtherVersion):
        book.disputes.resolve(id_of(one), Stand(HOME, "0" * 64), "somebody", "why", 7)
    assert book.disputes.resolve(id_of(one), stand_of(one.shown, HOME), "somebody", "why", 7)
    assert not book.disputes.resolve(id_of(dispute(9, 1)), UNDECIDED, "somebody", "why", 7)
    opened = book.disputes.opened(WEST)[one.answer.id]
    assert opened.stand == stand_of(one.shown, HOME)
    book.clear(2, (dispute(1, 1, fee=9),))
    assert book.disputes.opened(WEST)[one.answer.id].stand == UNDECIDED
    assert book.alerts() == [1, 1, 1]


def test_evidence_is_looked_for_in_turn_until_all_have_it_and_shown_once(engines: Engines) -> None:
    book = Book(engines)
    found = tuple(dispute(number, 1) for number in range(4))
    ids = sorted(map(id_of, found))
    book.clear(1, found, None, Shown([Piece(ids[2], b"at once")], [ids[2]]))
    book.evidence.keep_own(WEST, Shown([], [ids[0]]), for_nobody, 50)
    waiting = [each for each, _ in book.evidence.unproved(WEST, 50, 9)]
    assert waiting == [ids[1], ids[3], ids[0]]
    assert [each for each, _ in book.evidence.unproved(WEST, 49, 9)] == waiting[:2]
    made = [Piece(each, each.encode()) for each in waiting]
    book.evidence.keep_own(WEST, Shown(made, waiting), for_home, 60)
    assert book.evidence.unproved(WEST, 60, 9) == []
    supported = book.disputes.listed(WEST, closed=False, after="", limit=9)
    assert {row.supported for row in supported} == {HOME}
    few = book.evidence.unshown(WEST, len(made[0].evidence))
    assert len(few) == 1
    large = Piece(ids[0], 100 * b"x")
    book.evidence.keep_own(WEST, Shown([large], []), for_home, 60)
    assert large not in book.evidence.unshown(WEST, 99)
    assert len(book.evidence.unshown(WEST, 99)) == 2
    every = book.evidence.unshown(WEST, 1 << 20)
    assert sorted(every) == sorted([*made, large])
    carried = {each.answer.id: HOME_ONLY for each in found}
    book.clear(2, (), carried, Shown(every, [], [Piece(ids[0], b"theirs")]))
    assert book.evidence.unshown(WEST, 1 << 20) == []
    assert sorted(book.evidence.own_shown(WEST, 2 * DAY)) == sorted(e.evidence for e in every)
    assert book.evidence.of([ids[0]]).keys() == {ids[0]}
    assert set(book.evidence.of([ids[0]])[ids[0]]) == {
        ids[0].encode(),
        large.evidence,
        b"theirs",
    }
