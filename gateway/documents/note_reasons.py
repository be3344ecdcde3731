"""Why somebody receives less, or more, by a credit note, in Chinese and English. Pure."""

from typing import Final

from creditgate.v1.usage_service_pb2 import CreditNote
from gateway.settle.explain import yuan

_Words = tuple[str, str]

_OF_USE: Final = (
    "多计的使用退回运营机构 {total} 元",
    "{total} yuan are given back to the operator for use that was overcharged",
)
_OF_STATEMENT: Final = (
    "{month} 账单多计，退回运营机构 {total} 元",
    "{total} yuan are given back to the operator, as the statement of {month} charges too much",
)
_MORE: Final = (
    "{month} 的退款重新核算，补退运营机构 {total} 元",
    "what is given back of {month} is reckoned anew: {total} yuan more to the operator",
)
_LESS: Final = (
    "{month} 的退款重新核算，向运营机构收回 {total} 元",
    "what is given back of {month} is reckoned anew: {total} yuan are taken back from the operator",
)
_AS_MUCH: Final = (
    "{month} 的退款重新核算，退回运营机构的总额不变",
    "what is given back of {month} is reckoned anew: as much in all to the operator",
)
_TAKEN: Final = (
    "；收回本受益方因此多得的 {part} 元",
    "; the {part} yuan that this beneficiary had too much are taken back",
)
_PAID: Final = (
    "；补付本受益方因此少得的 {part} 元",
    "; the {part} yuan that this beneficiary had too little are paid to it",
)


def share_reason(note: CreditNote, amount: int) -> tuple[str, str]:
    """Return why ``amount`` (micro-yuan) is taken back of a beneficiary by a note; below 0 it is
    paid."""
    ends = _PAID if amount < 0 else _TAKEN
    zh, en = (why + end for why, end in zip(_given(note), ends, strict=True))
    told = {
        "month": note.trued_up_month or note.statement_month,
        "total": yuan(abs(note.amount_micro_yuan)),
        "part": yuan(abs(amount)),
    }
    return zh.format(**told), en.format(**told)


def _given(note: CreditNote) -> _Words:
    if note.statement_month:
        return _OF_STATEMENT
    if not note.trued_up_month:
        return _OF_USE
    if not note.amount_micro_yuan:
        return _AS_MUCH
    return _MORE if note.amount_micro_yuan > 0 else _LESS
