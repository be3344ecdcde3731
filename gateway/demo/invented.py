"""Invented records of invented companies, to be corrected, repaired, refused and expired."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1.disclosure_service_pb2 import RecordDraft
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.cli.content import canonical_json
from gateway.demo.cast import EVALUATION, PENALTY, REGISTRATION, invented_code

_DAY: Final = 86_400
_MARKET_REGULATION: Final = "国家市场监督管理总局"
_EVALUATION_CENTRE: Final = "国家公共信用和地理空间信息中心"
_REGION: Final = "000000"
_REGISTERED: Final = 1_577_808_000
"""2020-01-01 in China."""

CORRECTED: Final = invented_code(11)
"""The company whose penalty is corrected; it also holds a consent-only evaluation."""
REPAIRED: Final = invented_code(12)
"""The company whose credit is repaired."""
EXPIRED: Final = invented_code(13)
"""The company whose penalty's disclosure is over."""
COMPANIES: Final = {
    CORRECTED: "示例甲机械有限公司（虚构）",
    REPAIRED: "示例乙食品有限公司（虚构）",
    EXPIRED: "示例丙物流有限公司（虚构）",
}


@dataclass(frozen=True, slots=True)
class InventedRecords:
    """The records as published, their periods laid around an instant of the first seeding."""

    registrations: tuple[RecordDraft, ...]
    to_correct: RecordDraft
    to_repair: RecordDraft
    expired: RecordDraft
    consent_only: RecordDraft

    @property
    def all(self) -> tuple[RecordDraft, ...]:
        """Every draft."""
        return (
            *self.registrations,
            self.to_correct,
            self.to_repair,
            self.expired,
            self.consent_only,
        )


def invented_records(anchor: int) -> InventedRecords:
    """Return the records for a seeding first made at ``anchor`` (seconds, UTC).

    The same anchor gives the same records, so that seeding again changes nothing.
    """
    day = anchor - anchor % _DAY
    serial = f"{datetime.fromtimestamp(day, UTC):%Y%m%d}"
    return InventedRecords(
        registrations=tuple(map(_registration, COMPANIES)),
        to_correct=_penalty(
            f"demo-{serial}-correct",
            CORRECTED,
            Severity.SEVERITY_GENERAL,
            (day - 30 * _DAY, day + 180 * _DAY),
            fine_fen=500_000,
        ),
        to_repair=_penalty(
            f"demo-{serial}-repair",
            REPAIRED,
            Severity.SEVERITY_GENERAL,
            (day - 150 * _DAY, day + 150 * _DAY),
            fine_fen=200_000,
        ),
        expired=_penalty(
            f"demo-{serial}-expired",
            EXPIRED,
            Severity.SEVERITY_MINOR,
            (day - 120 * _DAY, day - 50 * _DAY),
            fine_fen=10_000,
        ),
        consent_only=_draft(
            f"demo-{serial}-evaluation",
            CORRECTED,
            EVALUATION,
            _EVALUATION_CENTRE,
            {"grade": "B", "method": "示例方法（虚构）", "evaluated_on": _date(day - 10 * _DAY)},
            (day - 10 * _DAY, day + 355 * _DAY),
        ),
    )


def penalty_content(decided: int, fine_fen: int) -> bytes:
    """Return an invented penalty's content; ``decided`` in seconds UTC, the fine in fen."""
    return canonical_json(
        {
            "decision_number": "示例罚决字第1号（虚构）",
            "violation": "未按期公示年度报告（虚构）",
            "legal_basis": "示例条款（虚构）",
            "penalty_kind": "罚款",
            "fine_fen": fine_fen,
            "decided_on": _date(decided),
            "authority": "示例市场监督管理局（虚构）",
        }
    )


def _registration(subject: str) -> RecordDraft:
    content: dict[str, object] = {"name": COMPANIES[subject], "registered_on": "2020-01-01"}
    return _draft(
        f"registration-{subject}",
        subject,
        REGISTRATION,
        _MARKET_REGULATION,
        content,
        (_REGISTERED, None),
    )


def _penalty(
    record_id: str,
    subject: str,
    severity: Severity.ValueType,
    period: tuple[int, int],
    *,
    fine_fen: int,
) -> RecordDraft:
    draft = _draft(record_id, subject, PENALTY, _MARKET_REGULATION, {}, period)
    draft.severity = severity
    draft.content = penalty_content(period[0], fine_fen)
    return draft


def _draft(
    record_id: str,
    subject: str,
    item: str,
    source: str,
    content: dict[str, object],
    period: tuple[int, int | None],
) -> RecordDraft:
    from_, until = period
    return RecordDraft(
        record_id=record_id,
        subject=subject,
        item=item,
        source=source,
        region=_REGION,
        content=canonical_json(content),
        disclosed_from=Timestamp(seconds=from_),
        disclosed_until=None if until is None else Timestamp(seconds=until),
    )


def _date(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
