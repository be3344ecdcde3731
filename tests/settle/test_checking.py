"""Statements held against the usage log and the plans: honest ones pass, every padding is told."""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from creditgate.rating.basis import basis_of
from creditgate.rating.checking import StatementChecked, check_statement
from creditgate.rating.components import FLAT, PriceComponent
from creditgate.rating.grounds import Grounds
from creditgate.rating.logged import LoggedUse, logged_uses
from creditgate.rating.months import month_bounds
from creditgate.rating.plans import plan_bytes, plan_message, plan_of
from creditgate.rating.prices import PriceBook, PricePlan
from creditgate.rating.rating import rate
from creditgate.rating.terms import cuts
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.usage_log_pb2 import UsageKind, UsageLeaf, UsageLine
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.settle.classes import ClassBook
from gateway.settle.shares import SharingBook
from gateway.settle.sharing import share_bill
from gateway.settlement.statement import complete, rated_statement
from tests.examples import seeds
from tests.settle import drawn
from tests.settle.drawn import Books
from tests.settle.month import PlainMonth, Served

JANUARY = "1970-01"
_RUNS = 400


def leaf(place: int, facts: Sequence[Served]) -> UsageLeaf:
    """Return the leaf of one answer of facts."""
    return UsageLeaf(
        kind=UsageKind.USAGE_KIND_ANSWER,
        operator_id="alpha",
        usage_index=place,
        purpose=Purpose.ValueType(facts[0].purpose),
        serve_seconds=facts[0].at,
        lines=[
            UsageLine(
                item=each.item,
                source=each.source,
                region=each.region,
                entries=1,
                unit_price_micro_yuan=each.unit_price,
            )
            for each in facts
        ],
    )


def uses_of(facts: Sequence[Served]) -> list[LoggedUse]:
    """Return facts as their leaves tell them."""
    answers = sorted({fact.answer for fact in facts})
    leaves = [
        leaf(place, [fact for fact in facts if fact.answer == answer])
        for place, answer in enumerate(answers)
    ]
    return logged_uses((each, each.lines) for each in leaves)


def statement_of(known: Books, facts: Sequence[Served], size: int) -> pb.Statement:
    """Return the closed statement of a month of facts, as the gateway makes it."""
    from_, until = month_bounds(JANUARY)
    starts = cuts("alpha", from_, until, known.prices, known.sharing.rules, known.classes)
    use = PlainMonth(facts, starts, until, known.classes.price_class)
    bill = rate(use, known.prices, known.classes)
    statement = rated_statement(JANUARY, share_bill(bill, use, known.sharing), use)
    statement.usage_size = size
    statement.close_time.seconds = until
    statement.basis.CopyFrom(basis_of(bill, use, known.prices, known.sharing.rules, known.classes))
    note = pb.CreditNote(
        credit_note_id="note",
        operator_id="alpha",
        month=JANUARY,
        amount_micro_yuan=5,
        uses=[pb.CreditedUse(amount_micro_yuan=5)],
        shares=[pb.RevenueShare(beneficiary="platform", amount_micro_yuan=5)],
    )
    complete(statement, [], [note])
    return statement


def plans_of(known: Books) -> list[bytes]:
    """Return all plans, serialised."""
    return [plan_bytes(plan) for plan in known.prices.plans.things]


class Case:
    """A random month, its honest statement and what it is held against."""

    def __init__(self, random: Random) -> None:
        self.known = drawn.books(random)
        facts = drawn.facts(random, self.known)
        self.uses = uses_of(facts)
        self.statement = statement_of(self.known, facts, len(self.uses))

    def checked(self, statement: pb.Statement) -> StatementChecked:
        """Check a statement, this month's own as it was signed before beside it."""
        grounds = Grounds(self.uses, plans_of(self.known), [self.open()])
        return check_statement(statement, grounds)

    def open(self) -> pb.Statement:
        """Return the statement as it was told while the month was open."""
        told = copy(self.statement)
        told.ClearField("close_time")
        return told


def copy(statement: pb.Statement) -> pb.Statement:
    """Return another of the same."""
    other = pb.Statement()
    other.CopyFrom(statement)
    return other


