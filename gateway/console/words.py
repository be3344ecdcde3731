"""Words of the console: states, what was done, and why something was not."""

from collections.abc import Mapping
from typing import Final

from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind, ClearingStand
from creditgate.v1.scope_service_pb2 import ProposalState
from gateway.pages.rendering import Language
from gateway.pages.words import Words, said
from operators.brakes import Reach

DONE: Final[Mapping[str, Words]] = {
    "engaged": (
        "已刹车：所有进程在一秒内停止提供。",
        "Engaged: every process stops within a second.",
    ),
    "released": ("已解除。", "Released."),
    "proposed": (
        "已提出，待另一人复核后生效。",
        "Proposed: it takes effect once a second person approves it.",
    ),
    "acknowledged": ("已核实。", "Acknowledged."),
    "suspended": ("已暂停该机构。", "The operator is suspended."),
    "reinstated": ("已恢复该机构。", "The operator is reinstated."),
    "approved": ("已批准，变更已生效。", "Approved, and the change is made."),
    "rejected": ("已驳回。", "Rejected."),
    "closed": ("账期已结算。", "The period is closed."),
    "resolved": (
        "已确认以何方为准，下次清算时生效。",
        "It is kept whose version stands; the next clearing has it.",
    ),
}
"""What a form did, by the word its answer carries."""

NOT_DONE: Final[Words] = ("没有办理：{}。", "Not done: {}.")
"""That a form was refused, for what is wrong with its fields."""

REFUSED: Final[Mapping[str, Words]] = {
    "INVALID_REQUEST": ("没有办理：请检查所填内容。", "Not done: check what you entered."),
    "STATE_CONFLICT": (
        "没有办理：当前状态不允许，或者提出人不能自己复核。",
        "Not done: the present state does not allow it, or it is your own proposal.",
    ),
    "RESOURCE_NOT_FOUND": (
        "没有办理：没有这个机构、目录项或事项。",
        "Not done: there is no such thing.",
    ),
    "RESOURCE_EXISTS": (
        "没有办理：已经提出过同样的事项。",
        "Not done: the same was proposed already.",
    ),
    "ETAG_MISMATCH": (
        "没有办理：别人刚刚改过，请重看后再办。",
        "Not done: it was changed meanwhile; look again.",
    ),
    "MONTH_NOT_NEXT": (
        "没有办理：各月须依次结算，还没有轮到本月。",
        "Not done: months are closed in order, and it is not this one's turn.",
    ),
    "RATE_EXCEEDED": ("没有办理：请稍后再试。", "Not done: try again in a moment."),
    "SCOPE_NOT_GRANTED": (
        "没有办理：您的角色没有这项权限。",
        "Not done: your roles do not reach it.",
    ),
}
"""Why a form was refused, by reason; MONTH_NOT_NEXT is the console's own."""

PROPOSAL_STATES: Final[Mapping[int, Words]] = {
    ProposalState.PROPOSAL_STATE_PENDING: ("待复核", "pending"),
    ProposalState.PROPOSAL_STATE_APPROVED: ("已批准", "approved"),
    ProposalState.PROPOSAL_STATE_REJECTED: ("已驳回", "rejected"),
    ProposalState.PROPOSAL_STATE_EXPIRED: ("已过期", "expired"),
    ProposalState.PROPOSAL_STATE_SUPERSEDED: ("已被取代", "superseded"),
}

DISPUTE_KINDS: Final[Mapping[int, Words]] = {
    ClearingDisputeKind.CLEARING_DISPUTE_KIND_ASKING_ONLY: (
        "只有请求地区有此答复",
        "Only the asking region has it",
    ),
    ClearingDisputeKind.CLEARING_DISPUTE_KIND_HOME_ONLY: (
        "只有来源地区有此答复",
        "Only the home region has it",
    ),
    ClearingDisputeKind.CLEARING_DISPUTE_KIND_FEE: ("费用不一致", "The fees differ"),
    ClearingDisputeKind.CLEARING_DISPUTE_KIND_CONTENT: ("内容不一致", "The contents differ"),
    ClearingDisputeKind.CLEARING_DISPUTE_KIND_UNDER_WAY: (
        "可能仍在途中，尚非争议",
        "May still be under way: no dispute yet",
    ),
}
"""Why two ledgers do not agree on an answer."""

STANDS: Final[Mapping[int, Words]] = {
    ClearingStand.CLEARING_STAND_UNSPECIFIED: ("均未定", "neither yet"),
    ClearingStand.CLEARING_STAND_HOME: ("来源地区", "Home region"),
    ClearingStand.CLEARING_STAND_ASKING: ("请求地区", "Asking region"),
}
"""Whose version of an answer."""


def stopped(reach: Reach, target: str, language: Language) -> str:
    """Return what a brake stops."""
    if reach == "OPERATOR":
        return said(language, (f"停止向机构 {target} 提供记录", f"record answers to {target}"))
    if reach == "ITEM":
        return said(language, (f"停止提供目录项 {target}", f"record answers with {target}"))
    return said(language, ("停止提供全部记录", "all record answers"))
