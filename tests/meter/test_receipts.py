"""Receipts of use: each verifies, of what is charged and of what is asked for again."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from creditgate.transparency.strict import strictly
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageLeaf, UsageReceipt
from gateway.meter.ledger import UsageLedger
from gateway.meter.model import Charged, NotCharged, Outcome, Replayed, Unwritable
from gateway.meter.receipts import ReceiptSigner
from tests.clock import StandingClock
from tests.meter.world import NOW, claim, quota_used, stored, with_lines
from tests.receipts import KEY, RECEIPTS, verified


def leaf_of(outcome: Outcome) -> UsageLeaf:
    """Return the leaf of an outcome's receipt, verified."""
    assert isinstance(outcome, Charged | Replayed)
    return verified(strictly(UsageReceipt, outcome.receipt))


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=40))
def test_every_receipt_of_a_group_verifies(leaves: Sequence[str]) -> None:
    for index, (leaf, receipt) in enumerate(
        zip(leaves, RECEIPTS.receipts([_leaf(each) for each in leaves]), strict=True)
    ):
        message = strictly(UsageReceipt, receipt)
        assert verified(message).request_id == leaf
        assert (message.group_index, message.group_size) == (index, len(leaves))


def _leaf(request_id: str) -> bytes:
    return UsageLeaf(request_id=request_id).SerializeToString(deterministic=True)


def test_receipt_states_the_use_as_it_is_charged(records_engine: Engine) -> None:
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    outcomes = ledger.commit(
        [
            claim("r-1", [3, 1], records_digest=b"d" * 32, disclosure_sequence=0),
            claim("r-2", [], operator_id="beta"),
            claim("r-3", [4]),
        ]
    )
    first, second, third = map(leaf_of, outcomes)
    assert (first.operator_id, first.usage_index, first.request_id) == ("alpha", 0, "r-1")
    assert (second.operator_id, second.usage_index, second.fee_micro_yuan) == ("beta", 0, 0)
    assert (third.operator_id, third.usage_index) == ("alpha", 1)
    assert [(line.item, line.entries, line.unit_price_micro_yuan) for line in first.lines] == [
        ("penalty.general", 2, 7)
    ]
    assert first.fee_micro_yuan == 14
    assert first.records_digest == b"d" * 32
    assert (first.serve_seconds, first.decision_id) == (NOW, "d-r-1")


def test_retry_gets_the_leaf_of_the_first_answer(records_engine: Engine) -> None:
    clock = StandingClock()
    ledger = UsageLedger(with_lines(records_engine), clock, RECEIPTS)
    made = claim("r-1", [1, 2])
    first = leaf_of(ledger.commit([claim("r-0", [9]), made])[1])
    # As time goes on, after some records have ended, by another process, and in one group.
    later = made._replace(decision_id="d-again", served_at=NOW + 60, entries=made.entries[:8])
    other = UsageLedger(records_engine, clock, RECEIPTS)
    outcomes = [
        *ledger.commit([later]),
        *other.commit([claim("r-2", [3]), later, claim("r-2", [3])]),
    ]
    again, charged, once_more, same = outcomes
    assert [type(outcome) for outcome in outcomes] == [Replayed, Charged, Replayed, Replayed]
    assert leaf_of(again) == leaf_of(once_more) == first
    assert leaf_of(same) == leaf_of(charged)
    assert [row.usage_index for row in stored(records_engine)] == [0, 1, 2]


def test_nothing_is_charged_that_cannot_be_signed(records_engine: Engine) -> None:
    class Broken(ReceiptSigner):
        broken = True

        def receipts(
            self,
            leaves: Sequence[bytes],
            hashes: Sequence[bytes] | None = None,
            marks: Sequence[bytes] = (),
        ) -> list[bytes]:
            if self.broken:
                raise RuntimeError("no key")
            return super().receipts(leaves, hashes, marks)

    signer = Broken(KEY)
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), signer)
    with pytest.raises(RuntimeError):
        ledger.commit([claim("r-1", [1])])
    assert (stored(records_engine), quota_used(records_engine)) == ([], {})
    signer.broken = False
    assert leaf_of(ledger.commit([claim("r-1", [1])])[0]).usage_index == 0


def test_use_whose_line_has_no_name_is_not_charged(records_engine: Engine) -> None:
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    nameless = claim("r-2", [2])._replace(lines=(claim("r", [2]).lines[0]._replace(line_no=77),))
    outcomes = ledger.commit([claim("r-1", [1]), nameless, claim("r-3", [3])])
    assert outcomes == [Charged(7), Unwritable(), Charged(7)]
    assert [row.usage_index for row in stored(records_engine)] == [0, 1]


@pytest.mark.parametrize(
    ("records", "told"), [(200, False), (1_000, True), (4_097, True), (100_000, True)]
)
def test_receipt_of_a_large_answer_brings_its_detail(
    records_engine: Engine, records: int, told: bool
) -> None:
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    made = claim("r-1", range(records))
    (charged,) = ledger.commit([made])
    (again,) = ledger.commit([made])
    for outcome in (charged, again):
        assert isinstance(outcome, Charged | Replayed)
        receipt = strictly(UsageReceipt, outcome.receipt)
        leaf = verified(receipt)
        assert leaf.fee_micro_yuan == 7 * records
        assert bool(receipt.detail) == told
        assert bool(leaf.revisions) == (records == 200)
        if told:
            assert leaf.detail_digest == sha256(receipt.detail).digest()
            detail = strictly(UsageDetail, receipt.detail)
            assert (detail.revisions, detail.lines[0].entries) == (made.entries, records)


def test_what_is_refused_takes_no_place(records_engine: Engine) -> None:
    ledger = UsageLedger(with_lines(records_engine), StandingClock(), RECEIPTS)
    outcomes = ledger.commit(
        [claim("r-1", [1, 2], daily_quota=2), claim("r-2", [3], daily_quota=2), claim("r-3")]
    )
    assert [type(outcome) for outcome in outcomes] == [Charged, NotCharged, Charged]
    assert [row.usage_index for row in stored(records_engine)] == [0, 1]