@pytest.mark.parametrize("seed", seeds(2))
def test_honest_statements_pass_for_any_plans_use_and_classes(seed: int) -> None:
    random = Random(seed)
    for _ in range(_RUNS):
        case = Case(random)
        assert case.checked(case.statement)._replace(unchecked=()) == StatementChecked(
            "alpha", JANUARY, True, case.statement.due_micro_yuan, 0, (), ()
        )


def _line(random: Random, padded: pb.Statement) -> None:
    line = random.choice(padded.lines)
    line.fee_micro_yuan += 7
    line.shares.add(beneficiary="platform", amount_micro_yuan=7)


def _records(random: Random, padded: pb.Statement) -> None:
    random.choice(padded.lines).entries += 1


def _total(_: Random, padded: pb.Statement) -> None:
    padded.total_micro_yuan += 7


def _due(_: Random, padded: pb.Statement) -> None:
    padded.due_micro_yuan += 7
    padded.due_shares.add(beneficiary="platform", amount_micro_yuan=7)


def _invented_line(_: Random, padded: pb.Statement) -> None:
    shares = [pb.RevenueShare(beneficiary="platform", amount_micro_yuan=7)]
    padded.lines.add(item="other", fee_micro_yuan=7, shares=shares)
    padded.shares.extend(shares)
    padded.due_shares.extend(shares)
    padded.total_micro_yuan += 7
    padded.due_micro_yuan += 7


def _empty_line(_: Random, padded: pb.Statement) -> None:
    padded.lines.add(item="other")


def _invented_charge(_: Random, padded: pb.Statement) -> None:
    padded.charges.add(plan_id="p0", component_id="flat", kind="FLAT", fee_micro_yuan=7)


def _dropped_charge(_: Random, padded: pb.Statement) -> None:
    del padded.charges[-1]


def _shifted_period(random: Random, padded: pb.Statement) -> None:
    random.choice(padded.charges).period.end_time.seconds += 1


def _charge(random: Random, padded: pb.Statement) -> None:
    random.choice(padded.charges).fee_micro_yuan += 7


def _detail(random: Random, padded: pb.Statement) -> None:
    random.choice(padded.details).fee_micro_yuan += 7


def _dropped_credit(_: Random, padded: pb.Statement) -> None:
    padded.due_micro_yuan += padded.credit_notes[0].amount_micro_yuan
    padded.due_shares.add(beneficiary="platform", amount_micro_yuan=5)
    del padded.credit_notes[:]


def _lowered_credit(_: Random, padded: pb.Statement) -> None:
    padded.credit_notes[0].amount_micro_yuan -= 1
    padded.credit_notes[0].uses[0].amount_micro_yuan -= 1
    padded.due_micro_yuan += 1
    padded.due_shares.add(beneficiary="platform", amount_micro_yuan=1)


def _adjustment(_: Random, padded: pb.Statement) -> None:
    """Add use of a month before there was any."""
    added = padded.adjustments.add(month="1969-12", after_micro_yuan=7, amount_micro_yuan=7)
    added.basis.CopyFrom(padded.basis)
    added.basis.ClearField("subjects")
    added.lines.add(item="penalty", entries=100_000, fee_micro_yuan=7)
    added.shares.add(beneficiary="platform", amount_micro_yuan=7)
    padded.due_micro_yuan += 7
    padded.due_shares.add(beneficiary="platform", amount_micro_yuan=7)


def _subjects(random: Random, padded: pb.Statement) -> None:
    random.choice(padded.basis.subjects).subjects += 1_000


