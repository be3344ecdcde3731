"""Quotas are counted by licence, on both stores, and every answer tells which licences bear it."""

from collections import Counter
from itertools import count
from random import Random

import pytest
from sqlalchemy import Engine, insert, select

from creditgate.transparency.merkle import leaf_hash
from creditgate.transparency.usage import detail_of as told_detail
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageLicence, UsageReceipt
from gateway.meter.bearers import bearers, bearers_of_lines, borne
from gateway.meter.decisions import DecisionIds
from gateway.meter.deliveries import Deliveries
from gateway.meter.delivery import START, Delivering, DeliveryKey
from gateway.meter.holds import Hold, Room
from gateway.meter.ledger import UsageLedger
from gateway.meter.licences import Licences
from gateway.meter.model import (
    Charged,
    Held,
    Left,
    LineCount,
    NotCharged,
    Outcome,
    UsageClaim,
    UsageRow,
)
from gateway.meter.reader import SqlUsageReader
from gateway.meter.settler import DeliverySettler
from gateway.meter.tables import LICENCE_USE, QUOTA
from gateway.storage.engines import reading
from tests.clock import StandingClock
from tests.meter.test_sharing import can_be_shared
from tests.meter.world import DAY, NOW, Disclosure, admitted, claim, quota_used, stored, with_lines
from tests.receipts import RECEIPTS

ITEMS = {1: "penalty.general", 2: "item-2", 3: "item-3"}
QUOTAS = {"L-1": 5, "L-2": 9, "L-3": 4}
OF_LINE = {1: ("L-1", "L-2"), 2: ("L-2", "L-3"), 3: ("L-3",)}
EVERY = frozenset(map(frozenset, OF_LINE.values()))
EXHAUSTED = RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED
NOT_DISCLOSED = RefusalReason.REFUSAL_REASON_RECORD_NOT_DISCLOSED
TODAY = NOW // DAY
ANEW = DAY - NOW % DAY


