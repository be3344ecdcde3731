"""What differs between two ledgers is found exactly, and netting sums to zero."""

from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.clearing import (
    ASKING_ONLY,
    CONTENT,
    FEE,
    HOME_ONLY,
    UNDER_WAY,
    UNDER_WAY_SECONDS,
    ClearingEntry,
    Dispute,
    disputes_of,
)
from creditgate.reconcile.decode import Decoder
from creditgate.reconcile.elements import elements_of
from creditgate.reconcile.symbols import coded
from gateway.federation.clearing.netting import Owed, bilateral, positions, transfers
from gateway.federation.clearing.own_side import packed
from gateway.federation.clearing.rules import (
    DAY_SECONDS,
    OVERDUE_SECONDS,
    SETTLE_SECONDS,
    last_midnight,
    next_until,
    overdue_since,
)

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"
UNTIL: Final = 1_775_001_600
KEY: Final = bytes(range(16))


def drawn(random: Random) -> ClearingEntry:
    """Return an entry of the day before `UNTIL`, in either direction."""
    home, asking = random.sample((NORTH, SOUTH), 2)
    return ClearingEntry(
        home,
        asking,
        f"q-{random.randrange(4)}",
        random.randrange(3),
        f"record-{random.randrange(10**9)}",
        random.randrange(1, 4),
        random.choice(("xzcf", "xzxk")),
        UNTIL - random.randrange(1, DAY_SECONDS),
        random.choice((0, 10, 250_000)),
    )


def history(random: Random) -> tuple[set[ClearingEntry], set[ClearingEntry], set[Dispute]]:
    """Return the ledgers of north and south, and the differences that were put in."""
    north: set[ClearingEntry] = set()
    south: set[ClearingEntry] = set()
    injected: set[Dispute] = set()
    for _ in range(random.randrange(12)):
        entry = drawn(random)
        at_home, at_asking = (north, south) if entry.home == NORTH else (south, north)
        fault = random.randrange(7)
        if fault != 0:
            at_home.add(entry)
        other = {
            2: entry._replace(fee=entry.fee + 1),
            3: entry._replace(item="dishonesty"),
            4: entry._replace(chunk=entry.chunk + 1),
        }.get(fault, entry)
        if fault != 1:
            at_asking.add(other)
        if fault == 0:
            injected.add(Dispute(ASKING_ONLY, None, entry))
        elif fault == 1:
            is_young = entry.serve_seconds >= UNTIL - UNDER_WAY_SECONDS
            injected.add(Dispute(UNDER_WAY if is_young else HOME_ONLY, entry, None))
        elif fault in (2, 3, 4):
            injected.add(Dispute(FEE if fault == 2 else CONTENT, entry, other))
    return north, south, injected


def found_by_both(north: set[ClearingEntry], south: set[ClearingEntry]) -> set[Dispute]:
    only_north, only_south = north - south, south - north
    one = disputes_of(only_north, only_south, NORTH, UNTIL)
    assert one == disputes_of(only_south, only_north, SOUTH, UNTIL)
    return set(one)


def test_differences_put_into_ten_thousand_histories_are_found_exactly() -> None:
    random = Random(20261128)
    for _ in range(10_000):
        north, south, injected = history(random)
        assert found_by_both(north, south) == injected


def test_symbols_tell_the_same_differences_as_the_ledgers_themselves() -> None:
    random = Random(7)
    for _ in range(200):
        north, south, _ = history(random)
        alike = {drawn(random) for _ in range(random.randrange(300))}
        north |= alike
        south |= alike
        ours, theirs = (
            {entry.digest()[:16]: entry for entry in ledger} for ledger in (south, north)
        )
        decoder = Decoder(KEY, len(theirs) - len(ours))
        own, other = (coded(packed([*ledger]), KEY) for ledger in (ours, theirs))
        while not decoder.decoded:
            first, more = decoder.taken, decoder.wanted() if decoder.taken else 64
            decoder.take(other.symbols(first, more), own.symbols(first, more))
        only_north = [theirs[each.tobytes()] for each in decoder.theirs]
        only_south = [ours[each.tobytes()] for each in decoder.ours]
        assert set(only_north) == north - south
        assert set(only_south) == south - north


@pytest.mark.parametrize("field", ClearingEntry._fields)
def test_every_field_of_an_entry_is_in_its_digest(field: str) -> None:
    entry = drawn(Random(1))
    value = getattr(entry, field)
    other = entry._replace(**{field: value + 1 if isinstance(value, int) else value + "x"})
    assert other.digest() != entry.digest()
    assert ClearingEntry.of(entry.message()) == entry
    assert len(elements_of(packed([entry.digest(), other.digest()]))) == 2


NAMES = st.sampled_from([f"https://r{number}.invalid" for number in range(9)])
DEBTS = st.lists(
    st.builds(Owed, NAMES, NAMES, st.integers(0, 2**62)).filter(lambda o: o.debtor != o.creditor)
)


@given(DEBTS)
def test_netting_sums_to_zero_and_pays_each_what_it_is_due(owed: list[Owed]) -> None:
    net = positions(owed)
    assert sum(net.values()) == 0
    paid = transfers(net)
    settled = {region: amount for region, amount in positions(paid).items() if amount}
    assert settled == {region: amount for region, amount in net.items() if amount}
    assert all(each.amount > 0 and each.debtor != each.creditor for each in paid)
    assert len(paid) < max(1, len(settled)) or not settled
    # Between two, what is left is the same in the end, and never more than was owed.
    pairs = bilateral(owed)
    assert {k: v for k, v in positions(pairs).items() if v} == settled
    assert sum(each.amount for each in pairs) <= sum(each.amount for each in owed)
    assert len({frozenset(each[:2]) for each in pairs}) == len(pairs)


def test_positions_that_do_not_sum_to_zero_are_settled_by_nobody() -> None:
    with pytest.raises(ValueError, match="sum to 0"):
        transfers({NORTH: 5, SOUTH: -4})


@given(st.integers(10**9, 2 * 10**9), st.integers(0, 40 * DAY_SECONDS))
def test_each_day_is_cleared_once_in_order_and_told_when_it_is_late(now: int, ago: int) -> None:
    latest = last_midnight(now)
    assert latest % DAY_SECONDS == 0
    assert SETTLE_SECONDS <= now - latest < DAY_SECONDS + SETTLE_SECONDS
    cleared: int | None = now - ago
    steps: list[int] = []
    while (due := next_until(cleared, now)) is not None:
        assert cleared is not None
        assert cleared < due <= cleared + DAY_SECONDS
        assert due % DAY_SECONDS == 0
        steps.append(due)
        cleared = due
    assert steps == sorted(set(steps))
    assert not steps or steps[-1] == latest
    late = overdue_since(now - ago, now)
    assert late == (steps[0] if steps and now - steps[0] >= OVERDUE_SECONDS else None)
    assert next_until(None, now) == latest
