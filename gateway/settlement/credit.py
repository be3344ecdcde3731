"""Credit notes: what evidence proves to be overcharged, and whom it is taken back from. Pure.

Given back is the list price that receipts and log tell, use by use; taken back is each
beneficiary's part of it by the sharing rule in force at serving. What a rule pools is taken
back from the source of the record.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.usage import detail_of
from creditgate.transparency.usage_evidence import (
    CONFLICT,
    MISCOUNTED,
    TWICE,
    VerifiedEvidence,
    verify_evidence,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_evidence_pb2 import UsageEvidence
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageLine
from creditgate.v1.usage_service_pb2 import CreditedUse, CreditNote
from gateway.settle.bill import NO_ITEM
from gateway.settle.explain import yuan
from gateway.settle.month import utc_text
from gateway.settle.shares import PLATFORM, SharingRule, divide
from gateway.settlement.amounts import share_messages
from gateway.settlement.books import Books

_WHY: Final[Mapping[int, tuple[str, str]]] = {
    CONFLICT: (
        "计量日志第 {index} 项与签名回执不一致，多计 {amount} 元",
        "use {index} of the log charges {amount} yuan more than its signed receipt",
    ),
    TWICE: (
        "同一请求计费两次，计量日志第 {index} 项的 {amount} 元退回",
        "one request was charged twice: the {amount} yuan of use {index} are given back",
    ),
    MISCOUNTED: (
        "计量日志第 {index} 项的费用与其条目不符，多计 {amount} 元",
        "use {index} of the log charges {amount} yuan more than it counts",
    ),
}
_NO_LINE: Final = UsageLine(item=NO_ITEM, source=NO_ITEM, region=NO_ITEM)


class Overcharge(NamedTuple):
    """A proven overcharge: the use, what it was of, and how much too much, micro-yuan.

    ``kind`` is a UsageEvidenceKind that convicts.
    """

    kind: int
    leaf: UsageLeaf
    lines: Sequence[UsageLine]
    amount: int


Verifier = Callable[[bytes, str], Overcharge]
"""Returns what evidence proves to be overcharged of an operator. Raises Refused
INVALID_REQUEST where it proves none."""


def evidence_verifier(key: VerifierKey) -> Verifier:
    """Return what verifies evidence by the key of receipts."""

    def verify(evidence: bytes, operator_id: str) -> Overcharge:
        try:
            shown = verify_evidence(evidence, key)
            lines = _lines(evidence, shown)
        except ProofInvalid as error:
            raise invalid(Violation("evidence", f"it does not hold: {error}")) from None
        if not shown.convicts or shown.overcharge <= 0:
            raise invalid(Violation("evidence", "give evidence that proves an overcharge"))
        if shown.leaf.operator_id != operator_id:
            raise invalid(Violation("evidence", "give evidence of the operator named"))
        return Overcharge(shown.kind, shown.leaf, lines, shown.overcharge)

    return verify


def credit_note(overcharge: Overcharge, operator_id: str, month: str, books: Books) -> CreditNote:
    """Return the credit note of an overcharge, booked in ``month``; who and why are left open.

    Raises Refused STATE_CONFLICT where no sharing rule was in force at serving.
    """
    leaf = overcharge.leaf
    rule = books.sharing.rule_at(leaf.serve_seconds)
    if rule is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "No sharing rule was in force at the time of the use: an administrator creates one"
            f" with effective_from {utc_text(leaf.serve_seconds)} or earlier"
            " (SettlementService.CreateSharingRule).",
        )
    standing = books.classes.standing(operator_id, leaf.serve_seconds)
    plan = books.prices.plan_at(leaf.serve_seconds)
    lines = overcharge.lines or [_NO_LINE]
    weights = [line.entries * line.unit_price_micro_yuan for line in lines]
    parts = divide(overcharge.amount, weights if any(weights) else [1] * len(lines))
    shares: Counter[str] = Counter()
    uses: list[CreditedUse] = []
    zh, en = _WHY[overcharge.kind]
    for line, amount in zip(lines, parts, strict=True):
        if amount:
            shares.update(_taken_back(rule, line, operator_id, standing.operator_class, amount))
            told = {"index": leaf.usage_index, "amount": yuan(amount)}
            uses.append(
                CreditedUse(
                    usage_index=leaf.usage_index,
                    item=line.item,
                    source=line.source,
                    region=line.region,
                    amount_micro_yuan=amount,
                    explanation_zh=zh.format(**told),
                    explanation_en=en.format(**told),
                )
            )
    return CreditNote(
        operator_id=operator_id,
        month=month,
        amount_micro_yuan=overcharge.amount,
        uses=uses,
        shares=share_messages(shares),
        rule_ids=[rule.rule_id],
        plan_ids=[] if plan is None else [plan.plan_id],
    )


def _taken_back(
    rule: SharingRule, line: UsageLine, operator_id: str, operator_class: str, amount: int
) -> Counter[str]:
    source, region, platform, operator = rule.parts
    if not rule.gives_back(operator_class):
        platform, operator = platform + operator, 0
    if line.item == NO_ITEM:
        source, region, platform = 0, 0, source + region + platform
    names = f"sources/{line.source}", f"regions/{line.region}", PLATFORM, f"operators/{operator_id}"
    return Counter(
        dict(zip(names, divide(amount, (source, region, platform, operator)), strict=True))
    )


def _lines(evidence: bytes, shown: VerifiedEvidence) -> Sequence[UsageLine]:
    """Return the lines of the use that is overcharged. Raises ProofInvalid."""
    leaf = shown.leaf
    details = (each.detail for each in UsageEvidence.FromString(evidence).leaves)
    own = next((each for each in details if sha256(each).digest() == leaf.detail_digest), b"")
    detail = detail_of(leaf, own)
    if detail is None:
        raise ProofInvalid("the detail of the use is missing")
    return detail.lines
