"""Records are shared among licences: all of them, each under one that opens it, over no quota where
there is a way."""

from collections import Counter
from collections.abc import Mapping
from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.meter.licences import (
    Licences,
    LicenceShare,
    borne_by,
    credited,
    shared,
    shares_of,
    shares_text,
    used_up,
)
from tests.examples import examples

NUMBERS = ("L-1", "L-2", "L-3")
LINES = (1, 2, 3)
_opens = st.sets(st.sampled_from(NUMBERS), min_size=1).map(lambda some: tuple(sorted(some)))
_left = st.fixed_dictionaries(dict.fromkeys(NUMBERS, st.integers(-1, 4)))
_counts = st.dictionaries(st.sampled_from(LINES), st.integers(1, 4), max_size=3)
_of_line = st.fixed_dictionaries(dict.fromkeys(LINES, _opens))


def licences(of_line: Mapping[int, tuple[str, ...]], *needed: set[str]) -> Licences:
    """Return licences that open lines."""
    return Licences(dict.fromkeys(NUMBERS, 9), of_line, frozenset(map(frozenset, needed)))


def can_be_shared(
    records: list[int], of_line: dict[int, tuple[str, ...]], left: dict[str, int]
) -> bool:
    """Tell whether records of such lines can be, by trying every way."""
    if not records:
        return True
    return any(
        left[number] > 0 and can_be_shared(records[1:], of_line, {**left, number: left[number] - 1})
        for number in of_line[records[0]]
    )


def most_shared(
    records: list[int], of_line: dict[int, tuple[str, ...]], left: dict[str, int]
) -> int:
    """Return how many records of such lines can be shared: those of some lines have so much room
    at most as all licences that open one of them (Hall's theorem, with what is lacking)."""
    lacking = 0
    for some in chain.from_iterable(combinations(LINES, size) for size in range(len(LINES) + 1)):
        opening = {number for line in some for number in of_line[line]}
        room = sum(max(0, left[number]) for number in opening)
        lacking = max(lacking, sum(line in some for line in records) - room)
    return len(records) - lacking


@settings(max_examples=examples(300))
@given(_counts, _of_line, _left)
def test_records_are_all_shared_and_go_beyond_what_is_left_where_there_is_no_other_way(
    counts: dict[int, int], of_line: dict[int, tuple[str, ...]], left: dict[str, int]
) -> None:
    shares = shared(list(counts.items()), licences(of_line), left)
    every = list(chain.from_iterable([line] * count for line, count in counts.items()))
    if shares is None:
        assert any(all(left[number] <= 0 for number in of_line[line]) for line in counts)
        return
    assert sorted(share.licence for share in shares) == list(NUMBERS)
    beyond = sum(max(0, sum(share.records) - max(0, left[share.licence])) for share in shares)
    assert beyond == len(every) - most_shared(every, of_line, left)
    got: Counter[int] = Counter()
    for share in shares:
        assert left[share.licence] > 0 or not any(share.records)
        for line, records in zip(counts, share.records, strict=bool(share.records)):
            assert not records or share.licence in of_line[line]
            got[line] += records
    assert +got == Counter(counts)
    bear = [share.licence for share in shares if share.records]
    assert [share.licence for share in shares][: len(bear)] == sorted(bear)


def test_a_record_rests_on_the_first_licence_that_has_quota_left() -> None:
    of_line: Mapping[int, tuple[str, ...]] = dict.fromkeys(LINES, NUMBERS)
    left = {"L-1": 2, "L-2": 0, "L-3": 9}
    assert shared([(1, 3), (2, 1)], licences(of_line), left) == (
        LicenceShare("L-1", (2, 0)),
        LicenceShare("L-3", (1, 1)),
        LicenceShare("L-2", ()),
    )


def test_records_move_on_where_another_item_has_no_other_licence() -> None:
    of_line = {1: ("L-1", "L-2"), 2: ("L-1",)}
    left = {"L-1": 2, "L-2": 1, "L-3": 0}
    shares = shared([(1, 2), (2, 1)], licences(of_line), left)
    assert shares == (
        LicenceShare("L-1", (1, 1)),
        LicenceShare("L-2", (1, 0)),
        LicenceShare("L-3", ()),
    )


def test_what_no_licence_with_quota_opens_is_told_whatever_is_found() -> None:
    both = licences({}, {"L-1"}, {"L-2", "L-3"})
    assert used_up(both, {"L-1": 1, "L-2": 0, "L-3": 1}) == ()
    assert used_up(both, {"L-1": 1, "L-2": 0, "L-3": 0}) == ("L-2", "L-3")
    assert used_up(both, {"L-1": -3, "L-2": 0, "L-3": 0}) == ("L-1",)


@settings(max_examples=examples(200))
@given(_counts, _of_line, st.data())
def test_entries_and_credits_keep_to_what_each_licence_bears(
    counts: dict[int, int], of_line: dict[int, tuple[str, ...]], data: st.DataObject
) -> None:
    left: dict[str, int] = dict.fromkeys(NUMBERS, 3)
    shares = shared(list(counts.items()), licences(of_line), left)
    if shares is None:
        return
    assert shares_of(shares_text(shares)) == shares
    lines = list(counts)
    every = list(chain.from_iterable([line] * count for line, count in counts.items()))
    entries = data.draw(st.permutations(every))
    borne = Counter(zip(borne_by(lines, shares, entries), entries, strict=True))
    assert borne == {
        (share.licence, line): records
        for share in shares
        for line, records in zip(lines, share.records, strict=False)
        if records
    }
    some = Counter(data.draw(st.lists(st.sampled_from(entries), max_size=3))) if entries else {}
    some = {line: min(count, counts[line]) for line, count in some.items()}
    given_back = credited(lines, shares, some)
    assert {
        line: sum(share.records[at] for share in given_back) for at, line in enumerate(some)
    } == some
    for share in given_back:
        for line, records in zip(some, share.records, strict=True):
            assert records <= borne[share.licence, line]
