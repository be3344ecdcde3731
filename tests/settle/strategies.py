"""What property tests of settlement draw."""

from hypothesis import strategies as st

from creditgate.rating.prices import PRICE_PLAN, PricePlan
from gateway.settle.shares import SHARING_RULE, WHOLE, SharingBook, SharingRule
from operators.log import Change

FEES = st.integers(0, 10**15)
_INSTANTS = st.integers(0, 40)
_CODES = st.sampled_from(["a", "b", "c"])


@st.composite
def rules(draw: st.DrawFn, start: st.SearchStrategy[int] = _INSTANTS) -> SharingRule:
    """Draw a sharing rule of any parts."""
    first, second = sorted((draw(st.integers(0, WHOLE)), draw(st.integers(0, WHOLE))))
    return SharingRule(
        rule_id=draw(st.sampled_from(["r1", "r2", "r3", "r4"])),
        effective_from=draw(start),
        source_basis_points=first,
        region_basis_points=second - first,
        platform_basis_points=WHOLE - second,
    )


@st.composite
def sharing_books(draw: st.DrawFn) -> SharingBook:
    """Draw a book whose first rule stands from the start, so that all use has a rule."""
    first = draw(rules(start=st.just(0)))
    others = draw(st.lists(rules(), max_size=3))
    return SharingBook.empty().advanced(
        [rule_change(index + 1, rule) for index, rule in enumerate([*others, first])]
    )


@st.composite
def plans(draw: st.DrawFn) -> PricePlan:
    """Draw a price plan."""
    return PricePlan(
        plan_id=draw(st.sampled_from(["p1", "p2", "p3", "p4", "p5"])),
        effective_from=draw(_INSTANTS),
        prices=draw(st.dictionaries(_CODES, st.integers(0, 10**12), min_size=1)),
    )


def rule_change(sequence: int, rule: SharingRule) -> Change:
    """Return the log entry of a rule."""
    return Change(
        sequence, SHARING_RULE, rule.id, 1, rule.model_dump(mode="json"), "admin", 0, "test"
    )


def plan_change(sequence: int, plan: PricePlan) -> Change:
    """Return the log entry of a plan."""
    return Change(
        sequence, PRICE_PLAN, plan.id, 1, plan.model_dump(mode="json"), "admin", 0, "test"
    )
