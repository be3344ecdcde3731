"""What differs between two ledgers is found exactly, and netting sums to zero."""

from random import Random
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.clearing_disputes import (
    ASKING_ONLY,
    CONTENT,
    FEE,
    HOME_ONLY,
    UNDER_WAY,
    UNDER_WAY_SECONDS,
    dispute_of,
    kind_at,
)
from creditgate.clearing_entries import (
    MOST_BEFORE,
    ClearingEntry,
    Version,
    entries_in,
    entries_text,
    first_entry,
)
from gateway.federation.clearing.netting import Owed, bilateral, positions, transfers
from gateway.federation.clearing.rules import (
    DAY_SECONDS,
    OVERDUE_SECONDS,
    SETTLE_SECONDS,
    last_midnight,
    next_until,
    overdue_since,
    shorter,
)

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"
UNTIL: Final = 1_775_001_600


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


@pytest.mark.parametrize(
    ("home", "asking", "kind"),
    [
        ({}, None, HOME_ONLY),
        (None, {}, ASKING_ONLY),
        ({"serve_seconds": UNTIL - UNDER_WAY_SECONDS}, None, UNDER_WAY),
        ({"fee": 5}, {"fee": 6}, FEE),
        ({"item": "xzcf"}, {"item": "xzxk"}, CONTENT),
        ({"record_id": "a", "fee": 5}, {"record_id": "b", "fee": 6}, CONTENT),
        ({"serve_seconds": UNTIL - 9_000}, {"serve_seconds": UNTIL - 9_001}, CONTENT),
    ],
)
def test_what_an_answer_differs_by_is_told(
    home: dict[str, Any] | None, asking: dict[str, Any] | None, kind: int
) -> None:
    entry = drawn(Random(3))._replace(serve_seconds=UNTIL - 9_000)
    at_home, at_asking = (
        () if each is None else (entry._replace(**each),) for each in (home, asking)
    )
    found = dispute_of(at_home, at_asking, UNTIL)
    assert found.kind == kind
    later = kind_at(found.kind, UNTIL - UNDER_WAY_SECONDS, UNTIL + UNDER_WAY_SECONDS)
    assert later == (HOME_ONLY if kind in (HOME_ONLY, UNDER_WAY) else kind)


# As messages have it: no lone surrogates.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\x00"), min_size=1, max_size=64)


@given(st.lists(st.tuples(TEXT, st.integers(0, 9), TEXT, st.integers(0, 2**60)), max_size=8))
def test_what_is_claimed_is_kept_as_it_is_and_named_by_all_of_it(
    rows: list[tuple[str, int, str, int]],
) -> None:
    key = (NORTH, SOUTH, "q-1", 2)
    entries = tuple(
        sorted({ClearingEntry(*key, record, r, item, 7, fee) for record, r, item, fee in rows})
    )
    text = entries_text(entries)
    assert entries_in(text) == entries
    assert first_entry(text[:MOST_BEFORE]) == (entries[0] if entries else None)
    version = Version.of(entries)
    if version is None:
        return
    assert Version.read(version.text()) == version
    assert (version.entries, version.fee) == (len(entries), sum(each.fee for each in entries))
    another = entries[0]._replace(record_id=65 * "x")
    for changed in (entries[1:], (*entries, another), (*entries[1:], another)):
        other = Version.of(changed)
        assert other is None or other.digest() != version.digest()


@pytest.mark.parametrize("field", ClearingEntry._fields)
def test_every_field_of_an_entry_is_in_its_digest(field: str) -> None:
    entry = drawn(Random(1))
    value = getattr(entry, field)
    other = entry._replace(**{field: value + 1 if isinstance(value, int) else value + "x"})
    assert other.digest() != entry.digest()
    assert ClearingEntry.of(entry.message()) == entry


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


@given(st.lists(st.integers(100, 130), max_size=60), st.integers(0, 99), st.integers(131, 10**9))
def test_a_period_of_too_many_entries_is_cleared_in_parts_that_have_few_enough(
    served: list[int], start: int, until: int
) -> None:
    def count(from_: int, to: int) -> int:
        return sum(from_ <= at < to for at in served)

    densest = max((served.count(at) for at in served), default=0)
    most = max(densest, 5)
    cleared = 0
    while start < until:
        end, rounds = until, 0
        while count(start, end) > most:
            part = shorter(count, start, end)
            assert part is not None
            assert start < part < end
            assert count(start, part) <= max(count(start, end) // 2, densest)
            end, rounds = part, rounds + 1
        assert rounds <= 12
        cleared += count(start, end)
        start = end
    assert cleared == len(served)


def test_a_second_has_no_part_and_of_what_the_other_alone_has_it_is_half_of_the_time() -> None:
    def none(from_: int, to: int) -> int:
        return 0

    assert shorter(lambda from_, to: 10, 5, 6) is None
    assert shorter(none, 1_000, 2_000) == 1_500
    assert shorter(none, 0, UNTIL) == UNTIL - 183 * DAY_SECONDS
    assert shorter(none, 5, 7) == 6
