"""What sources contribute is their Shapley value: exact for few, within its bound for many."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations
from math import factorial
from random import Random

import pytest

from gateway.settle.shapley import EXACT_SOURCES, ORDERS, bound_per_million, shapley
from gateway.settle.shares import WHOLE

_UNIT = ORDERS * WHOLE
_PINNED = {
    "s0": 3903180000,
    "s1": 384805000,
    "s2": 390045000,
    "s3": 386025000,
    "s4": 904135000,
    "s5": 885030000,
    "s6": 527720000,
    "s7": 511130000,
    "s8": 516985000,
    "s9": 4090145000,
}
_Suppliers = Mapping[str, frozenset[str]]


def _worth(
    worths: Mapping[str, int], sources_of: _Suppliers, completeness: int, there: frozenset[str]
) -> Fraction:
    """Return what an answer is worth with the sources that are there."""
    given = [item for item in worths if sources_of[item] & there]
    part = Fraction(sum(worths[item] for item in given) * (WHOLE - completeness), WHOLE)
    whole = Fraction(sum(worths.values()) * completeness, WHOLE)
    return part + (whole if len(given) == len(worths) else 0)


def _defined(
    worths: Mapping[str, int], sources_of: _Suppliers, completeness: int
) -> dict[str, Fraction]:
    """Return the values as Shapley defines them: over all coalitions."""
    sources = sorted(frozenset[str]().union(*sources_of.values()))
    count = len(sources)
    worth_of = {
        frozenset(some): _worth(worths, sources_of, completeness, frozenset(some))
        for size in range(count + 1)
        for some in combinations(sources, size)
    }
    return {
        source: sum(
            (
                Fraction(factorial(len(some)) * factorial(count - len(some) - 1), factorial(count))
                * (worth_of[some | {source}] - worth_of[some])
                for some in worth_of
                if source not in some
            ),
            Fraction(0),
        )
        for source in sources
    }


def _game(random: Random, sources: int) -> tuple[dict[str, int], dict[str, frozenset[str]]]:
    names = [f"s{number}" for number in range(sources)]
    items = [f"i{number}" for number in range(random.randrange(1, 5))]
    given = {item: set(random.sample(names, random.randrange(1, sources + 1))) for item in items}
    given[items[0]] |= {name for name in names if not any(name in some for some in given.values())}
    return (
        {item: random.choice((0, 1, 50_000, 10**12)) for item in items},
        {item: frozenset(some) for item, some in given.items()},
    )


@pytest.mark.parametrize("completeness", [0, 2_500, WHOLE])
def test_values_of_few_sources_are_exactly_those_of_the_definition(completeness: int) -> None:
    random = Random(1)
    for sources in (1, 2, 3, 4, 5, 6, EXACT_SOURCES):
        for _ in range(12 if sources < EXACT_SOURCES else 2):
            worths, given = _game(random, sources)
            values = shapley(worths, given, completeness, b"unused")
            assert {source: Fraction(value, _UNIT) for source, value in values.items()} == _defined(
                worths, given, completeness
            )


def test_values_of_many_sources_are_within_their_bound_and_sum_exactly() -> None:
    random = Random(2)
    for _ in range(3):
        worths, given = _game(random, EXACT_SOURCES + 2)
        worths = {item: worth + 1 for item, worth in worths.items()}
        values = shapley(worths, given, 2_500, b"a seed")
        whole = sum(worths.values())
        assert sum(values.values()) == whole * _UNIT
        defined = _defined(worths, given, 2_500)
        bound = Fraction(whole * bound_per_million(len(values)), 1_000_000)
        assert all(
            abs(Fraction(values[source], _UNIT) - defined[source]) <= bound for source in values
        )


def test_drawing_again_from_the_same_seed_gives_the_same_values_for_ever() -> None:
    worths = {"a": 7, "b": 11, "c": 13}
    given = {
        "a": frozenset(f"s{number}" for number in range(6)),
        "b": frozenset(f"s{number}" for number in range(4, 10)),
        "c": frozenset({"s9", "s0"}),
    }
    values = shapley(worths, given, 5_000, b"creditgate/contribution/v1\nr1\n0\n")
    # Settled months are reckoned again from this: what changes it rewrites the past.
    assert values == _PINNED
    assert shapley(worths, given, 5_000, b"another seed") != values


def test_the_bound_is_that_of_hoeffding_and_grows_with_the_sources() -> None:
    # ((ln(2 x 30) - ln 0.001) / (2 x 40,320)) ** 0.5 = 0.01168...
    assert bound_per_million(30) == 11_681
    assert bound_per_million(EXACT_SOURCES) == 0
    assert bound_per_million(9) < bound_per_million(300) < 14_000


def test_sources_that_give_the_same_share_it_and_one_that_is_needed_keeps_it() -> None:
    given = {"shared": frozenset({"a", "b"}), "own": frozenset({"c"})}
    values = shapley({"shared": 100, "own": 60}, given, 0, b"")
    assert values == {"a": 50 * _UNIT, "b": 50 * _UNIT, "c": 60 * _UNIT}
    # Completeness needs c whatever comes, and one of a and b: c is worth more.
    values = shapley({"shared": 100, "own": 60}, given, WHOLE, b"")
    assert values["c"] * 3 == 160 * _UNIT * 2
    assert values["a"] == values["b"]