class Sharing:
    """A ledger with records of three items, and a firm with three licences."""

    def __init__(self, engine: Engine) -> None:
        self.engine = with_lines(engine)
        self.ledger = UsageLedger(self.engine, StandingClock(), RECEIPTS)
        records = [
            admitted(f"rec-{line}-{number}", number, item=item)
            for line, item in ITEMS.items()
            for number in range(1, 7)
        ]
        sequences = Disclosure(self.engine).publish(*records)
        self.entries = {line: sequences[at * 6 : at * 6 + 6] for at, line in enumerate(ITEMS)}
        self.names = count()

    def claim(self, counts: dict[int, int], **changes: object) -> UsageClaim:
        """Return the claim of an answer with so many records of each line."""
        entries = [
            each for line, records in counts.items() for each in self.entries[line][:records]
        ]
        made = claim(
            f"r-{next(self.names)}",
            entries,
            lines=tuple(LineCount(line, records, 7) for line, records in counts.items()),
            rests_on=Licences(QUOTAS, OF_LINE, EVERY),
            daily_quota=0,
            disclosure_sequence=18,
        )
        return made._replace(**changes)

    def ask(self, counts: dict[int, int], **changes: object) -> Outcome:
        """Charge an answer."""
        (outcome,) = self.ledger.commit([self.claim(counts, **changes)])
        return outcome

    def used(self) -> dict[str, int]:
        """Return what is counted against each licence today."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(LICENCE_USE).where(LICENCE_USE.c.day == TODAY))
            return {row.licence: row.used for row in rows}

    def last(self) -> UsageRow:
        """Return the last answer."""
        row = stored(self.engine)[-1]
        return UsageRow(*(getattr(row, name) for name in UsageRow._fields))


@pytest.fixture
def sharing(records_engine: Engine) -> Sharing:
    """A ledger, on an empty store."""
    return Sharing(records_engine)


def leaf_of(outcome: Outcome) -> UsageLeaf:
    """Return the leaf that a charged answer is receipted by."""
    assert isinstance(outcome, Charged)
    return UsageLeaf.FromString(UsageReceipt.FromString(outcome.receipt).leaf)


@pytest.mark.parametrize("seed", range(3))
def test_all_is_given_or_nothing_and_only_by_licences_with_something_left(
    sharing: Sharing, seed: int
) -> None:
    draw = Random(seed)
    left, given = dict(QUOTAS), 0
    for _ in range(14):
        asked: list[UsageClaim] = []
        for _ in range(draw.randrange(1, 4)):
            some = draw.sample(sorted(ITEMS), draw.randrange(3))
            asked.append(sharing.claim({line: draw.randrange(1, 4) for line in some}))
        for made, outcome in zip(asked, sharing.ledger.commit(asked), strict=True):
            every = [line for line, records, _ in made.lines for _ in range(records)]
            spent = any(all(left[number] <= 0 for number in each) for each in EVERY)
            assert isinstance(outcome, NotCharged if spent else Charged), (every, left)
            if spent:
                continue
            fits = can_be_shared(every, OF_LINE, left)
            rows = [row for row in stored(sharing.engine) if row.request_id == made.request_id]
            assert [(row.entries, row.fee) for row in rows] == [(made.entries, made.fee)]
            row = UsageRow(*(getattr(rows[0], name) for name in UsageRow._fields))
            taken = borne(row)
            assert sum(taken.values()) == len(every)
            numbers = bearers(row.licence, row.licences, row.lines, every)
            assert all(number in OF_LINE[line] for number, line in zip(numbers, every, strict=True))
            assert Counter(numbers) == taken
            for number, records in taken.items():
                assert left[number] > 0
                left[number] -= records
                assert not fits or left[number] >= 0
            given += len(every)
        assert sharing.used() == {n: q - left[n] for n, q in QUOTAS.items() if q != left[n]}
        assert quota_used(sharing.engine).get(("alpha", TODAY), 0) == given
    assert given > 8


def test_receipt_and_entries_name_the_licences_that_bear_an_answer(sharing: Sharing) -> None:
    leaf = leaf_of(sharing.ask({1: 6, 2: 2}))
    assert leaf.licence == "L-1"
    assert list(leaf.licences) == [
        UsageLicence(licence="L-1", entries=[5, 0]),
        UsageLicence(licence="L-2", entries=[1, 2]),
        UsageLicence(licence="L-3"),
    ]
    row = sharing.last()
    assert bearers_of_lines(row.licence, row.licences, row.lines) == ["L-1 L-2", "L-2"]
    kept = stored(sharing.engine)[-1].leaf_hash
    assert kept == leaf_hash(leaf.SerializeToString(deterministic=True))
    page = SqlUsageReader(sharing.engine).answers(
        "alpha", from_=None, until=None, request_id="", after=0, least_entries=1
    )
    assert [entry.licence for entry in page.answers[0].entries] == ["L-1"] * 5 + ["L-2"] * 3


def test_an_answer_without_records_names_every_licence_it_was_looked_for_under(
    sharing: Sharing,
) -> None:
    leaf = leaf_of(sharing.ask({}))
    assert [(each.licence, list(each.entries)) for each in leaf.licences] == [
        ("L-1", []),
        ("L-2", []),
        ("L-3", []),
    ]


def test_licences_of_a_large_answer_are_in_its_detail(sharing: Sharing) -> None:
    entries = [*range(1, 301)]
    quotas = {f"L-{number}": 300 for number in range(1, 4)}
    outcome = sharing.ask(
        {1: 1},
        entries=claim("r", entries).entries,
        lines=(LineCount(1, 300, 7),),
        rests_on=Licences(quotas, OF_LINE, frozenset()),
    )
    leaf = leaf_of(outcome)
    assert isinstance(outcome, Charged)
    detail = told_detail(leaf, UsageReceipt.FromString(outcome.receipt).detail)
    assert not leaf.licences
    assert detail is not None
    assert [each.licence for each in detail.licences] == ["L-1", "L-2", "L-3"]


def test_one_licence_does_not_count_what_another_bears(sharing: Sharing) -> None:
    one = claim("one", sharing.entries[1][:3], licence="L-8", daily_quota=3)
    (outcome,) = sharing.ledger.commit([one])
    assert isinstance(outcome, Charged)
    other = claim("two", sharing.entries[1][:3], licence="L-9", daily_quota=3)
    (outcome,) = sharing.ledger.commit([other])
    assert isinstance(outcome, Charged)
    (outcome,) = sharing.ledger.commit([other._replace(request_id="three")])
    assert outcome == NotCharged(EXHAUSTED, ANEW)
    assert not leaf_of(sharing.ask({1: 1}, rests_on=None, daily_quota=9)).licences


def test_what_an_earlier_version_counted_counts_against_each_licence(sharing: Sharing) -> None:
    with sharing.engine.begin() as connection:
        connection.execute(insert(QUOTA).values(operator_id="alpha", day=TODAY, used=3))
    assert isinstance(sharing.ask({3: 1}), Charged)
    assert sharing.used() == {"L-3": 1}
    assert quota_used(sharing.engine) == {("alpha", TODAY): 4}
    assert sharing.ask({3: 1}) == NotCharged(EXHAUSTED, ANEW, licences=("L-3",))


def test_refusal_names_the_licences_used_up_and_is_the_same_whatever_is_found(
    sharing: Sharing,
) -> None:
    assert isinstance(sharing.ask({3: 4}), Charged)
    for counts in ({}, {3: 1}, {1: 1}):
        refused = sharing.ask(counts)
        assert isinstance(refused, NotCharged)
        assert (refused.reason, refused.licences) == (EXHAUSTED, ("L-3",))
        assert refused.left == Left(0, 4, ANEW, ())
    without = Licences(QUOTAS, OF_LINE, frozenset({frozenset(OF_LINE[1]), frozenset(OF_LINE[2])}))
    assert isinstance(sharing.ask({1: 1, 2: 1}, rests_on=without), Charged)


def test_what_is_held_for_other_regions_refuses_alike_whatever_is_found(sharing: Sharing) -> None:
    takes = Room(Hold("alpha", "held", 4, NOW + 60))
    (outcome,) = sharing.ledger.commit([claim("held", takes=takes, daily_quota=8)])
    assert outcome == Held()
    for counts in ({}, {1: 1}, {3: 1}, {1: 6, 2: 2}):
        refused = sharing.ask(counts)
        assert isinstance(refused, NotCharged)
        assert (refused.reason, refused.retry_after) == (EXHAUSTED, 1)
        assert (refused.left, refused.licences) == (Left(0, 4, ANEW, ()), ())
    # By name of a record its own licences decide: of those of the first line one is left.
    assert isinstance(sharing.ask({1: 1}, may_be_empty=False), Charged)
    alike = [sharing.ask(each, may_be_empty=False) for each in ({3: 1}, {})]
    assert alike == [NotCharged(EXHAUSTED, 1)] * 2
    assert len({each.left for each in alike if isinstance(each, NotCharged)}) == 1


def test_a_record_by_name_is_given_while_its_own_licences_have_quota_and_else_tells_nothing(
    sharing: Sharing,
) -> None:
    missing = sharing.ask({}, may_be_empty=False)
    assert missing == NotCharged(NOT_DISCLOSED)
    assert isinstance(sharing.ask({3: 4}), Charged)
    assert isinstance(sharing.ask({1: 1}, may_be_empty=False), Charged)
    there, missing = (sharing.ask(each, may_be_empty=False) for each in ({3: 1}, {}))
    assert isinstance(there, NotCharged)
    assert isinstance(missing, NotCharged)
    assert there.reason == EXHAUSTED
    assert (there.reason, there.retry_after, there.left, there.licences) == (
        missing.reason,
        missing.retry_after,
        missing.left,
        missing.licences,
    )


def test_what_is_left_is_what_all_licences_that_open_a_record_have_left_together(
    sharing: Sharing,
) -> None:
    outcome = sharing.ask({1: 6})
    assert isinstance(outcome, Charged)
    # Of L-1 none, and of L-2 eight: as many more are served.
    assert outcome.left == Left(8, 14, ANEW, ())
    outcome = sharing.ask({2: 1})
    assert isinstance(outcome, Charged)
    assert outcome.left == Left(11, 13, ANEW, ())
    # Of two kinds that for which there is less, and of none found those that were asked for.
    outcome = sharing.ask({2: 1, 3: 1})
    assert isinstance(outcome, Charged)
    assert outcome.left == Left(3, 4, ANEW, ())
    outcome = sharing.ask({})
    assert isinstance(outcome, Charged)
    assert outcome.left == Left(3, 4, ANEW, ())
    # So many more of the first kind are served, and not one besides.
    outcome = sharing.ask({1: 6})
    assert isinstance(outcome, Charged)
    assert outcome.left == Left(0, 14, ANEW, ())
    refused = sharing.ask({1: 1})
    assert isinstance(refused, NotCharged)
    assert refused.left == Left(0, 14, ANEW, ())


def test_a_credit_gives_back_to_the_licences_that_bore_what_was_not_received(
    sharing: Sharing,
) -> None:
    key = DeliveryKey("alpha", "delivery")
    clock = StandingClock()
    turn = Deliveries(sharing.engine).take_up(key, b"payload", NOW).turn
    delivering = {"request_id": "delivery", "delivery": Delivering(turn, START)}
    assert isinstance(sharing.ask({1: 6, 2: 1}, **delivering), Charged)
    assert sharing.used() == {"L-1": 5, "L-2": 2}
    DeliverySettler(sharing.engine, clock, DecisionIds(), grace_seconds=-1, per_day=3).settle(key)
    # The last three: two of the first line, and the only one of the second.
    assert sharing.used() == {"L-1": 4, "L-2": 0}
    credit = sharing.last()
    assert borne(credit) == {"L-1": 1, "L-2": 2}