PADDINGS: tuple[tuple[Callable[[Random, pb.Statement], None], int], ...] = (
    (_line, 0),
    (_records, 0),
    (_total, 0),
    (_due, 7),
    (_invented_line, 7),
    (_empty_line, 0),
    (_invented_charge, 0),
    (_dropped_charge, 0),
    (_shifted_period, 0),
    (_charge, 0),
    (_detail, 0),
    (_dropped_credit, 5),
    (_lowered_credit, 1),
    (_adjustment, 7),
    (_subjects, 0),
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Random months, to be padded."""
    random = Random(11)
    return [Case(random) for _ in range(60)]


@pytest.mark.parametrize(
    ("pad", "overcharge"), PADDINGS, ids=[each.__name__ for each, _ in PADDINGS]
)
def test_each_single_padding_is_convicted(
    cases: list[Case], pad: Callable[[Random, pb.Statement], None], overcharge: int
) -> None:
    random = Random(11)
    told = 0
    for case in cases:
        padded = copy(case.statement)
        try:
            pad(random, padded)
        except IndexError:
            # There is none of what it pads.
            continue
        checked = case.checked(padded)
        assert checked.faults
        assert checked.overcharge == overcharge
        assert all(str(fault) for fault in checked.faults)
        told += 1
    assert told > 10


def test_credits_count_in_the_month_of_their_answer_and_never_twice() -> None:
    fact = Served(5, 1, "x", "penalty", "mem", "11", 1, 9)
    answer = leaf(0, [fact, fact])
    credit = leaf(1, [fact])
    credit.kind, credit.serve_seconds = UsageKind.USAGE_KIND_REVERSAL, month_bounds(JANUARY)[1] + 5
    assert [each.at for each in logged_uses([(answer, answer.lines), (credit, credit.lines)])] == [
        5,
        5,
    ]
    credit.reversed_index = 1
    with pytest.raises(ProofInvalid, match="of no answer"):
        logged_uses([(answer, answer.lines), (credit, credit.lines)])


def test_a_plan_other_than_the_one_rated_by_is_refused() -> None:
    case = Case(Random(3))
    plans = [
        plan_bytes(plan.model_copy(update={"prices": {"basic": 10**9}}))
        for plan in case.known.prices.plans.things
    ]
    with pytest.raises(ProofInvalid, match="not the one rated by"):
        check_statement(case.statement, Grounds(case.uses, plans, []))


def test_uses_that_are_not_logged_and_statements_without_basis_are_refused() -> None:
    case = Case(Random(4))
    case.statement.usage_size += 1
    with pytest.raises(ProofInvalid, match="not logged"):
        case.checked(case.statement)
    case.statement.usage_size -= 1
    case.statement.ClearField("basis")
    with pytest.raises(ProofInvalid, match="what it was rated by"):
        case.checked(case.statement)


@pytest.mark.parametrize("seed", range(100))
def test_plans_are_read_back_from_their_one_form(seed: int) -> None:
    plan = drawn.plan(Random(seed), 1, seed)
    assert plan_of(plan_bytes(plan)) == plan
    with pytest.raises(ProofInvalid):
        plan_of(plan_bytes(plan) + b"\x00")


def test_a_plan_whose_sets_are_in_another_order_is_refused() -> None:
    items = frozenset({"a", "b"})
    flat = PriceComponent(component_id="flat", kind=FLAT, amount=1, items=items)
    plan = PricePlan(plan_id="p", effective_from=0, prices={"": 1}, components=(flat,))
    message = plan_message(plan)
    message.components[0].items[:] = ["b", "a"]
    with pytest.raises(ProofInvalid, match="one form"):
        plan_of(message.SerializeToString(deterministic=True))


def test_a_basis_has_nothing_that_ended_before_the_month() -> None:
    changes = [
        drawn.item_change(1, "penalty", "basic", 0),
        drawn.item_change(2, "penalty", "extra", 20),
        drawn.item_change(3, "penalty", "basic", 60),
        drawn.item_change(4, "licence", "basic", 0),
        drawn.operator_change(5, "bank", 0),
        drawn.operator_change(6, "public", 30),
    ]
    classes = ClassBook.empty().advanced(changes)
    use = PlainMonth([], (50,), 100, classes.price_class)
    bill = rate(use, PriceBook.empty(), classes)
    basis = basis_of(bill, use, PriceBook.empty(), SharingBook.empty().rules, classes)
    assert [(each.item, each.price_class, each.start_seconds) for each in basis.item_classes] == [
        ("penalty", "extra", 20),
        ("penalty", "basic", 60),
    ]
    assert [(each.operator_class, each.start_seconds) for each in basis.operator_periods] == [
        ("public", 30)
    ]
