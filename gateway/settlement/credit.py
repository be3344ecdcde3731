"""Credit notes: what evidence proves to be overcharged, and whom it is taken back from. Pure.

Evidence proves what a use ought to count, and so does a clearing that both regions signed. Given back is what the month of the use costs more as
the ledger has it than it would as it ought to be, by the plans and rules of that time; taken
back is what each beneficiary has more by it. What was given back of the month before is taken
off. Where the month comes to another sum later, closing puts that right (`gateway.settlement.truing`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from creditgate.rating.settled import share_messages
from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.linked import Pinned
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.statement_evidence import (
    UsesUnder,
    is_about_statement,
    statement_of,
    verify_statement_evidence,
)
from creditgate.transparency.usage import detail_of
from creditgate.transparency.usage_charges import Received, known, right_lines
from creditgate.transparency.usage_evidence import (
    CONFLICT,
    MISCOUNTED,
    TWICE,
    VerifiedEvidence,
    verify_evidence,
)
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_evidence_pb2 import UsageEvidence
from creditgate.v1.usage_log_pb2 import UsageDetail, UsageKind, UsageLeaf, UsageLine
from creditgate.v1.usage_service_pb2 import CreditNote, Statement
from gateway.settle.explain import yuan
from gateway.settle.usage import use_name
from gateway.settlement.credited import credited_lines
from gateway.settlement.right_lines import AGREED, Overcharge
from gateway.settlement.statement_credit import WrongStatement
from gateway.settlement.truing import left_to_give

_WHY: Final[Mapping[int, tuple[str, str]]] = {
    CONFLICT: (
        "计量日志第 {index} 项与签名回执不一致",
        "use {index} of the log is not as its signed receipt promised",
    ),
    TWICE: (
        "同一请求计费两次，计量日志第 {index} 项应退回",
        "one request was charged twice, again as use {index} of the log",
    ),
    MISCOUNTED: (
        "计量日志第 {index} 项的费用与其条目不符",
        "use {index} of the log charges more than it counts",
    ),
    AGREED: (
        "计量日志第 {index} 项在地区间清算中已由双方商定按另一数额计（争议 {dispute}）",
        "use {index} of the log counts otherwise, as both regions agreed in clearing (dispute"
        " {dispute})",
    ),
}
_NOTHING: Final = "give evidence that proves an overcharge"
_RATED: Final = (
    "；{month} 含此项按当时价格计 {before} 元，更正后为 {after} 元，此前已退 {credited} 元："
    "本行退回 {amount} 元（负数为本行应收）",
    ": by the prices of the time {month} costs {before} yuan with it, {after} yuan as it ought to"
    " be, {credited} yuan of it given back before: {amount} yuan given back here, charged where it"
    " is below 0",
)


Verifier = Callable[[bytes, str], Overcharge | WrongStatement]
"""Returns what evidence proves to be overcharged of an operator: a use, or a whole statement.
Raises Refused INVALID_REQUEST where it proves none."""


def evidence_verifier(key: Pinned, uses_under: UsesUnder) -> Verifier:
    """Return what verifies evidence by the keys of receipts, the present one and those linked to
    it; ``uses_under`` gives the uses that short evidence against a statement has the head of."""

    def verify(evidence: bytes, operator_id: str) -> Overcharge | WrongStatement:
        try:
            if is_about_statement(evidence):
                proven = _wrong_statement(evidence, key, uses_under)
                whose = proven.statement.operator_id
            else:
                shown = verify_evidence(evidence, key)
                if not shown.convicts:
                    raise invalid(Violation("evidence", _NOTHING))
                right = _right(UsageEvidence.FromString(evidence), shown)
                proven = Overcharge(shown.kind, shown.leaf.usage_index, right)
                whose = shown.leaf.operator_id
        except ProofInvalid as error:
            raise invalid(Violation("evidence", f"it does not hold: {error}")) from None
        if whose != operator_id:
            raise invalid(Violation("evidence", "give evidence of the operator named"))
        return proven

    return verify


def _wrong_statement(evidence: bytes, key: Pinned, uses_under: UsesUnder) -> WrongStatement:
    statement = statement_of(UsageEvidence.FromString(evidence).statement.document, key)
    if not statement.HasField("close_time"):
        # What an open month comes to is not charged yet.
        raise invalid(Violation("evidence", "give evidence of a statement that is closed"))
    checked = verify_statement_evidence(evidence, key, uses_under)
    if not checked.overcharge:
        raise invalid(Violation("evidence", _NOTHING))
    return WrongStatement(statement, checked.overcharge)


def credit_note(
    overcharge: Overcharge,
    charged: Statement,
    right: Statement,
    earlier: Iterable[CreditNote],
    dispute: str = "",
) -> CreditNote:
    """Return the credit note of an overcharge; who, when and why are left open.

    ``charged`` is the month of the use as it is rated, ``right`` as it ought to be, with all
    that is proven put right. ``earlier`` are the notes about uses of that month, and those that put
    them right. ``dispute`` is that of what regions agreed on. Where nothing is left to give back it
    is one of nothing.
    """
    given = list(earlier)
    found = left_to_give(charged, right, given)
    if found.total <= 0:
        return CreditNote(operator_id=charged.operator_id)
    told = {
        "index": str(overcharge.usage_index),
        "dispute": dispute,
        "month": charged.month,
        "before": yuan(charged.total_micro_yuan),
        "after": yuan(right.total_micro_yuan),
        "credited": yuan(sum(each.amount_micro_yuan for each in given)),
    }
    zh, en = (why + rated for why, rated in zip(_WHY[overcharge.kind], _RATED, strict=True))
    place = overcharge.usage_index
    name = use_name(charged.operator_id, place) if place >= 0 else ""
    return CreditNote(
        operator_id=charged.operator_id,
        amount_micro_yuan=found.total,
        uses=credited_lines(found.fees, (zh, en), told, place, name),
        shares=share_messages(found.shares),
        rule_ids=charged.rule_ids,
        plan_ids=charged.plan_ids,
    )


def nothing_left() -> Refused:
    """Return why there is no credit note where nothing is left to give back."""
    return Refused(
        RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
        "The month of the use costs no more for it, or that was given back already: nothing is"
        " left to give back as the month stands. What it proves is kept, and counts with what else"
        " is proven of the month, and as uses of it are reversed.",
    )


def _right(evidence: UsageEvidence, shown: VerifiedEvidence) -> Sequence[UsageLine]:
    """Return what the use that is overcharged ought to count. Raises ProofInvalid."""
    if shown.kind == TWICE:
        return ()
    if shown.kind == CONFLICT:
        # What was promised for the place: no answer, where it was to credit one.
        promised = shown.other
        if promised is None or promised.kind != UsageKind.USAGE_KIND_ANSWER:
            return ()
        return tuple(_detail(evidence, promised).lines)
    received = known(shown.leaf, Received(list(evidence.records), list(evidence.items)))
    return right_lines(shown.leaf, _detail(evidence, shown.leaf), received)


def _detail(evidence: UsageEvidence, leaf: UsageLeaf) -> UsageDetail:
    details = (each.detail or each.receipt.detail for each in evidence.leaves)
    own = next((each for each in details if sha256(each).digest() == leaf.detail_digest), b"")
    detail = detail_of(leaf, own)
    if detail is None:
        raise ProofInvalid("the detail of the use is missing")
    return detail
