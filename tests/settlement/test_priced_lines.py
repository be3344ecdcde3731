"""What is left of records that were proven to be overcharged, beyond what was credited."""

from collections import Counter
from random import Random

import pytest

from gateway.settlement.priced_lines import PricedLines, right_left, within, without
from tests.examples import seeds


def _fee(records: PricedLines) -> int:
    return sum(price * count for (_, price), count in records.items())


def test_others_of_the_line_that_are_credited_are_the_dearest() -> None:
    promised = Counter({(1, 4): 1, (1, 5): 2, (2, 9): 1})
    assert without(promised, Counter({(1, 10): 2})) == Counter({(1, 4): 1, (2, 9): 1})
    assert without(promised, Counter({(1, 4): 2})) == Counter({(1, 5): 1, (2, 9): 1})


def test_records_are_those_there_are_of_the_line() -> None:
    promised = Counter({(1, 4): 2, (1, 5): 2, (2, 9): 1})
    assert within(promised, Counter({(1, 10): 3})) == Counter({(1, 4): 2, (1, 5): 1})


@pytest.mark.parametrize("seed", seeds(200, always=40))
def test_of_what_is_left_no_more_counts_than_is_charged(seed: int) -> None:
    random = Random(seed)

    def lines() -> PricedLines:
        some = Counter((random.randint(1, 3), random.randint(0, 3)) for _ in range(9))
        return Counter({key: random.randint(1, count) for key, count in some.items()})

    right, charged = lines(), lines()
    credited = Counter(
        {key: gone for key, count in charged.items() if (gone := random.randint(0, count))}
    )
    left, left_charged = right_left(right, charged, credited), charged - credited
    assert _fee(left) <= _fee(left_charged)
    assert left.total() <= left_charged.total()
    assert left == left_charged or left <= right
    assert not right_left(right, charged, charged)
    assert right_left(charged, charged, credited) == left_charged
    unreversed = right_left(right, charged, Counter())
    assert unreversed == charged or unreversed.total() == min(right.total(), charged.total())
    assert not right_left(Counter(), charged, credited)
