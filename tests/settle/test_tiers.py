"""Tiers: each record at its tier's price, or all at the price of the tier reached."""

from hypothesis import given
from hypothesis import strategies as st

from creditgate.rating.bill import Step
from creditgate.rating.tiers import Tiers, graduated, volume


@st.composite
def _tiers(draw: st.DrawFn) -> Tiers:
    starts = sorted({0, *draw(st.lists(st.integers(0, 30), max_size=5))})
    return [(start, draw(st.integers(0, 9))) for start in starts]


def _fee(steps: tuple[Step, ...]) -> int:
    assert all(step.fee == step.quantity * step.unit_price for step in steps)
    return sum(step.fee for step in steps)


@given(_tiers(), st.integers(0, 60))
def test_graduated_prices_every_record_by_the_tier_it_falls_into(
    tiers: Tiers, records: int
) -> None:
    steps = graduated(records, tiers)
    assert sum(step.quantity for step in steps) == records
    assert _fee(steps) == sum(
        next(price for start, price in reversed(tiers) if start <= number)
        for number in range(records)
    )


@given(_tiers(), st.integers(0, 60))
def test_more_records_never_cost_less(tiers: Tiers, records: int) -> None:
    for charge in (graduated, volume):
        assert _fee(charge(records, tiers)) <= _fee(charge(records + 1, tiers))


@given(_tiers(), st.integers(0, 60))
def test_volume_never_costs_more_than_all_records_at_the_price_of_the_tier_reached(
    tiers: Tiers, records: int
) -> None:
    price = next(price for start, price in reversed(tiers) if start <= records)
    fee = _fee(volume(records, tiers))
    assert fee <= records * price
    later = [start * price for start, price in tiers if start > records]
    assert fee == min([records * price, *later])


def test_volume_at_the_edge_of_a_cheaper_tier_is_charged_as_its_start() -> None:
    tiers = [(0, 10), (100, 5)]
    assert volume(49, tiers) == (Step(49, 10, 490),)
    assert volume(99, tiers) == (Step(100, 5, 500),)
    assert volume(100, tiers) == (Step(100, 5, 500),)
