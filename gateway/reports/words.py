"""What reports speak of, in words people read: states, severities, contents.

Fields of items that need consent have theirs in gateway/consents/words; others go by their
own names.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.consents.words import FIELDS as CONSENT_FIELDS
from gateway.pages.words import Words
from gateway.reports.model import State

STATES: Final[Mapping[int, Words]] = {
    State.CREDIT_REPORT_STATE_CURRENT: (
        "有效，与当前公示一致",
        "Valid: it states what is disclosed now",
    ),
    State.CREDIT_REPORT_STATE_SUPERSEDED: (
        "已被更新：所载公示信息此后有变化，或证明它的密钥已不可信",
        "Superseded: what it states has changed since, or the key that proves it is not trusted any more",
    ),
    State.CREDIT_REPORT_STATE_EXPIRED: ("已过有效期", "Expired"),
    State.CREDIT_REPORT_STATE_REVOKED: ("已撤销", "Revoked"),
}

STATE_NAMES: Final[Mapping[int, Words]] = {
    State.CREDIT_REPORT_STATE_CURRENT: ("有效", "Valid"),
    State.CREDIT_REPORT_STATE_SUPERSEDED: ("已被更新", "Superseded"),
    State.CREDIT_REPORT_STATE_EXPIRED: ("已过有效期", "Expired"),
    State.CREDIT_REPORT_STATE_REVOKED: ("已撤销", "Revoked"),
}
"""The same in a word."""

SEVERITIES: Final[Mapping[str, Words]] = {
    "MINOR": ("轻微", "minor"),
    "GENERAL": ("一般", "general"),
    "SERIOUS": ("严重", "serious"),
}

_FIELDS: Final[Mapping[str, Words]] = {
    "authority": ("作出机关", "authority"),
    "business_scope": ("经营范围", "business scope"),
    "city": ("所在城市", "city"),
    "committed_on": ("承诺日期", "date of the commitment"),
    "commitment_kind": ("承诺类型", "kind of commitment"),
    "confiscated_fen": ("没收金额", "sum confiscated"),
    "decided_on": ("决定日期", "date of the decision"),
    "decision_number": ("决定书文号", "number of the decision"),
    "enterprise_type": ("企业类型", "type of enterprise"),
    "facts": ("违法事实", "facts"),
    "fine_fen": ("罚款金额", "fine"),
    "firm_name": ("企业名称", "name of the firm"),
    "kept": ("是否履行", "whether it is kept"),
    "legal_basis": ("法律依据", "legal basis"),
    "licence_kind": ("许可类别", "kind of licence"),
    "licence_name": ("许可证书名称", "name of the licence"),
    "licence_number": ("许可编号", "number of the licence"),
    "licensed_activity": ("许可内容", "licensed activity"),
    "list_name": ("名单名称", "name of the list"),
    "listed_on": ("列入日期", "date of listing"),
    "matter": ("承诺事项", "matter"),
    "name": ("名称", "name"),
    "nationality": ("国别", "nationality"),
    "notice_effective": ("通知生效日期", "notice effective on"),
    "penalty": ("处罚内容", "penalty"),
    "penalty_kind": ("处罚类别", "kind of penalty"),
    "practice": ("行为类型", "practice"),
    "province": ("所在省份", "province"),
    "reason": ("列入事由", "reason"),
    "registered_capital": ("注册资本", "registered capital"),
    "registered_on": ("成立日期", "date of registration"),
    "revoked": ("是否撤销", "whether it is revoked"),
    "valid_from": ("有效期自", "valid from"),
    "valid_until": ("有效期至", "valid until"),
    "violation": ("违法行为类型", "kind of violation"),
}
FIELDS: Final[Mapping[str, Words]] = MappingProxyType({**CONSENT_FIELDS, **_FIELDS})
"""Fields of the items the gateway ships with."""
