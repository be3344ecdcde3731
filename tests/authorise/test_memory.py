"""What the gate remembers is what it would decide anew."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creditgate.rating.components import PER_RECORD
from creditgate.rating.prices import PricePlan
from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.authorise.gate import Gate
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CatalogueItem
from gateway.disclose.model import Line
from operators.decision import Ask
from operators.model import Licence, Operator, ScopeGrant
from tests.authorise.world import (
    CONSENT,
    PUBLIC,
    RESTRICTED,
    Entry,
    after,
    item,
    licensed,
    lines_of,
    plan,
    view_of,
)
from tests.examples import examples
from tests.operators.naive import DISTRICTS, World
from tests.operators.strategies import asks, grants, licences, operators, worlds
from tests.operators.things import CREDIT, READ, grant, operator

LINES = lines_of(("penalty", "110101"), ("rating", "310101"))
ASK = Ask("alpha-one", READ, frozenset({READ}), frozenset(), CREDIT)
VIEW = view_of(*licensed(item("penalty"), item("rating"), valid_until=500))


@pytest.fixture
def gate() -> Gate:
    """A gate that remembers nothing yet."""
    return Gate()


def test_the_same_ask_passes_by_memory(gate: Gate) -> None:
    passage = gate.passage(VIEW, LINES, ASK, 10)
    assert gate.passage(VIEW, LINES, ASK, 499) is passage


def test_a_change_of_authority_acts_on_what_is_remembered(gate: Gate) -> None:
    gate.passage(VIEW, LINES, ASK, 10)
    suspended = after(VIEW, operator(state=OperatorState.OPERATOR_STATE_SUSPENDED))
    with pytest.raises(Refused) as refused:
        gate.passage(suspended, LINES, ASK, 10)
    assert reason_name(refused.value.reason) == "OPERATOR_SUSPENDED"
    narrowed = after(VIEW, grant(items={"rating"}))
    assert gate.passage(narrowed, LINES, ASK, 10).prices.keys() == {2}
    closed = after(VIEW, item("rating", RESTRICTED))
    assert gate.passage(closed, LINES, ASK, 10).prices.keys() == {1}


def test_a_new_revenue_line_passes_though_the_ask_is_remembered(gate: Gate) -> None:
    gate.passage(VIEW, LINES, ASK, 10)
    more = {**LINES, 3: Line("penalty", "Invented Bureau", "440101")}
    assert gate.passage(VIEW, more, ASK, 10).prices.keys() == {1, 2, 3}


def test_a_licence_ends_though_the_ask_is_remembered(gate: Gate) -> None:
    gate.passage(VIEW, LINES, ASK, 10)
    with pytest.raises(Refused) as refused:
        gate.passage(VIEW, LINES, ASK, 500)
    assert reason_name(refused.value.reason) == "NO_LICENCE"


def test_a_clock_set_back_opens_nothing_early(gate: Gate) -> None:
    view = after(VIEW, grant(valid_from=100))
    gate.passage(view, LINES, ASK, 100)
    with pytest.raises(Refused) as refused:
        gate.passage(view, LINES, ASK, 99)
    assert reason_name(refused.value.reason) == "SCOPE_NOT_GRANTED"


def test_a_price_takes_effect_though_the_ask_is_remembered(gate: Gate) -> None:
    view = after(VIEW, plan("P-2", effective_from=50, basic=2_000))
    prices = [gate.passage(view, LINES, ASK, now).prices[1] for now in (10, 49, 50, 51, 49)]
    assert prices == [1_000, 1_000, 2_000, 2_000, 1_000]


def test_a_new_class_of_the_operator_takes_effect_though_the_ask_is_remembered(gate: Gate) -> None:
    component = {"component_id": "c", "kind": PER_RECORD, "unit_price": 3}
    document = {"plan_id": "P-2", "effective_from": 1, "prices": {"basic": 5}}
    by_class = {**document, "components": [{**component, "operator_classes": ["bank"]}]}
    view = after(VIEW, PricePlan.model_validate(by_class))
    assert gate.passage(view, LINES, ASK, 10).prices[1] == 5
    view = after(view, operator(operator_class="bank"))
    assert gate.passage(view, LINES, ASK, 10).prices[1] == 3


def test_memory_is_bounded(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.authorise.gate._MOST_REMEMBERED", 2)
    scopes = [frozenset({READ, f"usage:{letter}"}) for letter in "abc"]
    asked = [Ask("alpha-one", READ, each, frozenset(), CREDIT) for each in scopes]
    passages = [gate.passage(VIEW, LINES, each, 10) for each in asked]
    assert gate.passage(VIEW, LINES, asked[2], 10) is passages[2]
    assert gate.passage(VIEW, LINES, asked[0], 10) is not passages[0]


# Any sequence of asks, in any order of time, while authority, prices and lines change.

ITEMS = ("penalty", "rating", "licence")
CATALOGUES = st.tuples(
    *[
        st.builds(
            item,
            st.just(code),
            st.sampled_from([PUBLIC, PUBLIC, CONSENT, RESTRICTED]),
            st.sampled_from(["basic", "extra"]),
        )
        for code in ITEMS
    ]
)
PLANS = st.builds(
    plan,
    st.sampled_from(["P-1", "P-2"]),
    st.integers(0, 12),
    basic=st.integers(0, 5),
    extra=st.integers(0, 5),
)
CHANGES = st.one_of(
    PLANS,
    CATALOGUES.map(lambda items: items[0]),
    operators("alpha"),
    licences("1"),
    grants("1"),
)
SOME_LINES = [
    lines_of(*[(code, district) for code in ITEMS for district in districts])
    for districts in (DISTRICTS[:1], DISTRICTS)
]
# Which of two asks, when, and over which lines; or a change.
Step = tuple[int, int, int] | CatalogueItem | PricePlan | Operator | Licence | ScopeGrant
STEPS = st.lists(
    st.one_of(
        *[st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(0, 1))] * 3,
        CHANGES,
    ),
    min_size=2,
    max_size=10,
)


def passed(gate: Gate, view: AuthorityView, ask: Ask, now: int, lines: int) -> object:
    """Return all that a passage says, or the reason of the refusal."""
    try:
        passage = gate.passage(view, SOME_LINES[lines], ask, now)
    except Refused as refused:
        return refused.reason
    return passage.allow, passage.prices, passage.consent_items, passage.items_named


@settings(max_examples=examples(200))
@given(worlds(), CATALOGUES, PLANS, st.tuples(asks(), asks()), STEPS)
def test_a_remembered_passage_is_a_fresh_one(
    world: World,
    items: tuple[CatalogueItem, ...],
    first: PricePlan,
    asked: tuple[Ask, Ask],
    steps: list[Step],
) -> None:
    gate = Gate()
    entries: list[Entry] = [*world.operators, *world.licences, *world.clients, *world.grants]
    entries += [*items, first]
    view = view_of(*entries)
    for step in steps:
        if not isinstance(step, tuple):
            entries.append(step)
            view = after(view, step)
            continue
        number, now, lines = step
        ask = asked[number]
        fresh = passed(Gate(), view_of(*entries), ask, now, lines)
        assert passed(gate, view, ask, now, lines) == fresh
