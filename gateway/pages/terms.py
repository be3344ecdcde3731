"""Terms of the contract in words: purposes, states, stages, kinds of findings, and who gets a share."""

from collections.abc import Mapping
from typing import Final

from creditgate.v1.conformance_service_pb2 import EnforcementStage, FindingKind, FindingState
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.pages.rendering import Language
from gateway.pages.words import Words, said

PURPOSES: Final[Mapping[str, Words]] = {
    "CREDIT_APPROVAL": ("信贷审批", "deciding on credit"),
    "BIDDING": ("招标投标", "tendering and procurement"),
    "SUPPLIER_CHECK": ("供应商核验", "checking a business partner"),
    "POST_LOAN_MONITORING": ("贷后管理", "watching credit already granted"),
    "CREDIT_EVALUATION": ("信用评价", "credit reports and scores"),
    "REGULATORY_SUPERVISION": ("行政监管", "supervision by public bodies"),
    "RESEARCH": ("统计研究", "research on aggregated data"),
}
"""Names of Purpose, without their prefix."""

OPERATOR_STATES: Final[Mapping[int, Words]] = {
    OperatorState.OPERATOR_STATE_ACTIVE: ("正常", "active"),
    OperatorState.OPERATOR_STATE_SUSPENDED: ("已暂停", "suspended"),
    OperatorState.OPERATOR_STATE_REVOKED: ("已撤销", "revoked"),
}

STAGES: Final[Mapping[int, Words]] = {
    EnforcementStage.ENFORCEMENT_STAGE_UNSPECIFIED: ("无", "none"),
    EnforcementStage.ENFORCEMENT_STAGE_WARNED: ("提醒", "warned"),
    EnforcementStage.ENFORCEMENT_STAGE_RECTIFY: ("限期整改", "must rectify"),
    EnforcementStage.ENFORCEMENT_STAGE_THROTTLED: ("限流", "throttled"),
    EnforcementStage.ENFORCEMENT_STAGE_SUSPENDED: ("暂停", "suspended"),
}

FINDING_KINDS: Final[Mapping[int, Words]] = {
    FindingKind.FINDING_KIND_CONTENT_ALTERED: ("内容不符", "content altered"),
    FindingKind.FINDING_KIND_PERIOD_ALTERED: ("期限不符", "period altered"),
    FindingKind.FINDING_KIND_EXPIRED_HELD: ("过期仍持有", "expired, still held"),
    FindingKind.FINDING_KIND_CORRECTED_HELD: ("更正前的版本仍持有", "corrected, still held"),
    FindingKind.FINDING_KIND_REPAIRED_HELD: ("修复后仍持有", "repaired, still held"),
    FindingKind.FINDING_KIND_WITHDRAWN_HELD: ("撤下后仍持有", "withdrawn, still held"),
    FindingKind.FINDING_KIND_NEVER_SERVED: ("来源不明", "never served"),
    FindingKind.FINDING_KIND_CONSENT_LIFE_OVER: ("授权期满仍持有", "past the consent's data life"),
    FindingKind.FINDING_KIND_MISSING: ("缺少副本", "missing"),
    FindingKind.FINDING_KIND_REMOVAL_OVERDUE: ("删除逾期未确认", "removal overdue"),
    FindingKind.FINDING_KIND_ATTESTATION_FALSE: ("申报不实", "attestation false"),
    FindingKind.FINDING_KIND_ATTESTATION_OVERDUE: ("逾期未申报", "attestation overdue"),
}

FINDING_STATES: Final[Mapping[int, Words]] = {
    FindingState.FINDING_STATE_OPEN: ("待整改", "open"),
    FindingState.FINDING_STATE_CONTESTED: ("申辩中", "contested"),
    FindingState.FINDING_STATE_RECTIFIED: ("已整改", "rectified"),
    FindingState.FINDING_STATE_DISMISSED: ("已撤销", "dismissed"),
}

_BENEFICIARIES: Final[Mapping[str, Words]] = {
    "sources": ("来源部门：", "Source department: "),
    "regions": ("地区：", "Region: "),
    "operators": ("返还运营机构：", "Back to the operator: "),
    "platform": ("平台", "Platform"),
}


def beneficiary(name: str, language: Language) -> str:
    """Return who a share goes to; ``name`` is that of a RevenueShare."""
    kind, _, rest = name.partition("/")
    words = _BENEFICIARIES.get(kind)
    return name if words is None else said(language, words) + rest
