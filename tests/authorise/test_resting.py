"""Resting: which licences may bear what of a passage, line by line and whatever is found."""

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
    assert list(taken.resting.quotas.items()) == [("L-1", 100), ("L-2", 7), ("L-3", 100)]
    assert taken.resting.of_line == {1: ("L-1", "L-3"), 2: ("L-3",), 3: ("L-1", "L-2")}
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
