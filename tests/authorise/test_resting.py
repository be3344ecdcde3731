"""Resting: which licences may bear what of a passage, line by line and whatever is found."""

from typing import Any

import pytest

from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authorise.gate import Gate, Passage
from operators.decision import Ask
from tests.authorise.world import RESTRICTED, Entry, item, licensed, lines_of, view_of
from tests.operators.things import CREDIT, READ, licence

LINES = lines_of(("penalty", "110101"), ("penalty", "310101"), ("rating", "110101"))
ASK = Ask("alpha-one", READ, frozenset({READ}), frozenset(), CREDIT)


def passage(*licences: Entry, items: frozenset[str] = frozenset()) -> Passage:
    """Return what alpha's client may take by licences, the first of which is for Beijing alone."""
    things = licensed(item("penalty"), item("rating"), item("secret", RESTRICTED), regions={"11"})
    return Gate().passage(view_of(*things, *licences), LINES, ASK._replace(items=items), 5)


def test_of_one_licence_nothing_is_kept_by_line() -> None:
    assert passage().resting is None
    other = licence(number="L-2", items={"rating"})
    assert passage(other, items=frozenset({"penalty"})).resting is None


def test_each_line_may_rest_on_the_licences_that_open_its_item_where_it_is() -> None:
    taken = passage(
        licence(number="L-3", items={"penalty"}),
        licence(number="L-2", items={"rating"}, regions={"1101"}, daily_record_quota=7),
    )
    assert taken.resting is not None
    assert list(taken.resting.quotas.items()) == [("L-2", 7), ("L-1", 100), ("L-3", 100)]
    assert taken.resting.of_line == {1: ("L-1", "L-3"), 2: ("L-3",), 3: ("L-2", "L-1")}
    assert taken.prices.keys() == {1, 2, 3}


def test_of_an_item_one_licence_of_each_place_is_needed() -> None:
    taken = passage(
        licence(number="L-2", items={"penalty", "secret"}),
        licence(number="L-3", items={"penalty"}, regions={"110101"}),
    )
    assert taken.resting is not None
    assert taken.resting.needed == {
        "penalty": {
            frozenset({"L-2"}),
            frozenset({"L-1", "L-2"}),
            frozenset({"L-1", "L-2", "L-3"}),
        },
        "rating": {frozenset({"L-1"})},
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"items": {"penalty"}}, {"items": {"penalty", "rating"}}),
        ({"regions": {"1101"}}, {"regions": {"11"}}),
        ({"regions": {"11", "1101"}}, {"regions": {"11", "31"}}),
        ({"regions": {"11", "31"}}, {"regions": {"*"}}),
        ({"purposes": {CREDIT}}, {"purposes": {CREDIT, Purpose.PURPOSE_BIDDING}}),
        ({"daily_record_quota": 9}, {"daily_record_quota": 8}),
        ({"number": "L-8"}, {"number": "L-9"}),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("items", [set[str](), {"penalty"}])
def test_the_licence_that_opens_least_is_charged_first_whatever_is_asked_for(
    first: dict[str, Any], second: dict[str, Any], turned: bool, items: set[str]
) -> None:
    numbers = ("L-7", "L-6") if turned else ("L-6", "L-7")
    usual = {"items": {"penalty"}, "regions": {"11"}, "daily_record_quota": 5}
    held = [
        licence(**{**usual, "number": number, **fields})
        for number, fields in zip(numbers, (first, second), strict=True)
    ]
    taken = passage(*held, items=frozenset(items))
    assert taken.resting is not None
    in_order = [number for number in taken.resting.quotas if number != "L-1"]
    assert in_order == [each.number for each in held]
    for bearers in taken.resting.of_line.values():
        assert [each for each in taken.resting.quotas if each in bearers] == list(bearers)
