"""Reports as they are kept, without a gateway."""

from typing import Any

from creditgate.credit_report import ReportPeriod
from gateway.reports.model import IssuedReport
from tests.clock import NOW
from tests.installation import company

ITEM = "penalty.general"


def report_id(number: int, at: int = NOW) -> str:
    """Return the id of a report issued at ``at``."""
    return f"{at:010x}-{number:024x}"


def kept(number: int = 1, **changes: Any) -> IssuedReport:
    """Return a report about an invented company that an operator had issued."""
    usual: dict[str, Any] = {
        "report_id": report_id(number),
        "issued_by": "operators/alpha",
        "request_id": f"request-{number}",
        "request_digest": b"digest",
        "actor": "alpha-one",
        "subject": company(1),
        "items": (ITEM,),
        "period": ReportPeriod(),
        "purpose": 1,
        "consent": "",
        "check_code": "23456789ABCD",
        "disclosure_sequence": 0,
        "stated": (),
        "served_at": NOW,
        "issued_at": NOW,
        "expires_at": NOW + 86_400,
        "document_digest": b"d" * 32,
        "document": "e30.e30.e30",
    }
    return IssuedReport(**usual | changes)
