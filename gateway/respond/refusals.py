"""What the record calls refuse with once a call is allowed."""

from base64 import b64encode
from typing import Final

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.meter.leaf import MOST_DETAIL_BYTES
from gateway.meter.model import NotCharged
from gateway.respond.answer import Selection
from gateway.respond.left import tell_quota_refused

CHARGED: Final = "usage_receipt"
"""In a refusal's metadata: the receipt of what its request was charged when it was answered first,
a serialised UsageReceipt without its detail, in base64."""

# What a receipt of use tells of a record, and at most of a line.
_RECORD_BYTES: Final = 8
_LINE_BYTES: Final = 768


def fits(selection: Selection, most: int, *, in_parts: bool) -> bool:
    """Tell whether ``most`` bytes hold records, proof and receipt of use; of an answer in parts, proof
    and receipt, which cannot be parted."""
    size = len(selection.proof)
    told = _RECORD_BYTES * len(selection.sequences) + _LINE_BYTES * len(selection.lines)
    if told > MOST_DETAIL_BYTES:
        size += told
    if not in_parts:
        size += sum(map(len, selection.frames))
    return size <= most


def not_charged(outcome: NotCharged) -> Refused:
    """Return what a claim that the ledger refused is answered with, and keep what is left of a
    quota to be told behind it."""
    if outcome.left is not None:
        tell_quota_refused(outcome.left)
    # What was charged first is charged all the same: whoever lost that answer has its receipt.
    charged = {CHARGED: b64encode(outcome.receipt).decode()} if outcome.receipt else {}
    if outcome.life_over:
        return Refused(
            outcome.reason,
            "What this request_id was answered with need not be kept any more: its data life under"
            " the consent is over, so it is not sent again. Do not retry; a fresh request_id is a"
            " new use of the consent, counted and charged anew.",
            metadata={"cause": "data_life"} | charged,
        )
    messages = {
        RefusalReason.REFUSAL_REASON_CONSENT_EXHAUSTED: (
            "The consent was used as often as it allows, for good or for this day (UTC); see"
            " its access mode."
        ),
        RefusalReason.REFUSAL_REASON_QUOTA_EXHAUSTED: (
            "Nothing of the licence's daily quota of records is left; ask again after the delay"
            " told: at 00:00 UTC, or once answers of other regions under way have come."
        ),
        RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED: (
            "request_id was used before, with another payload or too long ago to be a retry;"
            " use a fresh one."
        ),
        RefusalReason.REFUSAL_REASON_REQUEST_SUPERSEDED: (
            "The disclosure has changed since this request_id was metered: it stays charged, as"
            " the receipt told says, and is not sent again. Ask anew with a fresh one."
        ),
        RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE: (
            "The answer would pass the size of one message; name fewer items, or fewer subjects"
            " where a proof is asked for, or ask by BatchGetSubjectRecords."
        ),
        RefusalReason.REFUSAL_REASON_RECORD_NOT_DISCLOSED: (
            "No such record is disclosed to you now."
        ),
    }
    if outcome.licences:
        return Refused(
            outcome.reason,
            "The day's quota of all licences that open some of what was asked for is used up; name"
            " items or regions that other licences open, or ask again when it starts anew at 00:00 UTC.",
            retry_after=outcome.retry_after or None,
            metadata={"licences": ",".join(outcome.licences)},
        )
    return Refused(
        outcome.reason,
        messages[outcome.reason],
        retry_after=outcome.retry_after or None,
        metadata=charged,
    )


def delivery_over() -> Refused:
    """Return what ends a call whose delivery is not its own any more."""
    return Refused(
        RefusalReason.REFUSAL_REASON_REQUEST_ID_REUSED,
        "The delivery of this request_id was taken up by another call, or settled: what was"
        " charged and not acknowledged in time is credited. GetDelivery tells which; if it is"
        " settled, ask for what you lack with a fresh request_id.",
    )


def changing() -> Refused:
    """Return what ends a call whose ground moved again and again."""
    return Refused(
        RefusalReason.REFUSAL_REASON_DISCLOSURE_CHANGING,
        "The disclosure kept changing while the answer was prepared; try again with the same"
        " request_id.",
        retry_after=1,
    )
