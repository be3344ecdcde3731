"""Drafts for the catalogue that ships with the gateway; all firms are invented."""

from collections.abc import Mapping
from typing import Any

import rfc8785

from creditgate.uscc import check_character
from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.catalogue.file import NATIONAL, read_catalogue
from gateway.catalogue.model import CatalogueItem
from tests.clock import NOW

DAY = 86_400


def national() -> dict[str, CatalogueItem]:
    """Return the shipped catalogue by code."""
    return {item.code: item for item in read_catalogue(NATIONAL)}


def credit_code(number: int, head: str = "91") -> str:
    """Return an invented code under the unassigned district; ``head`` is authority and class."""
    stem = f"{head}000000{number:09d}"
    return stem + check_character(stem)


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return content as the RFC 8785 reference package writes it."""
    return rfc8785.dumps(dict(content))


def registration(record_id: str = "reg-1", *, subject: str = "", **content: Any) -> RecordDraft:
    """Return a good draft of an enterprise registration."""
    fields = {"name": "虚构贸易有限公司", "registered_on": "1999-02-28"} | content
    draft = RecordDraft(
        record_id=record_id,
        subject=subject or credit_code(1),
        item="registration.enterprise",
        source="国家市场监督管理总局",
        region="000000",
        content=canonical({name: value for name, value in fields.items() if value is not None}),
    )
    draft.disclosed_from.seconds = NOW
    return draft


def penalty(
    record_id: str = "pen-1",
    *,
    subject: str = "",
    severity: Severity.ValueType = Severity.SEVERITY_GENERAL,
    days: int = 200,
    **content: Any,
) -> RecordDraft:
    """Return a good draft of an administrative penalty that ends after ``days``."""
    draft = RecordDraft(
        record_id=record_id,
        subject=subject or credit_code(1),
        item="penalty.administrative",
        source="生态环境部",
        region="000000",
        severity=severity,
        content=canonical(
            {
                "decision_number": "虚构环罚〔2026〕1号",
                "violation": "未按规定公开信息",
                "legal_basis": "虚构条例第三条",
                "penalty_kind": "警告",
                "decided_on": "2026-03-31",
                "authority": "虚构市生态环境局",
            }
            | content
        ),
    )
    draft.disclosed_from.seconds = NOW
    draft.disclosed_until.seconds = NOW + days * DAY
    return draft
