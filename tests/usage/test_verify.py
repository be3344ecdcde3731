"""Receipts, answers and logged leaves are taken for what they are, and for nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.strict import strictly
from creditgate.transparency.usage import (
    detail_of,
    verify_logged,
    verify_receipt,
    verify_served,
)
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from creditgate.v1.usage_log_pb2 import UsageAgain, UsageLeaf, UsageReceipt
from tests.receipts import KEY
from tests.transparency.keys import key_of
from tests.usage.promises import (
    OPERATOR,
    PRICE,
    Log,
    answer,
    bytes_of,
    chunk,
    condensed,
    promised,
    promised_again,
    record,
    use,
)

RECORDS = [record(3), record(5, "honour"), record(8)]


@given(st.integers(1, 40), st.data())
def test_receipt_of_a_group_verifies_until_one_bit_of_it_changes(
    size: int, data: st.DataObject
) -> None:
    leaves = [use(place, RECORDS[: place % 4]) for place in range(size)]
    place = data.draw(st.integers(0, size - 1))
    receipt = promised(*leaves)[place]
    assert verify_receipt(receipt, KEY.verifier) == leaves[place]
    whole = bytearray(receipt.SerializeToString(deterministic=True))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ProofInvalid):
        verify_receipt(_parsed(bytes(whole)), KEY.verifier)


def _parsed(receipt: bytes) -> UsageReceipt:
    try:
        return UsageReceipt.FromString(receipt)
    except DecodeError:
        raise ProofInvalid from None


def test_receipt_by_another_key_is_none() -> None:
    (receipt,) = promised(use(0))
    with pytest.raises(ProofInvalid, match="another key"):
        verify_receipt(receipt, key_of("other.invalid/log/usage").verifier)


def test_answer_is_what_its_receipt_charges() -> None:
    leaf = use(7, RECORDS)
    assert verify_served([answer(leaf, RECORDS)], KEY.verifier) == leaf
    assert verify_served(chunk(leaf, RECORDS[:2], RECORDS[2:]), KEY.verifier) == leaf
    assert verify_served([answer(use(8), [])], KEY.verifier).fee_micro_yuan == 0
    large, detail = condensed(leaf)
    assert verify_served([answer(large, RECORDS)], KEY.verifier) == large
    (receipt,) = promised(large)
    receipt.detail = detail
    assert verify_served([answer(large, RECORDS, receipt)], KEY.verifier) == large
    with pytest.raises(ProofInvalid, match="revisions charged"):
        made = answer(large, RECORDS[:2], receipt, charged_entries=2)
        verify_served([made], KEY.verifier)
    assert detail_of(large) is None
    assert detail_of(large, detail) == detail_of(leaf)
    with pytest.raises(ProofInvalid, match="not that of the leaf"):
        detail_of(large, detail[:-1])


def test_retry_may_have_fewer_records_and_never_others() -> None:
    leaf = use(7, RECORDS)
    again: dict[str, Any] = {"replayed": True, "charged_micro_yuan": 0, "charged_entries": 0}
    for fewer in (RECORDS, RECORDS[1:], []):
        assert verify_served([answer(leaf, fewer, **again)], KEY.verifier) == leaf
    with pytest.raises(ProofInvalid, match="not paid for"):
        verify_served([answer(leaf, [record(4)], **again)], KEY.verifier)
    with pytest.raises(ProofInvalid, match="other records than those"):
        verify_served([answer(leaf, [record(3, "rating")], **again)], KEY.verifier)
    for charged, reason in (
        (use(7, RECORDS, revisions=use(7, [*RECORDS, record(9)]).revisions), "other records"),
        (use(7, RECORDS, fee_micro_yuan=4 * PRICE), "not that of its lines"),
    ):
        with pytest.raises(ProofInvalid, match=reason):
            verify_served([answer(charged, RECORDS, **again)], KEY.verifier)


def test_what_the_gateway_signs_of_a_retry_is_what_was_received() -> None:
    leaf = use(7, RECORDS)
    again: dict[str, Any] = {"replayed": True, "charged_micro_yuan": 0, "charged_entries": 0}
    receipt = promised_again(leaf, RECORDS[1:])
    good = answer(leaf, RECORDS[1:], receipt, **again)
    assert verify_served([good], KEY.verifier) == leaf
    assert strictly(UsageReceipt, receipt.SerializeToString(deterministic=True)) == receipt
    elsewhere_path = UsageReceipt()
    elsewhere_path.CopyFrom(receipt)
    elsewhere_path.again_index = 0
    for other in (
        promised_again(leaf, RECORDS),
        promised_again(leaf, RECORDS[1:], at=leaf.serve_seconds + 1),
        UsageReceipt(again=promised_again(use(8, RECORDS), RECORDS[1:]).again),
        elsewhere_path,
    ):
        changed = UsageReceipt()
        changed.CopyFrom(receipt)
        if other.leaf:
            changed.CopyFrom(other)
        else:
            changed.again = other.again
        with pytest.raises(ProofInvalid):
            verify_served([answer(leaf, RECORDS[1:], changed, **again)], KEY.verifier)
    with pytest.raises(ProofInvalid):
        # A leaf of the same tree is no such word.
        strictly(UsageAgain, receipt.leaf)
    with pytest.raises(ProofInvalid):
        strictly(UsageLeaf, receipt.again)


def _fewer(made: GetSubjectRecordsResponse) -> None:
    del made.records[-1]


def _other_content(made: GetSubjectRecordsResponse) -> None:
    made.records[0].content = b"{}"


LIES: Sequence[tuple[Callable[[GetSubjectRecordsResponse], object], str]] = [
    (lambda made: made.receipt.ClearField("usage"), "no receipt of its use"),
    (_fewer, "another charge"),
    (_other_content, "not those that were charged"),
    (lambda made: setattr(made.receipt, "decision_id", "d-other"), "another answer"),
    (lambda made: setattr(made.receipt, "charged_micro_yuan", 1), "another charge"),
    (lambda made: setattr(made.receipt.serve_time, "seconds", 1), "another charge"),
    (lambda made: setattr(made.receipt, "disclosure_sequence", 1), "another charge"),
]


@pytest.mark.parametrize(("lie", "reason"), LIES)
def test_answer_that_is_not_what_its_receipt_charges_is_refused(
    lie: Callable[[GetSubjectRecordsResponse], object], reason: str
) -> None:
    made = answer(use(7, RECORDS), RECORDS)
    lie(made)
    with pytest.raises(ProofInvalid, match=reason):
        verify_served([made], KEY.verifier)


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        (use(7, RECORDS, kind=2), "another answer"),
        (use(7, RECORDS, revisions=bytes(24)), "revisions charged"),
        (use(7, RECORDS, lines=use(7, RECORDS[:1]).lines), "not that of the records"),
        (use(7, RECORDS, fee_micro_yuan=PRICE), "not that of the records"),
    ],
)
def test_receipt_that_counts_otherwise_is_refused(leaf: UsageLeaf, reason: str) -> None:
    with pytest.raises(ProofInvalid, match=reason):
        verify_served([answer(leaf, RECORDS)], KEY.verifier)


def test_leaf_is_in_the_log_at_its_place_and_of_its_operator() -> None:
    log = Log(*(use(place, RECORDS[: place % 4]) for place in range(11)))
    for place, leaf in enumerate(log.leaves):
        found = verify_logged(leaf, log.path(place), log.note, OPERATOR, KEY.verifier)
        assert (bytes_of(found.leaf), found.checkpoint.size) == (leaf, 11)
    for leaf, path, note, operator_id, reason in (
        (log.leaves[3], log.path(4), log.note, OPERATOR, "does not lead"),
        (log.leaves[3], log.path(3), log.note, "beta", "not signed"),
        (bytes_of(use(3)), log.path(3), log.note, OPERATOR, "does not lead"),
        (bytes_of(use(11)), log.path(3), log.note, OPERATOR, "outside the tree"),
        (log.leaves[3], log.path(3), Log(use(0), operator_id="beta").note, "beta", "another"),
        (b"\x98\x06\x01" + log.leaves[3], log.path(3), log.note, OPERATOR, "not those"),
    ):
        with pytest.raises(ProofInvalid, match=reason):
            verify_logged(leaf, path, note, operator_id, KEY.verifier)
