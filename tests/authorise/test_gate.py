"""The gate opens what licence, openness, region, price and consent allow, and no more (G3)."""

import pytest

from creditgate.rating.components import PER_RECORD, PER_SUBJECT
from creditgate.rating.prices import PricePlan
from creditgate.refusal import Refused, reason_name
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authorise.gate import Gate, Passage
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CATALOGUE_ITEM
from gateway.disclose.model import Line
from gateway.settle.classes import class_start
from operators.decision import Ask
from operators.log import Change, Draft
from tests.authorise.world import (
    CONSENT,
    RESTRICTED,
    after,
    item,
    licensed,
    lines_of,
    plan,
    view_of,
)
from tests.operators.things import CREDIT, READ, client, grant, licence, operator

LINES = lines_of(("penalty", "110101"), ("penalty", "310101"), ("rating", "110101"))
NOW = 10


def ask(*items: str) -> Ask:
    """Return an ask of alpha's client."""
    return Ask("alpha-one", READ, frozenset({READ}), frozenset(items), CREDIT)


def opened(
    view: AuthorityView, *items: str, lines: dict[int, Line] = LINES, now: int = NOW
) -> Passage:
    """Return what a fresh gate lets pass."""
    return Gate().passage(view, lines, ask(*items), now)


def reason(view: AuthorityView, *items: str) -> str:
    """Return why a fresh gate lets nothing pass."""
    with pytest.raises(Refused) as refused:
        opened(view, *items)
    return reason_name(refused.value.reason)


def test_every_line_of_an_allowed_public_item_passes_at_its_price() -> None:
    view = view_of(*licensed(item("penalty"), item("rating")))
    assert opened(view).prices == {1: 1_000, 2: 1_000, 3: 1_000}
    assert opened(view, "rating").prices == {3: 1_000}


def test_a_class_that_is_to_come_is_not_yet_what_is_charged() -> None:
    dear = item("penalty", price_class="dear")
    change = Draft(CATALOGUE_ITEM, "penalty", 0, dear.as_document())
    start = class_start(change, NOW + 2)
    before = view_of(*licensed(item("penalty")), plan("P-2", basic=1_000, dear=9_000))
    view = after(
        before.advanced(
            [Change(before.sequence + 1, start.kind, start.id, 1, start.document, "", NOW, "")]
        ),
        dear,
    )
    gate = Gate()
    charged = [
        set(gate.passage(view, LINES, ask(), now).prices.values()) for now in range(NOW, NOW + 4)
    ]
    assert charged == [{1_000}, {1_000}, {9_000}, {9_000}]


def test_lines_of_items_outside_the_licence_do_not_pass() -> None:
    view = view_of(*licensed(item("penalty")), item("rating"))
    assert opened(view).prices.keys() == {1, 2}


def test_a_refused_ask_is_refused_with_the_reason_of_the_rules() -> None:
    suspended = operator(state=OperatorState.OPERATOR_STATE_SUSPENDED)
    assert reason(view_of(*licensed(item("penalty")), suspended)) == "OPERATOR_SUSPENDED"
    assert reason(view_of(*licensed(item("penalty"))), "rating") == "ITEM_NOT_ALLOWED"
    other = licensed(item("penalty"), purposes={Purpose.PURPOSE_BIDDING})
    assert reason(view_of(*other)) == "PURPOSE_NOT_ALLOWED"


def test_a_line_passes_only_where_its_own_item_is_allowed() -> None:
    """Two grants, one item here and another there, open neither item in both places."""
    view = view_of(
        operator(),
        licence(items={"penalty", "rating"}),
        client(),
        grant(grant_id="G-1", items={"penalty"}, regions={"11"}),
        grant(grant_id="G-2", items={"rating"}, regions={"3101"}),
        plan(),
        item("penalty"),
        item("rating"),
    )
    places = [(code, region) for code in ("penalty", "rating") for region in DISTRICTS]
    passage = opened(view, lines=lines_of(*places))
    assert [places[no - 1] for no in passage.prices] == [
        ("penalty", "110101"),
        ("penalty", "119900"),
        ("rating", "310101"),
    ]


