"""A statement in words: what is due and of what it is made. Pure."""

from typing import Final, NamedTuple

from creditgate.v1 import usage_service_pb2 as pb
from gateway.pages.charts import Measure, Measures, measures
from gateway.pages.moments import moment
from gateway.pages.money import yuan
from gateway.pages.rendering import Language
from gateway.pages.terms import beneficiary
from gateway.pages.words import joined, said

MOST_PARTS: Final = 200
"""Lines, charges or notes that one page tells."""


class Bill(NamedTuple):
    """The sums of a statement; ``closed`` is when it was closed, "" while it is open."""

    due: str
    total: str
    list_price: str
    entries: str
    plans: str
    rules: str
    size: str
    closed: str


class Part(NamedTuple):
    """An amount, why it is owed or given back, and what it is about."""

    amount: str
    why: str
    about: str


def bill_of(statement: pb.Statement, language: Language) -> Bill:
    """Return the sums of a statement."""
    return Bill(
        yuan(statement.due_micro_yuan, language),
        yuan(statement.total_micro_yuan, language),
        yuan(statement.list_micro_yuan, language),
        f"{statement.total_entries:,}",
        joined(statement.plan_ids, language),
        joined(statement.rule_ids, language),
        f"{statement.usage_size:,}",
        moment(statement.close_time.seconds, language) if statement.HasField("close_time") else "",
    )


def charges_of(statement: pb.Statement, language: Language) -> list[Part]:
    """Return what the fees are made of."""
    return [
        Part(
            yuan(charge.fee_micro_yuan, language),
            said(language, (charge.explanation_zh, charge.explanation_en)),
            f"{charge.plan_id} · {charge.component_id}",
        )
        for charge in statement.charges[:MOST_PARTS]
    ]


def adjustments_of(statement: pb.Statement, language: Language) -> list[Part]:
    """Return what came to earlier months after they were closed."""
    return [
        Part(
            yuan(each.amount_micro_yuan, language),
            said(language, (each.explanation_zh, each.explanation_en)),
            each.month,
        )
        for each in statement.adjustments[:MOST_PARTS]
    ]


def credits_of(statement: pb.Statement, language: Language) -> list[Part]:
    """Return what is given back."""
    return [
        Part(yuan(-note.amount_micro_yuan, language), _why(note, language), note.credit_note_id)
        for note in statement.credit_notes[:MOST_PARTS]
    ]


def _why(note: pb.CreditNote, language: Language) -> str:
    if not note.trued_up_month:
        if note.created_by:
            return note.reason
        return said(
            language,
            (
                f"此项使用曾有争议，双方地区清算时已商定应计多少（{note.reason}）",
                f"both regions agreed in clearing what a disputed use counts ({note.reason})",
            ),
        )
    return said(
        language,
        (
            f"{note.trued_up_month} 的退款按现有用量与证据重新核算",
            f"what is given back of {note.trued_up_month} is reckoned anew",
        ),
    )


def shares_of(statement: pb.Statement, language: Language) -> Measures:
    """Return who gets what of what is due."""
    shares = sorted(statement.due_shares, key=lambda share: -share.amount_micro_yuan)
    return measures(
        said(language, ("应付的去向", "Where it goes")),
        said(language, ("受益方", "Beneficiary")),
        said(language, ("金额", "Amount")),
        [
            Measure(
                beneficiary(share.beneficiary, language),
                share.amount_micro_yuan,
                yuan(share.amount_micro_yuan, language),
            )
            for share in shares[:MOST_PARTS]
        ],
    )
