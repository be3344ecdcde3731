"""Who may see the status of a report: whoever has its check code. Pure."""

import hmac
from typing import Final

from gateway.reports.model import IssuedReport

# No code has a zero.
_NONE: Final = "0" * 12


def opened(report: IssuedReport | None, check_code: str) -> IssuedReport | None:
    """Return ``report`` where ``check_code`` opens it; None, for an unknown one, takes as
    long as another code does."""
    expected = _NONE if report is None else report.check_code
    return report if hmac.compare_digest(expected.encode(), check_code.encode()) else None
