"""A statement's sums, reasons and notes are told as they are, in both languages."""

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import usage_service_pb2 as pb
from gateway.portal.bill import (
    MOST_PARTS,
    Part,
    adjustments_of,
    bill_of,
    charges_of,
    credits_of,
    shares_of,
)

STATEMENT = pb.Statement(
    total_micro_yuan=10_000_000,
    due_micro_yuan=7_500_001,
    list_micro_yuan=12_000_000,
    total_entries=1_234,
    usage_size=1_300,
    plan_ids=["p-1", "p-2"],
    rule_ids=["r-1"],
    charges=[
        pb.StatementCharge(
            plan_id="p-1",
            component_id="free",
            fee_micro_yuan=-2_000_000,
            explanation_zh="免费额度",
            explanation_en="free tier",
        )
    ],
    adjustments=[
        pb.StatementAdjustment(
            month="2026-01",
            amount_micro_yuan=-1,
            explanation_zh="重算",
            explanation_en="rated again",
        )
    ],
    credit_notes=[
        pb.CreditNote(
            credit_note_id="c-1",
            amount_micro_yuan=2_500_000,
            reason="charged twice",
            created_by="admin",
        )
    ],
    due_shares=[
        pb.RevenueShare(beneficiary="platform", amount_micro_yuan=1_500_001),
        pb.RevenueShare(beneficiary="sources/tax", amount_micro_yuan=6_000_000),
    ],
)


def test_the_sums_are_those_of_the_statement() -> None:
    bill = bill_of(STATEMENT, "en")
    assert (bill.due, bill.total, bill.list_price) == ("CNY 7.500001", "CNY 10.00", "CNY 12.00")
    assert (bill.entries, bill.size, bill.closed) == ("1,234", "1,300", "")
    assert (bill.plans, bill.rules) == ("p-1, p-2", "r-1")


def test_a_closed_month_says_when_it_was_closed() -> None:
    closed = pb.Statement(close_time=Timestamp(seconds=1_775_001_600))
    assert bill_of(closed, "en").closed == "2026-04-01 00:00 UTC"


def test_each_amount_says_why_in_the_language_of_the_page() -> None:
    assert charges_of(STATEMENT, "zh") == [Part("-2.00 元", "免费额度", "p-1 · free")]
    assert charges_of(STATEMENT, "en") == [Part("CNY -2.00", "free tier", "p-1 · free")]
    assert adjustments_of(STATEMENT, "en") == [Part("CNY -0.000001", "rated again", "2026-01")]


def test_what_is_given_back_lessens_what_is_due() -> None:
    assert credits_of(STATEMENT, "zh") == [Part("-2.50 元", "charged twice", "c-1")]


def test_note_that_closing_made_says_why_itself() -> None:
    statement = pb.Statement(
        credit_notes=[
            pb.CreditNote(
                credit_note_id="c-2", amount_micro_yuan=-2_500_000, trued_up_month="2099-03"
            )
        ]
    )
    assert credits_of(statement, "zh") == [
        Part("2.50 元", "2099-03 的退款按现有用量与证据重新核算", "c-2")
    ]
    (part,) = credits_of(statement, "en")
    assert part.why == "what is given back of 2099-03 is reckoned anew"


def test_note_that_clearing_made_says_in_which_dispute() -> None:
    note = pb.CreditNote(credit_note_id="c-3", amount_micro_yuan=5, reason="dispute-0f")
    statement = pb.Statement(credit_notes=[note])
    (zh,), (en,) = (credits_of(statement, language) for language in ("zh", "en"))
    assert zh.why == "此项使用曾有争议，双方地区清算时已商定应计多少（dispute-0f）"
    assert en.why == "both regions agreed in clearing what a disputed use counts (dispute-0f)"


def test_shares_are_told_greatest_first() -> None:
    rows = shares_of(STATEMENT, "en").rows
    assert [row.label for row in rows] == ["Source department: tax", "Platform"]
    assert [row.told for row in rows] == ["CNY 6.00", "CNY 1.500001"]


def test_a_page_tells_so_many_parts_and_no_more() -> None:
    many = pb.Statement(charges=[pb.StatementCharge()] * (MOST_PARTS + 1))
    assert len(charges_of(many, "zh")) == MOST_PARTS