DISTRICTS = ("110101", "119900", "310101", "319900", "440101")


def test_a_restricted_item_asked_for_by_name_is_refused() -> None:
    view = view_of(*licensed(item("penalty"), item("rating", RESTRICTED)))
    assert reason(view, "rating") == "ITEM_RESTRICTED"
    assert reason(view, "penalty", "rating") == "ITEM_RESTRICTED"


def test_a_restricted_item_not_asked_for_by_name_is_left_out() -> None:
    view = view_of(*licensed(item("penalty"), item("rating", RESTRICTED)))
    assert opened(view).prices.keys() == {1, 2}
    assert opened(view, "penalty").prices.keys() == {1, 2}


def test_an_item_that_is_not_in_the_catalogue_does_not_pass() -> None:
    view = view_of(operator(), licence(items={"penalty", "rating"}), client(), grant(), plan())
    assert opened(after(view, item("penalty"))).prices.keys() == {1, 2}
    assert opened(view, "rating").prices == {}


def test_a_line_without_a_price_passes_as_unpriced() -> None:
    things = licensed(item("penalty"), item("rating", price_class="extra"))
    assert opened(view_of(*things)).prices == {1: 1_000, 2: 1_000, 3: None}
    later = view_of(*things, plan("P-1", effective_from=NOW + 1))
    assert opened(later).prices == {1: None, 2: None, 3: None}


def test_price_goes_by_item_purpose_and_operator_class() -> None:
    components = [
        {
            "component_id": "banks",
            "kind": PER_RECORD,
            "unit_price": 7,
            "operator_classes": ["bank"],
        },
        {"component_id": "items", "kind": PER_RECORD, "unit_price": 8, "items": ["rating"]},
        {"component_id": "subjects", "kind": PER_SUBJECT, "unit_price": 9, "purposes": [7]},
    ]
    priced = PricePlan.model_validate(
        {"plan_id": "P-2", "effective_from": 1, "prices": {"basic": 5}, "components": components}
    )
    view = view_of(*licensed(item("penalty"), item("rating")), priced)
    assert opened(view).prices == {1: 5, 2: 5, 3: 8}
    view = after(view, operator(operator_class="bank"))
    assert opened(view).prices == {1: 7, 2: 7, 3: 7}
    research = licence(items={"penalty", "rating"}, purposes={Purpose.PURPOSE_RESEARCH})
    view = after(view, operator(), research)
    passage = Gate().passage(view, LINES, ask()._replace(purpose=Purpose.PURPOSE_RESEARCH), NOW)
    # What is priced by subject is served, and charged to no record.
    assert passage.prices == {1: 0, 2: 0, 3: 8}
    assert passage.priced


def test_component_prices_an_item_whose_class_has_no_price() -> None:
    things = licensed(item("penalty"), item("rating", price_class="extra"))
    component = {"component_id": "c", "kind": PER_RECORD, "unit_price": 3, "items": ["rating"]}
    priced = PricePlan.model_validate(
        {"plan_id": "P-2", "effective_from": 1, "prices": {"basic": 5}, "components": [component]}
    )
    assert opened(view_of(*things, priced)).prices == {1: 5, 2: 5, 3: 3}
    assert opened(view_of(*things, priced)).priced
    assert not opened(view_of(*things)).priced


def test_items_that_need_consent_are_told_apart() -> None:
    view = view_of(*licensed(item("penalty"), item("rating", CONSENT)))
    passage = opened(view)
    assert (passage.consent_items, passage.consent_lines) == ({"rating"}, {3})
    assert passage.prices.keys() == {1, 2, 3}
    assert not opened(view, "penalty").consent_items
