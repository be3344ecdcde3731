"""Every overcharge is found in a log, and none where there is none."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.usage import detail_of
from creditgate.transparency.usage_charges import (
    DifferenceKind,
    Received,
    compare,
    miscounted,
)
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageLeaf, UsageLine
from tests.usage.promises import PRICE, REVERSAL, bytes_of, condensed, elsewhere, record, use

CONFLICT, TWICE, MISCOUNTED, UNPROMISED, UNLOGGED = DifferenceKind
RECORDS = [record(3), record(5), record(8)]


def honest(size: int = 6) -> list[bytes]:
    """Return the leaves of a log whose receipts are all there."""
    return [bytes_of(use(place, RECORDS[: 1 + place % 3])) for place in range(size)]


def found(promised: list[bytes], logged: list[bytes]) -> list[tuple[DifferenceKind, int, int]]:
    """Return the differences, but for their leaves."""
    return [each[:3] for each in compare(promised, logged)]


@given(st.integers(0, 30), st.randoms())
def test_log_of_what_was_promised_has_no_difference(size: int, chance: Random) -> None:
    leaves = honest(size)
    shuffled = [*leaves, *leaves[:3]]
    chance.shuffle(shuffled)
    assert found(shuffled, leaves) == []


Change = Callable[[list[bytes], list[bytes]], object]
CASES: dict[str, tuple[Change, list[tuple[DifferenceKind, int, int]]]] = {
    "a higher fee": (
        lambda _, logged: logged.__setitem__(2, bytes_of(use(2, [*RECORDS, record(9)]))),
        [(CONFLICT, 2, PRICE)],
    ),
    "a lower fee is no overcharge": (
        lambda _, logged: logged.__setitem__(2, bytes_of(use(2, RECORDS[:1]))),
        [(CONFLICT, 2, 0)],
    ),
    "a use that nobody made": (
        lambda _, logged: logged.append(bytes_of(use(6, RECORDS))),
        [(UNPROMISED, 6, 3 * PRICE)],
    ),
    "a receipt that was lost": (lambda promised, _: promised.pop(1), [(UNPROMISED, 1, 2 * PRICE)]),
    "a request charged again, with receipts of both": (
        lambda promised, logged: [
            leaves.append(bytes_of(use(6, RECORDS[:2], request_id="r-1")))
            for leaves in (promised, logged)
        ],
        [(TWICE, 6, 2 * PRICE)],
    ),
    "another chunk of a request": (
        lambda promised, logged: [
            leaves.append(bytes_of(use(6, RECORDS[:2], request_id="r-1", chunk=1)))
            for leaves in (promised, logged)
        ],
        [],
    ),
    "a fee that is not of its lines": (
        lambda promised, logged: [
            leaves.append(bytes_of(use(6, RECORDS, fee_micro_yuan=4 * PRICE)))
            for leaves in (promised, logged)
        ],
        [(MISCOUNTED, 6, PRICE)],
    ),
    "more records charged than there are revisions": (
        lambda promised, logged: [
            leaves.append(bytes_of(use(6, RECORDS, revisions=bytes(8))))
            for leaves in (promised, logged)
        ],
        [(MISCOUNTED, 6, 2 * PRICE)],
    ),
    "an own use that names no revisions": (
        lambda promised, logged: [
            leaves.append(bytes_of(use(6, RECORDS, revisions=b""))) for leaves in (promised, logged)
        ],
        [(MISCOUNTED, 6, 3 * PRICE)],
    ),
    "another region's records, whose revisions are its own": (
        lambda promised, logged: [
            leaves.append(bytes_of(elsewhere(6, RECORDS))) for leaves in (promised, logged)
        ],
        [],
    ),
    "a fee that is not of the lines of another region's records": (
        lambda promised, logged: [
            leaves.append(bytes_of(elsewhere(6, RECORDS, fee_micro_yuan=4 * PRICE)))
            for leaves in (promised, logged)
        ],
        [(MISCOUNTED, 6, PRICE)],
    ),
    "a use without revisions that has no digest of records either": (
        lambda promised, logged: [
            leaves.append(bytes_of(elsewhere(6, RECORDS, records_digest=b"")))
            for leaves in (promised, logged)
        ],
        [(MISCOUNTED, 6, 3 * PRICE)],
    ),
    "a log that lacks the newest": (lambda _, logged: logged.pop(), [(UNLOGGED, 5, 0)]),
    "a reversal, which needs no receipt": (
        lambda _, logged: logged.append(
            bytes_of(use(6, RECORDS[:1], kind=REVERSAL, request_id="r-2", reversed_index=2))
        ),
        [],
    ),
    "a promised use that became a reversal credits too much": (
        lambda _, logged: logged.__setitem__(
            2, bytes_of(use(2, [*RECORDS, record(9)], kind=REVERSAL, reversed_index=1))
        ),
        [(CONFLICT, 2, 0)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_log_charges_otherwise_is_told(case: str) -> None:
    change, expected = CASES[case]
    promised, logged = honest(), honest()
    change(promised, logged)
    assert found(promised, logged) == expected


def test_two_receipts_for_one_place_never_both_hold() -> None:
    logged = honest()
    assert found([*honest(), bytes_of(use(3, RECORDS))], logged) == [(CONFLICT, 3, 0)]


def test_leaf_at_another_place_than_it_names_is_refused() -> None:
    with pytest.raises(ProofInvalid, match="another place"):
        compare([], honest()[1:])


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_records_received_tell_what_is_charged_beyond_them(
    penalties: int, honours: int, beyond: int
) -> None:
    received = [record(i) for i in range(penalties)]
    received += [record(10 + i, "honour") for i in range(honours)]
    charged = [*received, *(record(20 + i) for i in range(beyond))]
    leaf = use(0, charged, records_digest=use(0, received).records_digest)
    detail = detail_of(leaf)
    assert detail is not None
    assert miscounted(leaf, detail, Received(received)) == (beyond * PRICE or None)


def test_of_one_kind_at_two_prices_what_is_there_counts_at_the_higher() -> None:
    one = use(0, RECORDS[:1])
    dearer = UsageLine()
    dearer.CopyFrom(one.lines[0])
    dearer.unit_price_micro_yuan = 2 * PRICE
    lines = [one.lines[0], dearer]
    leaf = use(0, RECORDS[:1], fee_micro_yuan=3 * PRICE)
    assert miscounted(leaf, UsageDetail(lines=lines), Received(RECORDS[:1])) == PRICE


def test_records_that_a_leaf_does_not_have_tell_nothing() -> None:
    leaf = use(0, RECORDS)
    detail = detail_of(leaf)
    assert detail is not None
    assert miscounted(leaf, detail, Received(RECORDS)) is None
    with pytest.raises(ProofInvalid, match="not those of the leaf"):
        miscounted(leaf, detail, Received(RECORDS[:2]))


def test_large_answers_are_compared_by_what_their_leaf_has() -> None:
    leaf, _ = condensed(use(0, RECORDS))
    other = UsageLeaf()
    other.CopyFrom(leaf)
    other.fee_micro_yuan += 1
    assert found([bytes_of(leaf)], [bytes_of(leaf)]) == []
    assert found([bytes_of(leaf)], [bytes_of(other)]) == [(CONFLICT, 0, 1)]
